"""Renders tapes, block by block: only the calls of a tape are held whole.

Tape n depends on (seed, n) and the options only. What is heard besides the calls (chirps above
them, footsteps, crackling, wind) is not labelled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import soundfile
from numpy.random import RandomState

from soundgate.audio.datasets.corpora.indexing.index import Call, Recording, build_index
from soundgate.audio.datasets.synthetic.sounds import SOUNDS
from soundgate.audio.datasets.synthetic.synthesis import (
    SAMPLE_RATE_HZ,
    add,
    band_pass,
    length,
    log_uniform,
    noise,
    rms,
    uniform,
    wander,
)
from soundgate.audio.datasets.synthetic.tapes.calls import CALLS, HIGH_HZ, LOW_HZ, chirps
from soundgate.audio.formats.datasets.corpus import write_corpus_index
from soundgate.errors import DataError
from soundgate.text.progress import track

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from soundgate.audio.datasets.synthetic.synthesis import Wave
    from soundgate.audio.datasets.synthetic.tapes.options import TapeOptions
    from soundgate.audio.formats.datasets.corpus import CorpusIndex

SNR_DB: Final = {1: (2.0, 6.0), 2: (8.0, 13.0), 3: (15.0, 22.0)}
"""Level of a call above the background, within the band of the calls, by quality."""
QUALITIES: Final = (1, 2, 2, 3, 3)
"""Each as likely: poor calls are the rarest."""
OTHERS: Final = ("footsteps", "crackle", "clock_tick", "wind")

_BLOCK_S: Final = 20
_FADE_S: Final = 0.25
_LEAST_GAP_S: Final = 0.7
_LONGEST_S: Final = 1.2
_LEVEL: Final = 0.02
# Streams of random numbers of a tape: (seed, tape, stream).
_PLACES, _SOUNDS, _BACKGROUND, _OTHERS, _TAPE = range(5)


class _Heard(NamedTuple):
    """A sound at a sample of the tape."""

    start: int
    sound: Wave


@dataclass(frozen=True, slots=True)
class _Tape:
    """What a tape is recorded with."""

    path: str
    name: str
    colour: tuple[float, float]
    level: float


def render(out: Path, options: TapeOptions) -> CorpusIndex:
    """Write a corpus: 16-bit WAVs at 16 kHz below ``recordings/``, and its index.

    Raises:
        DataError: a file cannot be written.
    """
    (out / "recordings").mkdir(parents=True, exist_ok=True)
    total = options.tapes + options.silent_tapes
    recordings, calls = [], []
    for number in track(range(total), total=total, label="render tapes"):
        tape = _tape(number, options)
        placed = _calls(number, options, tape) if number < options.tapes else []
        _write(out, tape, number, options, [heard for heard, _ in placed])
        calls += [call for _, call in placed]
        recordings.append(
            Recording(
                path=tape.path,
                duration_s=length(options.tape_s) / SAMPLE_RATE_HZ,
                rate_hz=SAMPLE_RATE_HZ,
                tape=tape.name,
            )
        )
    index = build_index(f"synthetic-{options.seed}", recordings, calls)
    write_corpus_index(out, index)
    return index


def _random(number: int, options: TapeOptions, stream: int) -> RandomState:
    return RandomState([options.seed, number, stream])


def _tape(number: int, options: TapeOptions) -> _Tape:
    random = _random(number, options, _TAPE)
    name = f"s{options.seed}t{number:03d}_2025{number % 12 + 1:02d}{number % 28 + 1:02d}_cut"
    colour = (log_uniform(random, 20, 120), log_uniform(random, 500, 3000))
    level = _LEVEL * log_uniform(random, 0.5, 2)
    return _Tape(f"recordings/{name}.wav", name, colour, level)


def _calls(number: int, options: TapeOptions, tape: _Tape) -> list[tuple[_Heard, Call]]:
    """The calls of a tape, in order of time."""
    places, sounds = (_random(number, options, stream) for stream in (_PLACES, _SOUNDS))
    wait_s = max(60 / options.calls_per_minute - _LEAST_GAP_S - 0.6, 0.05)
    found: list[tuple[_Heard, Call]] = []
    end_s = 0.0
    while True:
        overlaps = bool(found) and places.random_sample() < options.overlap
        gap_s = _LEAST_GAP_S + float(places.exponential(wait_s))
        start = length(end_s - 0.15 if overlaps else end_s + gap_s)
        if start / SAMPLE_RATE_HZ > options.tape_s - _LONGEST_S:
            return found
        heard, call = _call(start, sounds, tape)
        found.append((heard, call))
        end_s = max(end_s, call.end_s)


def _call(start: int, random: RandomState, tape: _Tape) -> tuple[_Heard, Call]:
    label = list(CALLS)[random.randint(len(CALLS))]
    quality = QUALITIES[random.randint(len(QUALITIES))]
    sound = CALLS[label](random)
    over = 10 ** (uniform(random, *SNR_DB[quality]) / 20)
    heard = _Heard(start, sound * np.float32(over * tape.level * _share_in_band(tape)))
    return heard, Call(
        path=tape.path,
        start_s=round(start / SAMPLE_RATE_HZ, 6),
        end_s=round((start + sound.size) / SAMPLE_RATE_HZ, 6),
        quality=quality,
        label=label,
        low_hz=LOW_HZ,
        high_hz=HIGH_HZ,
    )


def _share_in_band(tape: _Tape) -> float:
    """RMS of the background within the band of the calls, over its whole RMS."""
    hertz = np.linspace(0, SAMPLE_RATE_HZ / 2, 4096, dtype=np.float32)
    power = band_pass(*tape.colour, 1)(hertz).astype(np.float64) ** 2
    inside = power[(hertz >= LOW_HZ) & (hertz <= HIGH_HZ)].sum() / power.sum()
    return float(np.sqrt(inside))


def _write(out: Path, tape: _Tape, number: int, options: TapeOptions, calls: list[_Heard]) -> None:
    heard = sorted([*calls, *_others(number, options, tape)], key=lambda each: each.start)
    path = out / tape.path
    try:
        with soundfile.SoundFile(path, "w", SAMPLE_RATE_HZ, 1, "PCM_16", format="WAV") as file:
            for start, block in _background(number, options, tape):
                for each in heard:
                    if each.start < start + block.size and each.start + each.sound.size > start:
                        skipped = max(0, start - each.start)
                        add(block, each.sound[skipped:], max(0, each.start - start))
                file.write(np.clip(block, -1, 1))
    except soundfile.LibsndfileError as error:
        raise DataError(f"{path}: cannot be written: {error.error_string}") from error


def _background(number: int, options: TapeOptions, tape: _Tape) -> Iterator[tuple[int, Wave]]:
    """Blocks of coloured noise that fade into one another, with their first samples."""
    random = _random(number, options, _BACKGROUND)
    total, step, fade = length(options.tape_s), length(_BLOCK_S), length(_FADE_S)
    # cosine and sine: the sum of two independent noises keeps its level
    rise = np.sin(np.linspace(0, np.pi / 2, fade, dtype=np.float32))
    tail = None
    for start in range(0, total, step):
        made = noise(random, step + fade, band_pass(*tape.colour, 1))
        made *= np.float32(tape.level) * wander(random, made.size, 0.3, 0.15)
        if tail is not None:
            made[:fade] = made[:fade] * rise + tail * rise[::-1]
        tail = made[step:].copy()
        yield start, made[: min(step, total - start)]


def _others(number: int, options: TapeOptions, tape: _Tape) -> list[_Heard]:
    """Sounds that are no calls."""
    random = _random(number, options, _OTHERS)
    found = []
    for _ in range(round(options.tape_s / 60 * options.calls_per_minute / 2)):
        start = int(random.randint(max(1, length(options.tape_s) - SAMPLE_RATE_HZ)))
        found.append(_Heard(start, _other(random) * np.float32(tape.level)))
    return found


def _other(random: RandomState) -> Wave:
    """A sound of RMS 1 to 4."""
    gain = np.float32(log_uniform(random, 1, 4))
    if random.randint(2):
        return chirps(random) * gain
    samples = length(uniform(random, 0.5, 1.5))
    sound = SOUNDS[OTHERS[random.randint(len(OTHERS))]].draw(random).render(random, samples)
    return sound / np.float32(max(rms(sound), 1e-6)) * gain
