"""Recordings and mixtures made of single notes, with exact labels, as tables for ``csv:``.

    python -m benchmarks.tagging_notes NOTES FOLDER [--shares 0.6 0.15]

``NOTES`` has a folder of audio for each instrument. Its notes are divided, so that none is on two
sides. ``FOLDER`` gets

    training/clips.csv     recordings of one instrument: notes one after another, 40 an instrument
    validation/clips.csv   mixtures of 1 to 3 instruments, each playing notes at a level of its own
    test/clips.csv         likewise; left out where ``--shares`` leave it no notes
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    Waveform = npt.NDArray[Any]
    Notes = Mapping[str, Sequence[Waveform]]
    OwnNotes = dict[str, list[Waveform]]

RATE_HZ = 16_000
SECONDS = 5.0
RECORDINGS, VALIDATION, TEST = 40, 60, 120
LEVEL_DB, SPREAD_DB = -20.0, 5.0
SHORTEST_S, LONGEST_S, FADE_S, REST_S = 0.4, 1.6, 0.02, 0.2


@dataclass(frozen=True)
class Clip:
    """A sound and the instruments in it."""

    labels: tuple[str, ...]
    samples: Waveform
    """Float32 (sample,) at ``RATE_HZ``."""


def read_notes(folder: Path) -> OwnNotes:
    """The notes of each instrument, in the order of their names."""
    from soundgate.audio.files import reading

    found = {}
    for each in sorted(path for path in folder.iterdir() if path.is_dir()):
        files = sorted(reading.find(each))
        found[each.name] = [reading.load(file, sample_rate_hz=RATE_HZ) for file in files]
    return found


def divided(notes: Notes, shares: Sequence[float], seed: int = 120) -> list[OwnNotes]:
    """Training, validation and test notes of each instrument; no note is on two sides."""
    sides: list[OwnNotes] = [{}, {}, {}]
    for number, (label, own) in enumerate(notes.items()):
        order = np.random.default_rng([seed, number]).permutation(len(own))
        first = round(shares[0] * len(own))
        second = first + max(2, round(shares[1] * len(own)))
        for side, part in zip(sides, np.split(order, [first, second]), strict=True):
            if len(part):
                side[label] = [own[k] for k in part]
    return sides


def recordings(notes: Notes, count: int, seed: int) -> list[Clip]:
    """``count`` recordings of each instrument alone."""
    found = []
    for number, (label, own) in enumerate(notes.items()):
        for k in range(count):
            line = melody(own, np.random.default_rng([seed, number, k]))
            found.append(Clip((label,), _full_scale(at_level(line, LEVEL_DB))))
    return found


def mixtures(notes: Notes, count: int, seed: int) -> list[Clip]:
    """Mixtures of 1 to 3 instruments, two or three twice as often as one."""
    found = []
    for k in range(count):
        rng = np.random.default_rng([seed, k])
        labels = tuple(sorted(rng.choice(list(notes), rng.choice((1, 2, 2, 3, 3)), replace=False)))
        parts = [
            at_level(melody(notes[label], rng), rng.uniform(-SPREAD_DB, SPREAD_DB))
            for label in labels
        ]
        found.append(Clip(labels, _full_scale(at_level(np.sum(parts, 0), LEVEL_DB))))
    return found


def melody(notes: Sequence[Waveform], rng: np.random.Generator) -> Waveform:
    """Notes one after another, some with a rest between them, for ``SECONDS``."""
    samples = round(SECONDS * RATE_HZ)
    found = np.zeros(samples, np.float32)
    start = int(rng.uniform(0, 0.5) * RATE_HZ)
    while start < samples - SHORTEST_S * RATE_HZ:
        note = notes[int(rng.integers(len(notes)))]
        length = int(rng.uniform(SHORTEST_S, LONGEST_S) * RATE_HZ)
        note = note[: min(length, samples - start)].copy()
        fade = min(len(note), round(FADE_S * RATE_HZ))
        note[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
        found[start : start + len(note)] += note
        start += len(note) + int(rng.choice((0, 0, REST_S)) * RATE_HZ)
    return found


def at_level(samples: Waveform, level_db: float) -> Waveform:
    """The samples at a root mean square of ``level_db`` below full scale."""
    rms = np.sqrt(np.square(samples).mean())
    return np.asarray(samples * (10 ** (level_db / 20) / max(rms, 1e-6)), np.float32)


def write(folder: Path, clips: Sequence[Clip], labels: Sequence[str]) -> Path:
    """Write the clips as 16-bit FLAC, and the table of them; return its path."""
    from soundgate.audio.files import reading

    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number, clip in enumerate(clips):
        name = f"{'_'.join(clip.labels)}_{number:04d}.flac"
        reading.write(folder / name, clip.samples, RATE_HZ)
        there = {label: int(label in clip.labels) for label in labels}
        rows.append({"file": name, "source": f"{folder.name}_{name}", **there})
    with (folder / "clips.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return folder / "clips.csv"


def make(notes: Path, folder: Path, shares: Sequence[float]) -> OwnNotes:
    """Write the tables; return the training notes, of which peers make mixtures of their own."""
    known = read_notes(notes)
    labels = list(known)
    training, validation, test = divided(known, shares)
    write(folder / "training", recordings(training, RECORDINGS, 5), labels)
    write(folder / "validation", mixtures(validation, VALIDATION, 2), labels)
    if test:
        write(folder / "test", mixtures(test, TEST, 3), labels)
    return training


def _full_scale(samples: Waveform) -> Waveform:
    return np.asarray(samples / max(1.0, np.abs(samples).max() / 0.98), np.float32)


def main() -> None:
    """Make the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("notes", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--shares", type=float, nargs=2, default=[0.6, 0.15])
    arguments = parser.parse_args()
    make(arguments.notes, arguments.folder, arguments.shares)


if __name__ == "__main__":
    main()
