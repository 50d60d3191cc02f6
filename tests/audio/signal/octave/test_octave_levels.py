"""Levels in bands: of tones, noise and a machine, beside scipy, two instruments and three peers."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import soundfile
import torch
from scipy import signal

from soundgate.audio.signal.octave import levels_torch
from soundgate.audio.signal.octave.bands import bands
from soundgate.audio.signal.octave.filters import sections
from soundgate.audio.signal.octave.levels import OctaveLevels, levels
from soundgate.errors import ConfigError, DataError

RATE_HZ = 48_000


def on_cpu(samples, found, rate_hz, **settings):
    return levels(samples, found, rate_hz, **settings)


def in_batches(samples, found, rate_hz, **settings):
    waves = torch.from_numpy(samples)[None]
    return levels_torch.levels(waves, found, rate_hz, **settings)[0].numpy()


WIDER_DB = 10 * np.log10((np.pi / 8) / np.sin(np.pi / 8))
"""How much more noise a Butterworth filter of order 4 passes than its band holds: 0.11 dB."""

both = pytest.mark.parametrize("measure", [on_cpu, in_batches])


def tone(frequency_hz, amplitude, seconds=4.0, rate_hz=RATE_HZ):
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    return amplitude * np.sin(2 * np.pi * frequency_hz * time_s)


@both
@pytest.mark.parametrize("per_octave", [1, 3, 12, 24])
def test_levels_are_those_of_scipy_in_float64(per_octave, measure):
    """White noise, whose low bands float32 filters miss by decibels."""
    rate_hz, block = 8_000, 800
    samples = np.random.default_rng(per_octave).standard_normal(2 * rate_hz)
    # spectra must be padded by a minute and more for the lowest bands of 1/24 octave
    found = bands(per_octave, rate_hz, lowest_hz=20 if measure is on_cpu else 20 * per_octave)
    measured = measure(samples, found, rate_hz)
    expected = [
        10 * np.log10((signal.sosfilt(sos, samples).reshape(-1, block) ** 2).mean(axis=1))
        for sos in sections(found, rate_hz)
    ]
    assert measured.shape == (20, len(found))
    exact = 1e-9 if measure is on_cpu else 1e-3
    np.testing.assert_allclose(measured, np.transpose(expected), atol=exact)


@both
def test_a_tone_has_its_level_in_its_band_and_half_the_power_on_an_edge(measure):
    found = bands(3, RATE_HZ)
    at = [round(each.mid_hz) for each in found].index(1000)
    whole = {"block_s": 2.0}
    centre = measure(tone(1000, 0.5), found, RATE_HZ, **whole)[1]
    assert centre[at] == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=0.02)
    assert np.delete(centre, at).max() < centre[at] - 20
    edge = measure(tone(found[at].upper_hz, 0.5), found, RATE_HZ, **whole)[1]
    for band in (at, at + 1):
        assert edge[band] == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)) - 3.01, abs=0.02)


@both
def test_levels_are_relative_to_the_reference(measure):
    """1 Pa is 94 dB re 20 micropascals."""
    found = bands(1, RATE_HZ)
    samples = tone(1000, np.sqrt(2))
    measured = measure(samples, found, RATE_HZ, block_s=2.0, reference=2e-5)[1]
    assert measured.max() == pytest.approx(93.98, abs=0.02)


@both
def test_bands_of_noise_add_up_to_its_power(measure):
    samples = np.random.default_rng(5).standard_normal(4 * RATE_HZ)
    found = bands(3, RATE_HZ)
    total = 10 * np.log10((10 ** (measure(samples, found, RATE_HZ, block_s=2.0)[1] / 10)).sum())
    covered = (found[-1].upper_hz - found[0].lower_hz) / (RATE_HZ / 2)
    assert total == pytest.approx(10 * np.log10(covered) + WIDER_DB, abs=0.1)


@both
def test_silence_has_a_level(measure):
    assert (measure(np.zeros(9_600), bands(3, RATE_HZ), RATE_HZ) == -300).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_recording_in_parts_has_the_same_levels(dtype):
    samples = np.random.default_rng(2).standard_normal(30_011).astype(dtype)
    found = bands(3, RATE_HZ)
    made = OctaveLevels(found, RATE_HZ)
    cuts = np.split(samples, [1, 4_799, 4_800, 14_400, 14_400, 29_000])
    parts = np.concatenate([made.push(part) for part in cuts])
    np.testing.assert_array_equal(parts, levels(samples, found, RATE_HZ))
    assert len(parts) == 6
    rest = made.rest()
    assert rest is not None
    assert rest.shape == (len(found),)
    assert OctaveLevels(found, RATE_HZ).rest() is None


def test_the_end_of_a_clip_does_not_wrap_onto_its_beginning():
    """Products of spectra wrap where they are not padded far enough."""
    samples = np.zeros(RATE_HZ)
    samples[-4_800:] = tone(20, 1.0, 0.1)
    measured = in_batches(samples, bands(24, RATE_HZ)[:3], RATE_HZ)
    assert measured[0].max() < -150


def test_clips_of_a_batch_do_not_meet():
    waves = torch.from_numpy(np.random.default_rng(8).standard_normal((3, 9_600)))
    found = bands(3, RATE_HZ)
    together = levels_torch.levels(waves, found, RATE_HZ)
    for clip, alone in zip(waves, together, strict=True):
        one = levels_torch.levels(clip[None], found, RATE_HZ)[0]
        torch.testing.assert_close(one, alone, atol=1e-9, rtol=0)


@pytest.mark.parametrize(("per_octave", "within_db"), [(1, 0.1), (3, 0.3)])
@pytest.mark.parametrize("signal_name", ["white_noise", "pink_noise"])
def test_noise_has_the_levels_of_its_spectrum(real_data, signal_name, per_octave, within_db):
    """Beside the plain sum of the spectrum within each band, as other tools come to it."""
    folder = real_data("datasets/sec/noctave")
    samples, rate_hz = soundfile.read(folder / f"{signal_name}.flac")
    with (folder / "band_levels_by_peers.csv").open(encoding="utf-8") as file:
        peers = {
            round(float(row["mid_hz"]), 3): float(row["fft_sum_db_re1"])
            for row in csv.DictReader(file)
            if (row["signal"], int(row["bands_per_octave"])) == (signal_name, per_octave)
        }
    found = [b for b in bands(per_octave, rate_hz) if 100 < b.mid_hz < 17_000]
    measured = levels(samples, found, rate_hz, block_s=4.0)[0]
    expected = [peers[min(peers, key=lambda mid, b=b: abs(mid - b.mid_hz))] for b in found]
    np.testing.assert_allclose(measured - WIDER_DB, expected, atol=within_db)


def test_a_motor_has_the_levels_that_an_instrument_measured(real_data):
    """Dominant third octaves of an accelerometer; quiet ones differ between instruments."""
    folder = real_data("datasets/sec/noctave")
    with np.load(folder / "electric_motor_vibration_51200Hz_f32.npz") as held:
        samples = held[held.files[0]].astype(np.float64)
    table = (folder / "electric_motor_vibration_3oct_oros.txt").read_text("utf-8").split("\n")
    rows = [line.split("\t") for line in table[2:] if line.strip()]
    instrument = {float(nominal): float(level) for nominal, level in rows}
    found = bands(3, 51_200)
    seconds = len(samples) // 51_200
    measured = levels(samples, found, 51_200, block_s=float(seconds))[0]
    for nominal_hz in (1_250.0, 2_500.0, 10_000.0):
        at = int(np.argmin([abs(b.mid_hz / nominal_hz - 1) for b in found]))
        expected_db = 20 * np.log10(instrument[nominal_hz])
        assert measured[at] == pytest.approx(expected_db, abs=0.2), nominal_hz


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"block_s": 0.00001}, "block_s: 1e-05 s"), ({"reference": 0.0}, "reference must be above 0")],
)
def test_impossible_settings_are_one_line(settings, message):
    for measure in (on_cpu, in_batches):
        with pytest.raises(ConfigError, match=message):
            measure(np.zeros(4_800), bands(1, RATE_HZ), RATE_HZ, **settings)


def test_what_is_no_waveform_is_refused():
    found = bands(1, RATE_HZ)
    with pytest.raises(DataError, match="one channel"):
        levels(np.zeros((2, 4_800)), found, RATE_HZ)
    with pytest.raises(DataError, match="NaN"):
        levels(np.array([0.0, np.nan]), found, RATE_HZ)
    with pytest.raises(DataError, match="clip, sample"):
        levels_torch.levels(torch.zeros(4_800), found, RATE_HZ)
