"""The rendered set: the same everywhere, and each class sounds like what it is called."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict

import numpy as np
import pytest
from numpy.random import RandomState

from soundgate.audio import datasets
from soundgate.audio.clips.manifest import MANIFEST, read_manifest
from soundgate.audio.datasets.base import read_options
from soundgate.audio.datasets.synthetic import dataset as synthetic
from soundgate.audio.datasets.synthetic.dataset import Options
from soundgate.audio.datasets.synthetic.rendering import describe, render_clip
from soundgate.audio.datasets.synthetic.scene import CLASSES, Source
from soundgate.audio.datasets.synthetic.sounds import SOUNDS
from soundgate.audio.datasets.synthetic.synthesis import band_pass, noise, rms
from soundgate.audio.files import reading
from soundgate.errors import ParameterError

SECOND = 16_000
SHORT = Options(duration_s=1.0)
TINY = {"clips_per_class": 4, "duration_s": 1.0}


def spectrum(wave):
    """Power and frequency of each bin."""
    power = np.abs(np.fft.rfft(wave * np.hanning(wave.size))) ** 2
    return power, np.fft.rfftfreq(wave.size, 1 / SECOND)


def centroid_hz(wave):
    power, frequency_hz = spectrum(wave)
    return float((power * frequency_hz).sum() / power.sum())


def flatness(wave):
    """Geometric over arithmetic mean of the power: 1 is white, 0 is a tone."""
    power = spectrum(wave)[0] + 1e-12
    return float(np.exp(np.log(power).mean()) / power.mean())


def takes(label, count=12, seconds=3.0):
    """Takes of different sources of a class, dry."""
    for number in range(count):
        sound = SOUNDS[label].draw(RandomState([5, number]))
        yield sound, sound.render(RandomState([6, number]), int(seconds * SECOND))


def test_a_clip_depends_on_its_number_only():
    expected = {number: render_clip(number, SHORT) for number in range(20)}
    for number in (13, 2, 19, 13):
        samples, events = render_clip(number, SHORT)
        assert np.array_equal(samples, expected[number][0])
        assert events == expected[number][1]


def test_another_seed_is_another_set():
    for number in range(10):
        here, there = (render_clip(number, Options(duration_s=1.0, seed=s))[0] for s in (0, 1))
        assert not np.array_equal(here, there)


def test_a_larger_set_contains_the_smaller_one(tmp_path):
    datasets.prepare("synthetic", [], tmp_path / "small", options=TINY | {"clips_per_class": 2})
    datasets.prepare("synthetic", [], tmp_path / "large", options=TINY)
    small = list(read_manifest(tmp_path / "small"))
    large = {clip.path: clip for clip in read_manifest(tmp_path / "large")}
    assert (len(small), len(large)) == (20, 40)
    for clip in small:
        assert large[clip.path] == clip
        written = [(tmp_path / size / clip.path).read_bytes() for size in ("small", "large")]
        assert written[0] == written[1]


def test_the_labels_never_change(tmp_path):
    """A changed hash means that published results can no longer be compared."""
    datasets.prepare("synthetic", [], tmp_path / "clips", options=TINY)
    digest = hashlib.sha256((tmp_path / "clips" / MANIFEST).read_bytes()).hexdigest()
    assert digest == "ead85bcbf38662f323dd6b1f2108a89df29642c6bb6f338ac01c3d8eec10133b"


def test_the_files(tmp_path):
    datasets.prepare("synthetic", [], tmp_path / "clips", options=TINY)
    clips = list(read_manifest(tmp_path / "clips"))
    assert Counter(clip.labels for clip in clips) == {(label,): 4 for label in CLASSES}
    for clip in clips:
        info = reading.info(tmp_path / "clips" / clip.path)
        assert (info.rate_hz, info.channels, info.duration_s) == (SECOND, 1, 1.0)
        assert 1 <= len(clip.events) <= 2
        assert {event.label for event in clip.events} == set(clip.labels)
        assert clip.events[0].onset_s >= 0
        assert clip.events[-1].offset_s <= 1.0
    for first, second in [clip.events for clip in clips if len(clip.events) == 2]:
        assert first.offset_s <= second.onset_s


def test_folds_are_even_and_never_split_a_source():
    clips = [describe(number) for number in range(400)]
    assert Counter((clip.labels, clip.fold) for clip in clips) == {
        ((label,), fold): 8 for label in CLASSES for fold in range(1, 6)
    }
    folds = defaultdict(set)
    for clip in clips:
        folds[clip.source].add(clip.fold)
    assert len(folds) == 200
    assert all(len(of_source) == 1 for of_source in folds.values())


def test_takes_of_one_source_share_its_timbre_and_room():
    assert Source.draw(0, 3, 7) == Source.draw(0, 3, 7)
    assert Source.draw(0, 3, 7) != Source.draw(0, 3, 8)
    assert Source.draw(0, 3, 7) != Source.draw(1, 3, 7)
    assert not np.array_equal(render_clip(3, SHORT)[0], render_clip(13, SHORT)[0])


def test_levels():
    peaks_db = [
        20 * np.log10(np.abs(render_clip(number, SHORT)[0]).max() / 32768) for number in range(40)
    ]
    assert min(peaks_db) > -26.1
    assert max(peaks_db) < -5.9
    assert max(peaks_db) - min(peaks_db) > 10


@pytest.mark.parametrize("snr_db", [10.0, 25.0])
def test_the_signal_to_noise_ratio_is_as_asked(snr_db):
    options = Options(snr_db=(snr_db, snr_db), distractor=0.0)
    measured = []
    for number in range(0, 200, 7):
        samples, events = render_clip(number, options)
        first, last = (int(t * SECOND) for t in (events[0].onset_s, events[-1].offset_s))
        quiet = np.concatenate([samples[:first], samples[last + SECOND // 3 :]]) / 32768
        if len(events) == 1 and quiet.size > SECOND // 2:
            loud = samples[first:last] / 32768
            noise_power = np.mean(quiet**2)
            measured.append(10 * np.log10(np.mean(loud**2) / noise_power - 1))
    assert len(measured) >= 5
    assert np.median(measured) == pytest.approx(snr_db, abs=1.5)


def test_a_distractor_is_heard_but_not_labelled():
    for number in range(10):
        without, events = render_clip(number, Options(duration_s=2.0, distractor=0.0))
        with_one, same = render_clip(number, Options(duration_s=2.0, distractor=1.0))
        assert events == same
        assert not np.array_equal(without, with_one)


@pytest.mark.parametrize("label", CLASSES)
def test_every_take_is_heard(label):
    for seconds in (0.3, 2.0):
        for _, wave in takes(label, 20, seconds):
            assert wave.dtype == np.float32
            assert wave.size == int(seconds * SECOND)
            assert np.isfinite(wave).all()
            assert rms(wave) > 0.01


def test_sirens_stay_within_their_sweep():
    for siren, wave in takes("siren"):
        frames = wave[: wave.size // 1024 * 1024].reshape(-1, 1024)
        power = np.abs(np.fft.rfft(frames * np.hanning(1024), 8192)) ** 2
        pitch_hz = power.argmax(axis=1) * SECOND / 8192
        assert pitch_hz.min() > siren.lowest_hz - 20
        assert pitch_hz.max() < siren.lowest_hz * siren.span + 20


def test_alarms_beep_at_their_pitch_and_pace():
    paces = []
    for alarm, wave in takes("alarm_beep"):
        power, frequency_hz = spectrum(wave)
        pitch_hz = frequency_hz[power.argmax()]
        expected = np.array([alarm.frequency_hz, alarm.frequency_hz * alarm.second_ratio])
        assert np.abs(pitch_hz / expected - 1).min() < 0.02
        on = np.convolve(np.abs(wave), np.ones(80) / 80, "same") > 0.2
        beeps = int((np.diff(on.astype(int)) == 1).sum()) + int(on[0])
        if alarm.group == 1:
            paces.append(beeps * alarm.period_s / 3.0)
    assert len(paces) >= 4
    assert np.median(paces) == pytest.approx(1, abs=0.1)


def test_clocks_tick_evenly():
    for clock, wave in takes("clock_tick"):
        envelope = np.abs(wave)
        ticks = [0]
        for at in np.flatnonzero(envelope > 0.25 * envelope.max()):
            if at - ticks[-1] > 0.1 * SECOND:
                ticks.append(int(at))
        gaps_s = np.diff(ticks[1:]) / SECOND
        assert np.median(gaps_s) == pytest.approx(clock.period_s, rel=0.05)


def test_engines_turn_at_their_rate():
    for engine, wave in takes("engine"):
        if engine.drift > 0.03 or engine.air > 0.6:
            continue
        power, frequency_hz = spectrum(wave)
        half_orders = frequency_hz / (engine.frequency_hz / 2)
        near = np.abs(half_orders - np.round(half_orders)) < 0.2
        low = frequency_hz < 6 * engine.frequency_hz
        assert power[near & low].sum() > 0.7 * power[low].sum()


def test_tones_and_noises_are_told_apart_by_their_spectrum():
    flat = {label: np.median([flatness(wave) for _, wave in takes(label)]) for label in CLASSES}
    assert flat["rain"] > 10 * max(flat["siren"], flat["alarm_beep"], flat["bell"])
    centre = {
        label: np.median([centroid_hz(wave) for _, wave in takes(label)]) for label in CLASSES
    }
    assert centre["rain"] > 2 * centre["wind"]
    assert centre["clock_tick"] > centre["footsteps"]
    assert centre["engine"] < 1500


def test_noise_has_the_level_and_band_asked_for():
    wave = noise(RandomState(1), 10 * SECOND, band_pass(1000, 2000, 6))
    assert rms(wave) == pytest.approx(1)
    power, frequency_hz = spectrum(wave)
    inside = (frequency_hz > 700) & (frequency_hz < 2900)
    assert power[inside].sum() > 0.99 * power.sum()
    kurtosis = np.mean(wave**4)
    assert kurtosis == pytest.approx(3, abs=0.1)  # Gaussian
    edges = np.array([1000.0, 2000.0], np.float32)
    assert band_pass(1000, 2000, 6)(edges) == pytest.approx(np.sqrt([0.5, 0.5]), rel=0.01)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"clips_per_class": 1}, "clips_per_class: 1 is not a whole number from 2"),
        ({"clips_per_class": 2.0}, "clips_per_class: 2.0 is not a whole number"),
        ({"seed": -1}, "seed: -1 is not a whole number from 0"),
        ({"seed": True}, "seed: True is not"),
        ({"duration_s": 0.5}, "duration_s: 0.5 is not a number from 1 to 60"),
        ({"duration_s": "5"}, "duration_s: '5' is not a number"),
        ({"distractor": 1.5}, "distractor: 1.5 is not a number from 0 to 1"),
        ({"snr_db": [22, 3]}, r"snr_db: \[22, 3\] is not \[lowest, highest\]"),
        ({"snr_db": 3}, "snr_db: 3 is not"),
        ({"snr_db": "36"}, "snr_db: '36' is not"),
        ({"sede": 1}, "unknown option 'sede'; did you mean 'seed'"),
    ],
)
def test_wrong_options(tmp_path, options, expected):
    with pytest.raises(ParameterError, match=expected):
        datasets.prepare("synthetic", [], tmp_path / "clips", options=options)
    assert not list(tmp_path.rglob("*.wav"))


def test_the_options_of_the_documentation():
    assert read_options(synthetic.DATASET, {}) == Options(40, 5.0, 0, (3.0, 22.0), 0.35)
    assert read_options(synthetic.DATASET, {"snr_db": [1, 2]}).snr_db == (1.0, 2.0)


@pytest.mark.parametrize(("clips_per_class", "folds"), [(2, 1), (3, 2), (8, 4), (9, 5), (40, 5)])
def test_folds_that_hold_clips(clips_per_class, folds):
    numbers = range(clips_per_class * len(CLASSES))
    assert {describe(number).fold for number in numbers} == set(range(1, folds + 1))
    assert synthetic.folds(Options(clips_per_class)) == folds
