"""The calls that a detector should have found, in the recordings that it was run on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from soundgate.audio.formats.datasets.corpus import entries_by_recording
from soundgate.audio.metrics.events.intervals import Intervals
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from soundgate.audio.formats.datasets.corpus import CorpusEntry, CorpusIndex
    from soundgate.audio.metrics.events.intervals import Floats, Ints


@dataclass(frozen=True, slots=True)
class Region:
    """A stretch of a recording in which all calls are known."""

    path: str
    """As the corpus index names the recording."""
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Truth:
    """Calls, and the recordings that they are in."""

    events: Intervals
    """``clip`` is the number of the recording, ``label`` that of the class."""
    qualities: Ints
    """Int64 (event,): the annotator's grade; 0 where there is none."""
    classes: tuple[str, ...]
    recordings: tuple[str, ...]
    tapes: tuple[str, ...]
    """Of each recording; recordings of one tape are not independent of one another."""
    seconds: Floats
    """Float64 (recording,): how much of it was looked at."""

    @property
    def tape_names(self) -> tuple[str, ...]:
        """Each tape once, in the order of the recordings."""
        return tuple(dict.fromkeys(self.tapes))

    @property
    def tape_numbers(self) -> Ints:
        """Int64 (recording,): the number of its tape in ``tape_names``."""
        numbers = {name: number for number, name in enumerate(self.tape_names)}
        return np.array([numbers[tape] for tape in self.tapes], np.int64)


def truth_of(index: CorpusIndex, regions: Sequence[Region], classes: Sequence[str]) -> Truth:
    """The calls of a corpus in some regions.

    A call belongs to the region that its middle lies in; of one that nobody looked at, nothing is
    expected.

    Args:
        index: the corpus.
        regions: what was looked at; a recording may have several.
        classes: what the detector tells apart. A detector of one class that no call is labelled
            with is a detector of all calls.

    Raises:
        DataError: a region is of a recording that the corpus does not have, or no label of a call
            is a class of the detector.
    """
    known = {recording.path: recording for recording in index.recordings}
    looked_at: dict[str, list[Region]] = {}
    for region in regions:
        looked_at.setdefault(region.path, []).append(region)
    paths = tuple(looked_at)
    for path in paths:
        if path not in known:
            raise DataError(f"scores: the recording {path!r} is not in the corpus; predict it anew")
    numbers = _class_numbers(index, classes)
    calls = entries_by_recording(index)
    found = [
        (number, entry)
        for number, path in enumerate(paths)
        for entry in calls[path]
        if entry.label in numbers and _is_in(entry, looked_at[path])
    ]
    return Truth(
        Intervals.of(
            [number for number, _ in found],
            [numbers[entry.label] for _, entry in found],
            [entry.clip_start_s for _, entry in found],
            [entry.clip_end_s for _, entry in found],
        ),
        np.array([entry.quality or 0 for _, entry in found], np.int64),
        tuple(classes),
        paths,
        tuple(known[path].tape for path in paths),
        np.array([_seconds(looked_at[path]) for path in paths], np.float64),
    )


def whole(index: CorpusIndex) -> list[Region]:
    """A region for each recording of a corpus, from its beginning to its end."""
    return [Region(each.path, 0.0, each.duration_s) for each in index.recordings]


def _class_numbers(index: CorpusIndex, classes: Sequence[str]) -> dict[str, int]:
    """The class of each label that counts."""
    if len(classes) == 1 and classes[0] not in index.labels:
        return dict.fromkeys(index.labels, 0)
    numbers = {name: number for number, name in enumerate(classes)}
    if index.labels and not any(label in numbers for label in index.labels):
        raise DataError(
            f"corpus_index.json: label: the calls are {', '.join(index.labels)}, but the detector "
            f"knows {', '.join(classes)}; give the calls its labels"
        )
    return numbers


def _is_in(entry: CorpusEntry, regions: Iterable[Region]) -> bool:
    middle = (entry.clip_start_s + entry.clip_end_s) / 2
    return any(each.start_s <= middle <= each.end_s for each in regions)


def _seconds(regions: Iterable[Region]) -> float:
    """Length of the union of a recording's regions."""
    total, reached = 0.0, 0.0
    for start, end in sorted((each.start_s, each.end_s) for each in regions):
        total += max(end - max(start, reached), 0.0)
        reached = max(reached, end)
    return total
