"""What a system said of clips, from DCASE tables: scores, boxes or detections at thresholds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from soundgate.audio.clips.annotations.dcase import (
    ScoreTable,
    StrongList,
    clip_name,
    read_scores,
    read_strong,
)
from soundgate.audio.clips.annotations.text import read_text
from soundgate.audio.detection.sound_events.truth import part_of
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from soundgate.audio.clips.annotations.event import Event


@dataclass(frozen=True, slots=True)
class Frames:
    """Scores of frames of each clip."""

    classes: tuple[str, ...]
    tables: Mapping[str, ScoreTable]
    """By clip; all have the same classes."""

    def recordings(self) -> dict[str, list[tuple[float, ScoreTable]]]:
        """Windows of each recording, with the second at which they start."""
        found: dict[str, list[tuple[float, ScoreTable]]] = {}
        for clip, table in self.tables.items():
            part = part_of(clip)
            found.setdefault(part.recording, []).append((part.start_s, table))
        return found


@dataclass(frozen=True, slots=True)
class Boxes:
    """Detections with a confidence each."""

    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class OperatingPoints:
    """Detections at some thresholds; one list for each."""

    lists: tuple[tuple[Event, ...], ...]
    thresholds: tuple[float, ...] = ()
    """Of each list, where they are known."""


System = Frames | Boxes | OperatingPoints


def read_system(path: Path) -> System:
    """Read what a system said.

    Args:
        path: a folder of score tables, one a clip; a folder of strong lists, one a threshold; or a
            strong list: with a column ``confidence`` boxes, with ``threshold`` detections at
            several, otherwise detections at one.

    Raises:
        DataError: it cannot be read, or is none of these.
    """
    if not path.is_dir():
        return _of_list(path, read_strong(path))
    files = sorted(each for each in path.iterdir() if each.suffix in {".tsv", ".csv", ".txt"})
    if not files:
        raise DataError(f"{path}: holds no .tsv files")
    if _is_scores(files[0]):
        return frames_of((clip_name(each.stem), each, read_scores(each)) for each in files)
    return OperatingPoints(tuple(read_strong(each).events for each in files))


def frames_of(tables: Iterator[tuple[str, Path, ScoreTable]]) -> Frames:
    """Score tables of clips, with the classes of the first in its order.

    Raises:
        DataError: one has other classes.
    """
    found: dict[str, ScoreTable] = {}
    classes: tuple[str, ...] = ()
    for clip, path, table in tables:
        classes = classes or table.classes
        if set(table.classes) != set(classes):
            odd = min(set(table.classes) ^ set(classes))
            raise DataError(f"{path}: other score tables differ from it in the class {odd!r}")
        found[clip] = with_classes(table, classes)
    return Frames(classes, found)


def with_classes(table: ScoreTable, classes: Sequence[str]) -> ScoreTable:
    """A table with some of its classes, in another order."""
    if table.classes == tuple(classes):
        return table
    at = [table.classes.index(name) for name in classes]
    return ScoreTable(tuple(classes), table.edges_s, table.scores[:, at])


def _is_scores(path: Path) -> bool:
    first = read_text(path).split("\n", 1)[0].split("\t")
    return [cell.strip().lower() for cell in first[:2]] == ["onset", "offset"]


def _of_list(path: Path, listed: StrongList) -> System:
    if listed.thresholds:
        by_threshold: dict[float, list[Event]] = {}
        for event, threshold in zip(listed.events, listed.thresholds, strict=True):
            by_threshold.setdefault(threshold, []).append(event)
        ordered = sorted(by_threshold)
        return OperatingPoints(tuple(tuple(by_threshold[at]) for at in ordered), tuple(ordered))
    if listed.has_confidence:
        if any(event.score is None for event in listed.events):
            raise DataError(f"{path}: a detection has no confidence, though others have one")
        return Boxes(listed.events)
    return OperatingPoints((listed.events,))


def events_of(system: System) -> Iterator[Event]:
    """Yield every detection of every threshold; none of score tables."""
    match system:
        case Boxes(events):
            yield from events
        case OperatingPoints(lists):
            for each in lists:
                yield from each
