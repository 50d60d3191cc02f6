"""The ground truth that a system is held against, from DCASE tables."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from soundgate.audio.clips.annotations.event import past_the_end
from soundgate.audio.metrics.events.intervals import Intervals, merged
from soundgate.errors import DataError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from soundgate.audio.clips.annotations.dcase import StrongList
    from soundgate.audio.clips.annotations.event import Event
    from soundgate.audio.metrics.events.intervals import Floats

_WINDOW: Final = re.compile(r"(.+)-(\d+)-(\d+)")


@dataclass(frozen=True, slots=True)
class Truth:
    """Clips, classes and events; numbers of clips and classes are places in the tuples."""

    clips: tuple[str, ...]
    clips_s: Floats
    """Length of each, float64 (clip,)."""
    classes: tuple[str, ...]
    events: Intervals
    """Those of one clip and class do not overlap."""
    rows: int
    """Events of the list, before those that overlap became one."""
    clips_left_out: int = 0
    """Clips of the list that the system says nothing about."""
    events_past_the_end: int = 0
    """Events that end after their clip; they count as they are."""

    @property
    def silent(self) -> tuple[str, ...]:
        """Classes without an event."""
        known = np.bincount(self.events.label, minlength=len(self.classes))
        return tuple(n for n, count in zip(self.classes, known, strict=True) if not count)


@dataclass(frozen=True, slots=True)
class Part:
    """Which stretch of which recording a clip is."""

    recording: str
    start_s: float


def part_of(clip: str) -> Part:
    """The stretch that a clip's name ``RECORDING-FROM-TO`` tells, in hundredths of a second.

    Raises:
        DataError: the name does not end so.
    """
    found = _WINDOW.fullmatch(clip)
    if not found:
        raise DataError(f"clip {clip!r}: a window is called RECORDING-FROM-TO, such as a-0-1000")
    return Part(found[1], int(found[2]) / 100)


def whole_recordings(listed: Sequence[Event]) -> list[Event]:
    """Events of windows as those of their recordings, on the recordings' time."""
    parts = [part_of(event.file) for event in listed]
    return [
        replace(
            event,
            file=part.recording,
            start_s=event.start_s + part.start_s,
            end_s=event.end_s + part.start_s,
        )
        for event, part in zip(listed, parts, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class Reading:
    """How a strong list becomes a ground truth."""

    classes: tuple[str, ...] = ()
    """Those that count; empty: all that are named."""
    least_confidence: float = 0.5
    """Events count whose confidence is above it, where the list has one."""
    windows: bool = False
    """Whether clips are windows of recordings, which are judged whole; see :func:`part_of`."""


def truth_of(
    listed: StrongList, seconds: Mapping[str, float], classes: Sequence[str], reading: Reading
) -> Truth:
    """The ground truth of clips.

    Args:
        listed: its events.
        seconds: length of each clip, or recording, that is judged.
        classes: those that the system knows.
        reading: what counts.

    Raises:
        DataError: an event is of an unknown class, or ends after its clip.
    """
    events: Sequence[Event] = listed.events
    if listed.has_confidence:
        events = [e for e in events if e.score is None or e.score > reading.least_confidence]
    known = reading.classes or tuple(classes)
    events = [e for e in events if _counts(e.label, known, reading)]
    if reading.windows:
        events = whole_recordings(events)
    here = [event for event in events if event.file in seconds]
    for event in here:
        if event.start_s >= seconds[event.file]:
            raise DataError(
                f"{event.file}: an event starts at {event.start_s:g} s, but the clip ends at "
                f"{seconds[event.file]:g} s: check the durations"
            )
    clips = {name: at for at, name in enumerate(sorted(seconds))}
    labels = {name: at for at, name in enumerate(known)}
    found = numbered(here, clips, labels)
    there = {part_of(c).recording if reading.windows else c for c in listed.clips}
    return Truth(
        tuple(clips),
        np.array([seconds[name] for name in clips]),
        known,
        # Windows cut an event into pieces that touch.
        merged(found, touching=reading.windows),
        len(here),
        len(there - set(clips)),
        len(list(past_the_end(here, seconds))),
    )


def numbered(
    events: Sequence[Event], clips: Mapping[str, int], labels: Mapping[str, int]
) -> Intervals:
    """Events with the numbers of their clips and classes."""
    return Intervals.of(
        [clips[event.file] for event in events],
        [labels[event.label] for event in events],
        [event.start_s for event in events],
        [event.end_s for event in events],
    )


def _counts(label: str, known: Sequence[str], reading: Reading) -> bool:
    """Whether a class counts.

    Raises:
        DataError: no class of that name is known.
    """
    if label in known:
        return True
    if reading.classes:
        return False  # it was left out on purpose
    raise DataError(
        f"the ground truth has the class {label!r}, the scores do not{nearest(label, known)}; "
        "name the classes that count with --classes"
    )
