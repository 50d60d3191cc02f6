"""The synthetic instruments: exact labels, one recording an ensemble, and physics that holds."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.random import RandomState

from soundgate.audio import datasets
from soundgate.audio.clips.manifest import read_manifest
from soundgate.audio.datasets.synthetic.instruments.dataset import Options
from soundgate.audio.datasets.synthetic.instruments.oscillation import periodic
from soundgate.audio.datasets.synthetic.instruments.rendering import (
    FAMILIES,
    describe,
    render_clip,
)
from soundgate.audio.files import reading

RATE_HZ = 16_000


def harmonics(wave, pitch_hz, count):
    """Amplitudes (harmonic,) of the middle second of a note."""
    middle = wave[wave.size // 2 - RATE_HZ // 2 :][:RATE_HZ] * np.hanning(RATE_HZ)
    spectrum = np.abs(np.fft.rfft(middle))
    at = [round(n * pitch_hz) for n in range(1, count + 1)]
    return np.array([spectrum[k - 3 : k + 4].max() for k in at])


def test_a_clip_depends_on_its_number_and_the_seed_only():
    few, many = Options(clips=12, duration_s=1), Options(clips=600, duration_s=1)
    samples, events = render_clip(7, few)
    again, same = render_clip(7, many)
    np.testing.assert_array_equal(samples, again)
    assert events == same
    other, _ = render_clip(7, Options(clips=12, duration_s=1, seed=1))
    assert not np.array_equal(samples, other)


def test_labels_are_balanced_and_a_fold_holds_whole_ensembles():
    clips = [describe(number, seed=0) for number in range(480)]
    for label in FAMILIES:
        assert 100 < sum(label in clip.labels for clip in clips) < 220, label
    assert {len(clip.labels) for clip in clips} == {1, 2, 3}
    folds = {}
    for clip in clips:
        assert folds.setdefault(clip.source, clip.fold) == clip.fold
    assert sorted(set(folds.values())) == [1, 2, 3, 4, 5]


def test_events_are_the_labels_and_the_sound_is_where_they_say():
    options = Options(clips=12, duration_s=2, snr_db=(60, 60))
    for number in range(6):
        clip = describe(number, 0)
        samples, events = render_clip(number, options)
        assert tuple(sorted(event.label for event in events)) == clip.labels
        first = int(min(event.onset_s for event in events) * RATE_HZ)
        wave = samples.astype(float)
        before = np.abs(wave[: max(first - 400, 1)]).max()
        assert before < 0.05 * np.abs(wave[first : first + RATE_HZ]).max()


@pytest.mark.parametrize("label", ["bowed", "brass", "organ", "reed", "voice"])
def test_notes_have_the_pitch_that_is_asked_for(label):
    instrument = FAMILIES[label].draw(RandomState([1, 2]))
    wave = instrument.play(RandomState(3), 220.0, 2 * RATE_HZ)
    spectrum = np.abs(np.fft.rfft(wave[4000:28000] * np.hanning(24000)))
    at_hz = np.arange(spectrum.size) * RATE_HZ / 24000
    near = np.abs(at_hz / 220 - np.maximum(np.round(at_hz / 220), 1)) < 0.12
    assert (spectrum[near] ** 2).sum() > 0.9 * (spectrum**2).sum()


def test_a_reed_has_odd_harmonics():
    for seed in range(4):
        reed = harmonics(
            FAMILIES["reed"].draw(RandomState(seed)).play(RandomState(1), 220, 32000), 220, 4
        )
        assert reed[1] < 0.5 * reed[0]
        assert reed[1] < 0.7 * reed[2]


def test_a_plucked_string_dies_away_and_an_organ_does_not():
    for seed in range(4):
        levels = {}
        for label in ("plucked", "organ"):
            note = FAMILIES[label].draw(RandomState(seed)).play(RandomState(1), 220, 32000)
            levels[label] = np.std(note[24000:28000]) / np.std(note[2000:6000])
        assert levels["plucked"] < 0.5
        assert levels["organ"] > 0.7


def test_a_periodic_wave_is_the_sum_of_its_harmonics_without_aliases():
    wave = periodic(np.array([1.0, 0.5, 0.25]), np.full(RATE_HZ, 3000.0, np.float32))
    spectrum = np.abs(np.fft.rfft(wave.astype(float))) / (RATE_HZ / 2)
    assert spectrum[3000] == pytest.approx(1, abs=1e-3)
    assert spectrum[6000] == pytest.approx(0.5, abs=1e-3)
    spectrum[[3000, 6000]] = 0
    assert spectrum.max() < 1e-3, "the third harmonic would be folded back"


def test_it_is_a_data_set_of_the_catalogue(tmp_path):
    options = {"clips": 12, "duration_s": 1.0}
    datasets.prepare("synthetic-instruments", [], tmp_path / "clips", options=options)
    clips = list(read_manifest(tmp_path / "clips"))
    assert len(clips) == 12
    for clip in clips:
        info = reading.info(tmp_path / "clips" / clip.path)
        assert (info.rate_hz, info.frames) == (RATE_HZ, RATE_HZ)
