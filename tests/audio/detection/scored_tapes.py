"""Corpora and scores of a detector that hears calls well, badly or not, made of numbers alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from soundgate.audio.formats.datasets.corpus import (
    Calls,
    CorpusEntry,
    CorpusIndex,
    CorpusMeta,
    CorpusRecording,
    Distribution,
    write_corpus_index,
)
from soundgate.audio.formats.detections.scores import (
    ScoredBy,
    ScoredRecording,
    ScoresFile,
    Windows,
    Writer,
    arrays_name,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

WINDOW_S, HOP_S = 0.4, 0.1


@dataclass(frozen=True)
class Call:
    """A call of a made recording; ``heard`` is the score of a window that lies in it."""

    start_s: float
    end_s: float
    heard: float = 0.95
    quality: int | None = 1
    label: str = "target"


@dataclass(frozen=True)
class Tape:
    """A made recording."""

    calls: Sequence[Call] = ()
    tape: str = ""
    duration_s: float = 30.0
    heard_nothing: Sequence[Call] = ()
    """What the detector hears although it is not there."""


def write_corpus(folder: Path, tapes: Mapping[str, Tape]) -> CorpusIndex:
    """Write the index of a corpus and, in the place of audio, files that differ."""
    entries, recordings = [], []
    for number, (path, tape) in enumerate(tapes.items()):
        uid = 1000 * (number + 1)
        name = tape.tape or path.rpartition("/")[2].partition(".")[0]
        recordings.append(
            CorpusRecording(
                uid=uid, path=path, duration_s=tape.duration_s, rate_hz=8000, tape=name, raw_uid=uid
            )
        )
        entries += [
            CorpusEntry(
                uid=uid + k + 1,
                clip_path=path,
                quality=call.quality,
                dur_s=call.end_s - call.start_s,
                clip_start_s=call.start_s,
                clip_end_s=call.end_s,
                raw_start_s=call.start_s + 900,
                raw_end_s=call.end_s + 900,
                clip_uid=uid,
                raw_uid=uid,
                label=call.label,
            )
            for k, call in enumerate(tape.calls)
        ]
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(f"{folder.name}/{path}".encode())
    index = CorpusIndex(
        meta=CorpusMeta(
            corpus_name=folder.name,
            n_raw_recordings=len(tapes),
            n_labelled_clips=len(tapes),
            n_hums=len(entries),
        ),
        distribution=Distribution(
            per_clip={"1": Calls(n_hums=len(entries), qualities={})}, per_raw={}
        ),
        entries=tuple(entries),
        recordings=tuple(recordings),
    )
    write_corpus_index(folder, index)
    return index


def write_scores(
    folder: Path,
    tapes: Mapping[str, Tape],
    *,
    regions: Mapping[str, tuple[float, float]] | None = None,
    classes: tuple[str, ...] = ("target",),
    digest: str = "0" * 64,
) -> None:
    """Write what a detector says of the recordings: high where a window's middle is in a call."""
    about = ScoresFile(
        model=ScoredBy(digest=digest), window_s=WINDOW_S, hop_s=HOP_S, class_names=classes
    )
    writer = Writer(folder, about)
    rows = []
    for path, tape in tapes.items():
        start_s, end_s = (regions or {}).get(path, (0.0, tape.duration_s))
        found = scores_of(tape, start_s, end_s, classes)
        row = ScoredRecording(
            path=path,
            file=arrays_name(path, start_s),
            duration_s=tape.duration_s,
            sample_rate_hz=8000,
            region_start_s=start_s,
            region_end_s=end_s,
            windows=len(found.starts_s),
        )
        writer.add(row, found)
        rows.append(row)
    writer.finish(tuple(rows))


def scores_of(tape: Tape, start_s: float, end_s: float, classes: Sequence[str]) -> Windows:
    """Windows of a stretch; where nothing is heard, scores are between 0.01 and 0.05."""
    count = int(np.floor((end_s - start_s - WINDOW_S) / HOP_S + 1e-9)) + 1
    starts = start_s + HOP_S * np.arange(count)
    middle = starts + WINDOW_S / 2
    scores = np.random.default_rng(0).uniform(0.01, 0.05, (count, len(classes)))
    for call in (*tape.calls, *tape.heard_nothing):
        inside = (middle > call.start_s) & (middle < call.end_s)
        column = classes.index(call.label) if call.label in classes else 0
        scores[inside, column] = call.heard
    logits = np.log(scores / (1 - scores))
    return Windows(starts, scores.astype(np.float32), logits.astype(np.float32))
