"""Small corpora: tapes of noise in which calls are tones of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from soundgate.audio.datasets.corpora.indexing.index import Call, Recording, build_index
from soundgate.audio.files.reading import write
from soundgate.audio.formats.datasets.corpus import write_corpus_index

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from soundgate.audio.formats.datasets.corpus import CorpusIndex

RATE_HZ = 8000


def recording(path: str, tape: str, seconds: float = 20.0, start_s: float = 0.0) -> Recording:
    return Recording(path=path, duration_s=seconds, rate_hz=RATE_HZ, tape=tape, raw_start_s=start_s)


def calls(path: str, starts_s: Iterable[float], length_s: float = 0.5) -> list[Call]:
    """Calls of qualities 1, 2, 3, 1 ..."""
    return [
        Call(path=path, start_s=at, end_s=round(at + length_s, 3), quality=number % 3 + 1)
        for number, at in enumerate(starts_s)
    ]


def index_of(tapes: int, calls_each: int = 6, seconds: float = 20.0) -> CorpusIndex:
    """Tapes of one recording each; the last has no calls."""
    paths = [f"tapes/t{number}.wav" for number in range(tapes)]
    listed = [
        recording(path, f"t{number}_20250{number + 1}04") for number, path in enumerate(paths)
    ]
    step = seconds / calls_each
    found = [
        call for path in paths[:-1] for call in calls(path, [step * k for k in range(calls_each)])
    ]
    return build_index("toy", listed, found)


def write_corpus(folder: Path, index: CorpusIndex, seed: int = 0) -> Path:
    """Write recordings of weak noise with a loud constant tone in every call, and the index."""
    for each in index.recordings:
        generator = np.random.RandomState(seed + each.uid)
        samples = 0.01 * generator.standard_normal(round(each.duration_s * each.rate_hz))
        for entry in index.entries:
            if entry.clip_path == each.path:
                add_tone(samples, entry.clip_start_s, entry.clip_end_s, each.rate_hz)
        (folder / each.path).parent.mkdir(parents=True, exist_ok=True)
        write(folder / each.path, samples.astype("float32"), each.rate_hz)
    write_corpus_index(folder, index)
    return folder


def add_tone(samples: np.ndarray, start_s: float, end_s: float, rate_hz: int) -> None:
    """Add a tone to a stretch, in place."""
    first, last = round(start_s * rate_hz), round(end_s * rate_hz)
    samples[first:last] += 0.5 * np.sin(np.arange(last - first) * 0.8)


def loud(samples: Sequence[float] | np.ndarray) -> bool:
    """Whether there is a tone."""
    return bool(np.abs(samples).max() > 0.3)
