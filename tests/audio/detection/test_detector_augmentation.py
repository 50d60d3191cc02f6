"""Pitch, stretch, level and noise change training windows by what was drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from toy_calls import RATE, noise

from soundgate.audio.config.spot import DetectorAugmentation
from soundgate.audio.detection.training.augmentation import Augmenter
from soundgate.audio.detection.training.windows import PURPOSES, Drawn, Pieces
from soundgate.audio.signal.front_ends.detector import DetectorFrontEnd, DetectorFrontEndSettings

CPU = torch.device("cpu")
WINDOW = 8192
SETTINGS = DetectorFrontEndSettings(
    sample_rate_hz=RATE,
    n_fft=1024,
    hop_length=256,
    fmin_hz=0,
    fmax_hz=8000,
    n_freq_bins=512,
    pre_emphasis=0,
    normalisation="reference",
    min_level_db=-120,
)
NOTHING = {"amplitude_db": None, "pitch": None, "stretch": None, "snr_db": None}


def levels(waves, share=0.5, added=None, **changes):
    """Levels in dB (frame, bin) of the first window after one change."""
    front = DetectorFrontEnd(SETTINGS)
    spec = DetectorAugmentation(**(NOTHING | changes))
    shares = {name: np.full(1, share) for name in PURPOSES} | {"noise": np.zeros(1)}
    pieces = Pieces(
        Drawn(np.zeros(1, np.int64), shares),
        torch.from_numpy(waves)[None],
        None if added is None else torch.from_numpy(added)[None],
        torch.zeros(1, dtype=torch.int64),
    )
    images = Augmenter(spec, front, WINDOW)(pieces, CPU)[0, 0]
    return (images * 120 - 100).numpy()


def tone(hz, samples=WINDOW):
    return (0.3 * np.sin(2 * np.pi * hz * np.arange(samples) / RATE)).astype(np.float32)


def test_nothing_asked_for_changes_nothing():
    waves = tone(1000) + noise(WINDOW / RATE, 1)
    front = DetectorFrontEnd(SETTINGS)
    plain = (front(torch.from_numpy(waves)[None])[0, 0] * 120 - 100).numpy()
    assert np.allclose(levels(waves), plain, atol=1e-4)
    assert np.allclose(levels(waves, pitch=(1, 1), stretch=(1, 1)), plain, atol=0.1)
    assert np.allclose(levels(waves, enabled=False, pitch=(2, 2)), plain, atol=1e-4)


@pytest.mark.parametrize("factor", [0.5, 1.5])
def test_pitch_moves_a_tone_by_its_factor(factor):
    found = levels(tone(2000), pitch=(factor, factor))
    assert found.mean(0).argmax() == round(2000 * factor / RATE * 1024)


def test_a_lower_pitch_leaves_the_top_silent():
    found = levels(noise(WINDOW / RATE, 2), pitch=(0.5, 0.5))
    assert found[:, 258:].max() == pytest.approx(-100, abs=20.1)
    assert found[:, :250].mean() > found[:, 258:].mean() + 40


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_stretch_moves_what_is_off_the_middle(factor):
    samples = 2 * WINDOW
    waves = np.zeros(samples, np.float32)
    off = 1024
    middle = samples // 2 + off
    waves[middle - 512 : middle + 512] = tone(2000, 1024) * np.hanning(1024)
    found = levels(waves, stretch=(factor, factor)).max(1)
    frame = (WINDOW / 2 + off * factor - 512) / 256
    assert found.argmax() == pytest.approx(frame, abs=0.6)


def test_amplitude_moves_levels_by_decibels():
    plain, found = levels(tone(1000)), levels(tone(1000), amplitude_db=(-6, -6))
    loud = plain > -60
    assert np.allclose((found - plain)[loud], -6, atol=1e-3)
    drawn = levels(tone(1000), share=0.25, amplitude_db=(-6, 2))
    assert np.allclose((drawn - plain)[loud], -4, atol=1e-3)


@pytest.mark.parametrize("snr_db", [0.0, 10.0])
def test_noise_is_added_at_the_drawn_distance(snr_db):
    waves, added = tone(1000), noise(WINDOW / RATE, 4) * 3
    found = levels(waves, added=added, snr_db=(snr_db, snr_db))
    own = 10 ** (levels(waves) / 10)
    rest = (10 ** (found / 10) - own).clip(0)
    assert 10 * np.log10(own.mean() / rest.mean()) == pytest.approx(snr_db, abs=0.05)
