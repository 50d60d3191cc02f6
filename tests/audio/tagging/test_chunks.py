"""Clips are cut into chunks that cover them, and scores of chunks become those of the clip."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from soundgate.audio.classification.tagging.batches import Sampler, balancing_weights
from soundgate.audio.classification.tagging.chunks import (
    in_batches,
    random_start,
    spans,
    stacked,
)
from soundgate.audio.classification.tagging.inference import joined
from soundgate.audio.formats.models.tagger import Chunks


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (1, [(0, 1)]),
        (1000, [(0, 1000)]),
        (1001, [(0, 1000), (1, 1001)]),
        (2000, [(0, 1000), (1000, 2000)]),
        (2300, [(0, 1000), (1000, 2000), (1300, 2300)]),
    ],
)
def test_chunks_stand_side_by_side_and_the_last_ends_with_the_clip(samples, expected):
    assert spans(samples, Chunks(length_s=1.0, hop_s=1.0), 1000) == expected


def test_chunks_may_overlap():
    cut = spans(2000, Chunks(length_s=1.0, hop_s=0.4), 1000)
    assert cut == [(0, 1000), (400, 1400), (800, 1800), (1000, 2000)]


def test_without_a_length_a_clip_is_one_chunk():
    assert spans(12345, Chunks(), 1000) == [(0, 12345)]


def test_a_short_piece_is_filled_with_zeros_and_its_length_told():
    batch = stacked([np.ones(3, np.float32), np.ones(5, np.float32)], masked=True)
    assert batch.waveforms.tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]
    assert batch.samples.tolist() == [3, 5]


def test_where_the_network_cannot_mask_a_short_piece_is_repeated():
    pieces = [np.array([1, 2], np.float32), np.arange(5, dtype=np.float32)]
    batch = stacked(pieces, masked=False)
    assert batch.waveforms[0].tolist() == [1, 2, 1, 2, 1]
    assert batch.samples is None


def test_a_piece_is_repeated_up_to_what_the_network_needs():
    batch = stacked([np.array([1, 2, 3], np.float32)], masked=True, least=7)
    assert batch.waveforms.tolist() == [[1, 2, 3, 1, 2, 3, 1]]


def test_random_pieces_begin_anywhere_but_never_reach_past_the_end():
    starts = {random_start(10, 4, draw) for draw in np.linspace(0, 1, 200, endpoint=False)}
    assert starts == set(range(7))
    assert random_start(3, 4, 0.99) == 0


def test_batches_of_like_length_do_not_mix_lengths():
    assert list(in_batches([2, 2, 2, 3, 3], 2, alike=True)) == [(0, 2), (2, 3), (3, 5)]
    assert list(in_batches([2, 2, 2, 3, 3], 2, alike=False)) == [(0, 2), (2, 4), (4, 5)]
    assert list(in_batches([], 2, alike=True)) == []


def test_a_clip_s_score_is_the_highest_or_the_mean_of_its_chunks():
    chunks = np.array([[0.2, 0.9], [0.6, 0.1]], np.float32)
    assert joined(chunks, "max").tolist() == pytest.approx([0.6, 0.9])
    assert joined(chunks, "mean").tolist() == pytest.approx([0.4, 0.5])


def sampler(**changes):
    lengths = np.array([40, 10, 30, 20, 50, 25, 35])
    return Sampler(**({"lengths": lengths, "chunk": 20, "batch_size": 3, "seed": 1} | changes))


def test_every_clip_is_learnt_from_once_an_epoch_and_the_last_batch_is_filled_up():
    batches = list(sampler().epoch(0))
    chosen = np.concatenate([clips for clips, _ in batches])
    assert len(batches) == sampler().batches == 3
    assert sorted(chosen[:7]) == list(range(7))
    assert chosen[7:].tolist() == chosen[:2].tolist()


def test_an_epoch_is_the_same_again_and_another_one_is_not():
    first, again, other = (
        [(c.tolist(), s.tolist()) for c, s in sampler().epoch(n)] for n in (3, 3, 4)
    )
    assert first == again
    assert first != other


def test_processes_share_each_batch_without_overlap():
    whole = [clips.tolist() for clips, _ in sampler(batch_size=4).epoch(0)]
    shares = [list(sampler(batch_size=4, rank=rank, world=2).epoch(0)) for rank in (0, 1)]
    for k, batch in enumerate(whole):
        assert batch[0::2] == shares[0][k][0].tolist()
        assert batch[1::2] == shares[1][k][0].tolist()


def test_whole_clips_are_batched_by_length():
    lengths = np.arange(1, 65) * 100
    batches = list(sampler(lengths=lengths, chunk=None, batch_size=8).epoch(0))
    spread = [np.ptp(lengths[clips]) for clips, starts in batches if not starts.any()]
    assert len(spread) == 8
    assert max(spread) == 700  # neighbours in length, all 64 in one pool


def test_weighted_draws_favour_clips_of_rare_labels():
    targets = np.zeros((101, 2), np.float32)
    targets[:100, 0], targets[100, 1] = 1, 1
    weights = balancing_weights(targets)
    assert weights[0] == pytest.approx(0.01)
    assert weights[100] == pytest.approx(1.0)
    drawn = sampler(lengths=np.full(101, 30), weights=weights, batch_size=101)
    counts = np.mean([(next(iter(drawn.epoch(n)))[0] == 100).mean() for n in range(20)])
    assert counts == pytest.approx(0.5, abs=0.05)


def test_a_clip_without_labels_weighs_as_one_of_the_commonest():
    assert balancing_weights(np.array([[1.0], [1.0], [0.0]])).tolist() == [0.5, 0.5, 0.5]


def test_a_batch_is_a_tensor_of_its_own():
    piece = np.ones(4, np.float32)
    batch = stacked([piece, piece], masked=True)
    batch.waveforms[0, 0] = 5.0
    assert piece[0] == 1.0
    assert batch.waveforms.dtype == torch.float32
