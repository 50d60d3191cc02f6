"""Annotations of soundata and mirdata as labels and events; their classes are alike, not one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Final

from soundgate.audio.clips.manifest import Event

LEAST_CONFIDENCE: Final = 0.5
"""A label that annotators or a soft annotation give less is not one."""

_SECONDS: Final = {"s": 1.0, "seconds": 1.0, "ms": 0.001, "milliseconds": 0.001}


@dataclass(frozen=True, slots=True)
class Annotation:
    """What one attribute says."""

    labels: tuple[str, ...] = ()
    """Each once, in the order in which they come."""
    events: tuple[Event, ...] = ()


def read(value: Any, names: Mapping[str, str], separator: str) -> Annotation:
    """Read tags, events, a name, several names, or probabilities by name.

    Args:
        value: The attribute; of several annotators the first is read.
        names: What values are called; others keep their own name.
        separator: Between several names in one text; "": a text is one name.

    Raises:
        ValueError: the value is of no kind that is known, or its times have an unknown unit.
    """
    if isinstance(getattr(value, "annotations", None), list):
        value = value.annotations[0] if value.annotations else None
    if value is None:
        return Annotation()
    if hasattr(value, "intervals"):
        events = tuple(_events(value, names, separator))
        return Annotation(_once(event.label for event in events), events)
    return Annotation(_once(_names(_certain(value), names, separator)))


def _once(labels: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(labels))


def _certain(value: Any) -> list[Any]:
    if isinstance(value, str | int):
        return [value]
    if isinstance(value, Mapping):
        return [label for label, probability in value.items() if probability >= LEAST_CONFIDENCE]
    if isinstance(value, list | tuple | set | frozenset):
        return sorted(value) if isinstance(value, set | frozenset) else list(value)
    if hasattr(value, "labels"):
        return [label for label, sure in zip(value.labels, _sure(value), strict=False) if sure]
    raise ValueError(f"{type(value).__name__} is neither tags nor events")


def _sure(value: Any) -> Iterable[bool]:
    confidence = getattr(value, "confidence", None)
    if confidence is None:
        return repeat(True)
    return [each >= LEAST_CONFIDENCE for each in confidence]


def _names(values: Iterable[Any], names: Mapping[str, str], separator: str) -> Iterable[str]:
    for value in values:
        text = str(value)
        for part in text.split(separator) if separator else [text]:
            name = part.strip()
            if name:
                yield names.get(name, name)


def _events(value: Any, names: Mapping[str, str], separator: str) -> Iterable[Event]:
    unit = getattr(value, "intervals_unit", None) or getattr(value, "interval_unit", "seconds")
    if unit not in _SECONDS:
        raise ValueError(f"times in {unit!r}, not in seconds")
    # An event that is tracked step by step lasts to the end of its last step.
    step = getattr(value, "time_step", None) or 0.0
    labels = value.events if hasattr(value, "events") else value.labels
    for intervals, label, sure in zip(value.intervals, labels, _sure(value), strict=False):
        for onset, offset in _pairs(intervals):
            onset_s, offset_s = onset * _SECONDS[unit], (offset + step) * _SECONDS[unit]
            if sure and offset_s > onset_s:
                for name in _names([label], names, separator):
                    yield Event(onset_s, offset_s, name)


def _pairs(intervals: Any) -> list[tuple[float, float]]:
    """One (start, end), or several of one source of sound."""
    try:
        return [(float(intervals[0]), float(intervals[1]))]
    except TypeError:  # a sequence of pairs
        return [(float(start), float(end)) for start, end in intervals]
