"""A soundscape: events over a background, clean or as a microphone in a room hears them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from soundgate.audio.datasets.synthetic.scene import Microphone
from soundgate.audio.datasets.synthetic.synthesis import (
    SAMPLE_RATE_HZ,
    add,
    band_pass,
    fft_length,
    frequencies_hz,
    length,
    log_uniform,
    noise,
    ramps,
    rms,
    times_s,
    uniform,
    white,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.random import RandomState

    from soundgate.audio.datasets.synthetic.soundscapes.sounds import Heard
    from soundgate.audio.datasets.synthetic.synthesis import Wave

Domain = Literal["clean", "recorded"]
SNR_DB: Final = (0.0, 15.0)
"""Of an event, where it sounds, over the background."""
_GAP_S: Final = 0.2
"""Least time between two events of a class."""
_SILENT: Final = 0.02
"""Of an event's peak: what is below at its ends is cut off, so that its times are true."""
_ROOM_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class Placed:
    """An event in a soundscape."""

    label: str
    onset_s: float
    offset_s: float


def render(
    random: RandomState,
    classes: Mapping[str, Heard],
    domain: Domain,
    seconds: float,
    events: tuple[int, int],
) -> tuple[Wave, list[Placed]]:
    """Render a soundscape.

    Args:
        random: everything is drawn from it.
        classes: what may sound.
        domain: "recorded" has hum, a room and a microphone.
        seconds: its length.
        events: least and most that are tried; those that would touch one of their class are not
            placed.

    Returns:
        Samples float32 (sample,) at 16 kHz in -1..1, and the events by onset.
    """
    samples = length(seconds)
    wave = _background(random, domain, samples)
    placed: list[Placed] = []
    for _ in range(random.randint(events[0], events[1] + 1)):
        label = list(classes)[random.randint(len(classes))]
        sound = _event(random, classes[label])
        start = random.randint(0, max(1, samples - int(0.3 * sound.size)))
        sound = sound[: samples - start]
        onset_s, offset_s = start / SAMPLE_RATE_HZ, (start + sound.size) / SAMPLE_RATE_HZ
        if any(_near(each, label, onset_s, offset_s) for each in placed):
            continue
        add(wave, sound, start, 10 ** (uniform(random, *SNR_DB) / 20))
        placed.append(Placed(label, onset_s, offset_s))
    if domain == "recorded":
        wave = _in_a_room(random, wave)
    level = 10 ** (uniform(random, -26, -12) / 20)
    heard: Wave = wave * np.float32(level / max(float(np.abs(wave).max()), 1e-9))
    return heard, sorted(placed, key=lambda each: (each.onset_s, each.label))


def _near(placed: Placed, label: str, onset_s: float, offset_s: float) -> bool:
    apart = onset_s > placed.offset_s + _GAP_S or offset_s < placed.onset_s - _GAP_S
    return placed.label == label and not apart


def _event(random: RandomState, heard: Heard) -> Wave:
    """A sound of RMS 1 without silence at its ends."""
    samples = length(uniform(random, *heard.seconds))
    wave = heard.sound.draw(random).render(random, samples) * ramps(samples, 0.01, 0.02)
    loud = np.flatnonzero(np.abs(wave) > _SILENT * np.abs(wave).max())
    wave = wave[loud[0] : loud[-1] + 1]
    found: Wave = wave / np.float32(max(rms(wave), 1e-9))
    return found


def _background(random: RandomState, domain: Domain, samples: int) -> Wave:
    """Noise of RMS 1: pink, with hum and a band of its own where it is recorded."""

    def pink(frequency_hz: Wave) -> Wave:
        return np.maximum(frequency_hz, 30) ** np.float32(-0.5)

    wave = noise(random, samples, pink)
    if domain == "recorded":
        wave += np.float32(0.7) * np.sin(np.float32(2 * np.pi * 50) * times_s(samples))
        band = band_pass(log_uniform(random, 200, 2000), log_uniform(random, 2500, 7000), 2)
        wave += np.float32(0.4) * noise(random, samples, band)
    found: Wave = wave / np.float32(rms(wave))
    return found


def _in_a_room(random: RandomState, wave: Wave) -> Wave:
    """The sound with the echo of a room, through a microphone."""
    tail = length(_ROOM_S)
    size = fft_length(wave.size + tail)
    room = np.zeros(size, np.float32)
    fall = np.exp(-times_s(tail) / np.float32(uniform(random, 0.02, 0.06)))
    room[:tail] = np.float32(0.12) * white(random, tail) * fall
    room[0] = 1
    response = Microphone.draw(random).response(frequencies_hz(size))
    spectrum = np.fft.rfft(wave, size) * np.fft.rfft(room) * response
    found: Wave = np.fft.irfft(spectrum, size)[: wave.size].astype(np.float32)
    return found
