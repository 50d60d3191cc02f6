"""AOEF, the acoustic objects exchange format of soundevent and Whombat: JSON.

Recordings, sound events with a geometry, and tags refer to one another by identifiers. The bounds
of a geometry are the event. Source: soundevent's documentation, "AOEF" (version 1.1).
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from soundgate.audio.clips.annotations.event import Event, checked
from soundgate.audio.clips.annotations.text import read_text, write_text
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

VERSION: Final = "1.1.0"
_TIMES_ONLY: Final = {"TimeStamp": 1, "TimeInterval": 2}
_LABEL_KEYS: Final = ("label", "species", "scientific_name", "class", "event")
_SPACE: Final = uuid.UUID("6c1bd8a0-5f0e-5c77-9a8e-3f1f5a2d9b10")
"""Identifiers are made of what they identify: the same events give the same file."""


def reads(lines: Sequence[str]) -> bool:
    """Whether a file with these first lines is AOEF."""
    return bool(lines) and lines[0].lstrip().startswith("{") and '"collection_type"' in lines[0]


def read(path: Path, columns: Mapping[str, str] | None = None) -> list[Event]:
    """Read the annotated sound events of a collection.

    A collection without annotations, such as a list of recordings, has none. The label is the tag
    of the key ``label``, ``species``, ``class`` or ``event``, otherwise the first tag; all tags
    stand in ``columns``.

    Args:
        path: the file.
        columns: ``{"label": KEY}`` names another key.

    Raises:
        DataError: it cannot be read, is damaged, or refers to what is not in it.
    """
    try:
        data = json.loads(read_text(path))["data"]
        return list(_events(path, data, (columns or {}).get("label")))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: is not JSON ({error}): export it again") from None
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise DataError(f"{path}: is damaged; export it again: {error!r}") from None


def _events(path: Path, data: Any, key: str | None) -> Iterator[Event]:
    recordings = {each["uuid"]: each["path"] for each in data.get("recordings", ())}
    sounds = {each["uuid"]: each for each in data.get("sound_events", ())}
    tags = {each["id"]: (each["key"], each["value"]) for each in data.get("tags", ())}
    annotated = [*data.get("sound_event_annotations", ()), *data.get("sound_event_predictions", ())]
    for annotation in annotated:
        where = f"{path}: annotation {annotation['uuid']}"
        sound = sounds[annotation["sound_event"]]
        bounds = _bounds(where, sound["geometry"])
        score = annotation.get("score")
        given = [
            tags[tag[0] if isinstance(tag, list) else tag] for tag in annotation.get("tags", ())
        ]
        event = Event(
            file=recordings[sound["recording"]],
            start_s=bounds[0],
            end_s=bounds[1],
            low_hz=bounds[2],
            high_hz=bounds[3],
            label=_label(given, key),
            score=None if score is None else float(score),
            columns=_as_columns(given),
        )
        yield checked(event, where)


def _as_columns(tags: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """A cell a key; values of one key together."""
    values: dict[str, list[str]] = {}
    for key, value in tags:
        values.setdefault(str(key), []).append(str(value))
    return tuple((key, "; ".join(each)) for key, each in values.items())


def _label(tags: Sequence[tuple[str, str]], key: str | None) -> str:
    by_key = dict(reversed(tags))
    for name in (key,) if key else _LABEL_KEYS:
        if name in by_key:
            return str(by_key[name])
    return "" if key or not tags else str(tags[0][1])


def _bounds(where: str, geometry: Any) -> tuple[float, float, float | None, float | None]:
    """First and last second, lowest and highest frequency of a geometry."""
    kind, coordinates = geometry["type"], geometry["coordinates"]
    if kind in _TIMES_ONLY:
        times = coordinates if isinstance(coordinates, list) else [coordinates]
        return float(times[0]), float(times[-1]), None, None
    if kind == "BoundingBox":
        start, low, end, high = map(float, coordinates)
        return start, end, low, high
    points = list(_points(coordinates))
    if not points:
        raise DataError(f"{where}: its {kind} has no points")
    seconds, bands = zip(*points, strict=True)
    return min(seconds), max(seconds), min(bands), max(bands)


def _points(coordinates: Any) -> Iterator[tuple[float, float]]:
    """Every (seconds, Hz) of nested lists."""
    if isinstance(coordinates[0], list):
        for each in coordinates:
            yield from _points(each)
    else:
        yield float(coordinates[0]), float(coordinates[1])


@dataclass(frozen=True, slots=True)
class Recording:
    """What AOEF states of a recording."""

    seconds: float
    channels: int
    rate_hz: int


def write(path: Path, events: Sequence[Event], recordings: Mapping[str, Recording]) -> None:
    """Write a set of annotations.

    Args:
        path: the file.
        events: their ``file`` is a key of ``recordings``.
        recordings: what is annotated, also where it has no event.
    """
    tags = {label: number for number, label in enumerate(dict.fromkeys(e.label for e in events))}
    ids = {file: _id("recording", file) for file in recordings}
    sounds, annotations = [], []
    for number, event in enumerate(events):
        sound = _id("sound event", event.file, str(number))
        sounds.append({"uuid": sound, "recording": ids[event.file], "geometry": _geometry(event)})
        annotation = {"uuid": _id("annotation", event.file, str(number)), "sound_event": sound}
        annotations.append({**annotation, "tags": [tags[event.label]] if event.label else []})
    data = {
        "uuid": _id("set", *recordings),
        "collection_type": "annotation_set",
        "recordings": [
            {"uuid": ids[file], "path": file, "duration": each.seconds}
            | {"channels": each.channels, "samplerate": each.rate_hz}
            for file, each in recordings.items()
        ],
        "tags": [{"id": n, "key": "label", "value": label} for label, n in tags.items() if label],
        "clips": [
            {"uuid": _id("clip", file), "recording": ids[file]}
            | {"start_time": 0.0, "end_time": each.seconds}
            for file, each in recordings.items()
        ],
        "sound_events": sounds,
        "sound_event_annotations": annotations,
        "clip_annotations": _by_clip(events, recordings, annotations),
    }
    write_text(path, json.dumps({"version": VERSION, "data": data}, ensure_ascii=False) + "\n")


def _by_clip(
    events: Sequence[Event], recordings: Mapping[str, Recording], annotations: Sequence[Any]
) -> list[dict[str, object]]:
    of_file: dict[str, list[str]] = {file: [] for file in recordings}
    for event, annotation in zip(events, annotations, strict=True):
        of_file[event.file].append(annotation["uuid"])
    return [
        {"uuid": _id("clip annotation", file), "clip": _id("clip", file), "sound_events": found}
        for file, found in of_file.items()
    ]


def _geometry(event: Event) -> dict[str, object]:
    if event.low_hz is None or event.high_hz is None:
        return {"type": "TimeInterval", "coordinates": [event.start_s, event.end_s]}
    box = [event.start_s, event.low_hz, event.end_s, event.high_hz]
    return {"type": "BoundingBox", "coordinates": box}


def _id(*parts: str) -> str:
    return str(uuid.uuid5(_SPACE, "\n".join(parts)))
