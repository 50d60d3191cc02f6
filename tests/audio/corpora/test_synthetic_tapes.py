"""The synthetic corpus: its labels are where its calls are."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import scipy.signal

from soundgate.audio.datasets.synthetic.tapes import rendering
from soundgate.audio.datasets.synthetic.tapes.options import TapeOptions
from soundgate.audio.files.reading import read
from soundgate.audio.formats.datasets.corpus import (
    entries_by_recording,
    read_corpus_index,
    recordings,
)

OPTIONS = TapeOptions(tapes=3, silent_tapes=1, tape_s=45, overlap=0.2, seed=7)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tapes")
    return folder, rendering.render(folder, OPTIONS)


def band_db(samples, rate_hz, start_s, end_s):
    """Level within the band of the calls."""
    part = samples[round(start_s * rate_hz) : round(end_s * rate_hz)]
    filtered = scipy.signal.sosfiltfilt(
        scipy.signal.butter(4, (150, 4000), "bandpass", fs=rate_hz, output="sos"), part
    )
    return 10 * np.log10(np.mean(filtered**2))


def test_index_is_whole_and_names_a_tape_without_calls(corpus):
    folder, index = corpus
    assert read_corpus_index(folder) == index
    assert set(recordings(index).values()) == {45.0}
    counts = Counter(entry.clip_path for entry in index.entries)
    assert len(counts) == 3
    assert len(index.recordings) == 4
    assert {entry.label for entry in index.entries} == {"hum", "whoop"}
    assert {entry.quality for entry in index.entries} == {1, 2, 3}
    assert len({recording.tape for recording in index.recordings}) == 4


def test_calls_are_louder_than_what_is_between_them_the_better_the_more(corpus):
    folder, index = corpus
    over = {1: [], 2: [], 3: []}
    for path, entries in entries_by_recording(index).items():
        samples, rate_hz = read(folder / path)
        for before, call in pairwise(entries):
            if call.clip_start_s - before.clip_end_s > 0.5:
                inside = band_db(samples, rate_hz, call.clip_start_s, call.clip_end_s)
                quiet = band_db(samples, rate_hz, call.clip_start_s - 0.4, call.clip_start_s)
                over[call.quality].append(inside - quiet)
    medians = [np.median(over[quality]) for quality in (1, 2, 3)]
    assert 3 < medians[0] < medians[1] < medians[2] < 25


def test_some_calls_overlap(corpus):
    _, index = corpus
    pairs = [p for e in entries_by_recording(index).values() for p in pairwise(e)]
    assert any(a.clip_end_s > b.clip_start_s for a, b in pairs)
    assert sum(a.clip_end_s < b.clip_start_s for a, b in pairs) > len(pairs) / 2


def test_a_tape_depends_on_the_seed_and_its_number_only(corpus, tmp_path):
    folder, index = corpus
    again = rendering.render(tmp_path / "one", TapeOptions(tapes=1, tape_s=45, overlap=0.2, seed=7))
    first = index.recordings[0].path
    assert (tmp_path / "one" / first).read_bytes() == (folder / first).read_bytes()
    assert again.recordings[0].tape == index.recordings[0].tape
    other = rendering.render(tmp_path / "other", TapeOptions(tapes=1, tape_s=5, seed=8))
    assert not {r.tape for r in other.recordings} & {r.tape for r in index.recordings}


def test_blocks_of_the_background_meet_without_a_step(corpus):
    """A step is 20 s into the tape as likely as anywhere else: it would be the largest there."""
    folder, index = corpus
    samples, rate_hz = read(folder / index.recordings[-1].path)
    steps = np.abs(np.diff(samples))
    around = steps[20 * rate_hz - 2 : 20 * rate_hz + 2].max()
    assert around <= np.quantile(steps, 0.9999)
