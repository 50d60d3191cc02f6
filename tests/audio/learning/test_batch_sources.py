from __future__ import annotations

import numpy as np
import pytest
import torch

from soundgate.audio.learning.sources import Mix, Source, masked_mean
from soundgate.errors import ConfigError

SOURCES = (Source("strong", 10, 2), Source("weak", 13, 4), Source("unlabelled", 100, 6))


def test_an_epoch_ends_with_the_smallest_source_and_repeats_no_record():
    mix = Mix(SOURCES, seed=3)
    batches = list(mix.epoch(0))
    assert len(batches) == mix.batches == 3  # 13 weak records fill 4 rows three times
    for source in SOURCES:
        drawn = np.concatenate([batch[source.name] for batch in batches])
        assert len(drawn) == len(set(drawn)) == 3 * source.share
        assert set(drawn) <= set(range(source.size))


def test_draws_depend_on_seed_epoch_and_name_and_on_no_other_source():
    def drawn(mix, number):
        return np.concatenate([batch["weak"] for batch in mix.epoch(number)])

    first = drawn(Mix(SOURCES, seed=3), 5)
    assert np.array_equal(first, drawn(Mix(SOURCES, seed=3), 5))
    assert np.array_equal(first, drawn(Mix((Source("new", 90, 9), *SOURCES[1:]), seed=3), 5))
    assert not np.array_equal(first, drawn(Mix(SOURCES, seed=3), 6))
    assert not np.array_equal(first, drawn(Mix(SOURCES, seed=4), 5))


def test_processes_share_every_source_s_rows():
    whole = list(Mix(SOURCES, seed=3).epoch(1))
    halves = [list(Mix(SOURCES, seed=3, rank=rank, world=2).epoch(1)) for rank in (0, 1)]
    for number, batch in enumerate(whole):
        for name, rows in batch.items():
            both = [halves[rank][number][name] for rank in (0, 1)]
            assert len(both[0]) == len(both[1])
            assert sorted(np.concatenate(both)) == sorted(rows)


def test_rows_and_masks_follow_the_order_of_the_sources():
    mix = Mix(SOURCES, seed=0, world=2)
    assert mix.rows == 6
    assert mix.rows_of("weak") == slice(1, 3)
    assert mix.mask("strong", "unlabelled").tolist() == [True, False, False, True, True, True]
    with pytest.raises(ConfigError, match="no source 'week'; did you mean 'weak'"):
        mix.rows_of("week")


@pytest.mark.parametrize(
    ("source", "world", "text"),
    [
        (Source("weak", 3, 4), 1, r"batch\.weak: 3 records cannot fill 4 rows .* give 1 to 3"),
        (Source("weak", 3, 0), 1, r"batch\.weak: 3 records cannot fill 0 rows"),
        (Source("weak", 30, 5), 2, r"batch\.weak: 5 rows cannot be shared among 2 processes"),
    ],
)
def test_a_share_that_cannot_be_filled_is_refused(source, world, text):
    with pytest.raises(ConfigError, match=text):
        Mix((source,), seed=0, world=world)


def test_the_masked_mean_counts_and_moves_only_what_the_mask_lets_through():
    losses = torch.tensor([[1.0, 2.0], [30.0, 40.0], [5.0, 7.0]], requires_grad=True)
    rows = torch.tensor([True, False, True])
    mean = masked_mean(losses, rows)
    mean.backward()
    assert mean.item() == (1 + 2 + 5 + 7) / 4
    assert losses.grad.tolist() == [[0.25, 0.25], [0.0, 0.0], [0.25, 0.25]]
    classes = torch.tensor([[True, False]] * 3)
    assert masked_mean(losses, classes).item() == (1 + 30 + 5) / 3
    assert masked_mean(losses, torch.zeros(3, dtype=torch.bool)).item() == 0.0
