"""The list of the clips of a data set: ``manifest.jsonl``, one JSON object a line, sorted by path.

    {"path": "audio/1-100032-A.ogg", "labels": ["dog"], "fold": 1, "split": null,
     "start_s": null, "end_s": null, "source": "100032", "events": []}

Where a data set says more of a clip, ``judged`` and ``columns`` follow; see :class:`Clip`.

A manifest is read and written as a stream, so its length does not matter. Because it is sorted, a
duplicate stands beside its twin and is found without remembering every row.
"""

from __future__ import annotations

import json
import math
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from soundgate.audio.clips import labels
from soundgate.errors import DataError, nearest, unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

MANIFEST: Final = "manifest.jsonl"
SPLITS: Final = ("training", "validation", "test")

_DECIMAL_COMMA: Final = re.compile(r"-?\d+,\d+")

Identity: TypeAlias = tuple[str, float | None, float | None]
"""A clip wherever it is listed: path, first and last second where it is a segment of its file."""


@dataclass(frozen=True, slots=True)
class Event:
    """One sound in a clip: a strong label."""

    onset_s: float
    """Seconds from the start of the clip."""
    offset_s: float
    """Seconds from the start of the clip, larger than ``onset_s``."""
    label: str


@dataclass(frozen=True, slots=True)
class Clip:
    """A file, or a segment of one, and what is known about it."""

    path: str
    """POSIX path of the audio file relative to the manifest's folder."""
    labels: tuple[str, ...]
    """Weak labels: the classes heard somewhere in the clip."""
    fold: int | None = None
    """Cross-validation fold as the data set's authors made it, from 1."""
    split: str | None = None
    """"training", "validation" or "test", where the data set prescribes it."""
    start_s: float | None = None
    """First second of the segment; None is the beginning of the file."""
    end_s: float | None = None
    """Last second of the segment; None is the end of the file."""
    source: str | None = None
    """The original recording: clips that share it must never be split apart."""
    events: tuple[Event, ...] = ()
    """Strong labels, where they are known."""
    judged: dict[str, float] | None = field(default=None, hash=False)
    """Probability, 0 to 1, of each label that was looked for; None: ``labels`` are certain, and
    every other label of the data set is absent. A label that is not in it is not known."""
    columns: dict[str, str] = field(default_factory=dict, hash=False)
    """What else the data set says of the clip, "genre" say; nothing is learnt from it."""

    @property
    def identity(self) -> Identity:
        """What the clip is found by in other lists."""
        return self.path, self.start_s, self.end_s

    @property
    def recording(self) -> tuple[str, str]:
        """Equal for clips of one recording; a clip without a source is as its file."""
        return ("file", self.path) if self.source is None else ("source", self.source)


def sort_key(clip: Clip) -> tuple[str, float, float]:
    """Order of a manifest: by path, then by segment. Equal keys are duplicates."""
    start_s = 0.0 if clip.start_s is None else clip.start_s
    return clip.path, start_s, math.inf if clip.end_s is None else clip.end_s


def read_manifest(path: Path, *, allow_unlabelled: bool = False) -> Iterator[Clip]:
    """Yield the clips of a manifest in its order.

    Args:
        path: The manifest, or the folder that holds it as ``manifest.jsonl``.
        allow_unlabelled: Accept clips without labels, as unlabelled corpora have them.

    Raises:
        DataError: a row is wrong; the text names file, line, field and fix.
    """
    if path.is_dir():
        path = path / MANIFEST
    try:
        file = path.open("rb")
    except OSError as error:
        raise unreadable(path, error) from error
    previous = ("", 0.0, 0.0)
    with file:
        for number, line in enumerate(file, 1):
            try:
                clip = _parse(line)
                _check(clip, allow_unlabelled=allow_unlabelled)
                previous = _check_order(previous, clip)
            except _RowError as wrong:
                raise DataError(f"{path}:{number}: {wrong}") from None
            yield clip


def write_manifest(path: Path, clips: Iterable[Clip], *, allow_unlabelled: bool = False) -> int:
    """Write a manifest whole or not at all, and return its number of clips.

    Args:
        path: The manifest; it is replaced if it exists.
        clips: Sorted by :func:`sort_key`.
        allow_unlabelled: Accept clips without labels.

    Raises:
        DataError: a clip is wrong, out of order or a duplicate, or the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    count = 0
    previous = ("", 0.0, 0.0)
    try:
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            for clip in clips:
                _check(clip, allow_unlabelled=allow_unlabelled)
                previous = _check_order(previous, clip)
                file.write(_line(clip))
                count += 1
        temporary.replace(path)
    except _RowError as wrong:
        raise DataError(f"{path}: clip {count + 1}: {wrong}") from None
    except UnicodeEncodeError:
        raise DataError(
            f"{path}: clip {count + 1}: {clip.path!a} or its labels are not valid UTF-8: rename it"
        ) from None
    except OSError as error:
        raise DataError(
            f"{path}: cannot be written: {error.strerror}: free space or choose another folder"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
    return count


def seconds(text: str) -> float:
    """The time that a table's cell holds, with a point or, as much of Europe writes it, a comma.

    Raises:
        ValueError: it is no number.
    """
    return float(text.replace(",", ".") if _DECIMAL_COMMA.fullmatch(text.strip()) else text)


class _RowError(Exception):
    """A row is wrong; the caller knows the file and the line."""


# JSON has one kind of number and bool is an int to Python: types are compared, not tested.
_NUMBER: Final = frozenset({float, int, type(None)})
_INTEGER: Final = frozenset({int, type(None)})
_TEXT: Final = frozenset({str, type(None)})
_FIELDS: Final[dict[str, tuple[frozenset[object], str]]] = {
    "path": (frozenset({str}), "a text"),
    "labels": (frozenset({list}), "a list of texts"),
    "fold": (_INTEGER, "a whole number or null"),
    "split": (_TEXT, "a text or null"),
    "start_s": (_NUMBER, "a number or null"),
    "end_s": (_NUMBER, "a number or null"),
    "source": (_TEXT, "a text or null"),
    "events": (frozenset({list}), "a list"),
    "judged": (frozenset({dict, type(None)}), "an object of numbers, or null"),
    "columns": (frozenset({dict}), "an object of texts"),
}
_EVENT_FIELDS: Final = {"onset_s", "offset_s", "label"}


def _parse(line: bytes) -> Clip:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise _RowError(f"is not JSON ({error}): write one object per line") from None
    if type(row) is not dict:
        raise _RowError("is not a JSON object: write one object per line")
    for name, value in row.items():
        field = _FIELDS.get(name)
        if field is None:
            raise _RowError(f"unknown field {name!r}{nearest(name, _FIELDS)}")
        if type(value) not in field[0]:
            raise _RowError(f"{name}: {value!r} is not {field[1]}")
    missing = {"path", "labels"} - row.keys()
    if missing:
        raise _RowError(f"{min(missing)}: is missing: every clip needs a path and labels")
    row["labels"] = tuple(row["labels"])
    row["events"] = tuple(map(_parse_event, row.get("events", ())))
    return Clip(**row)


def _parse_event(value: Any) -> Event:
    if type(value) is not dict or value.keys() != _EVENT_FIELDS:
        raise _RowError(f"events: {value!r} is not an object of onset_s, offset_s and label")
    if type(value["onset_s"]) not in (int, float) or type(value["offset_s"]) not in (int, float):
        raise _RowError(f"events: onset_s and offset_s of {value!r} are not numbers")
    return Event(value["onset_s"], value["offset_s"], value["label"])


def _check(clip: Clip, *, allow_unlabelled: bool) -> None:
    path = clip.path
    if path[:1] in ("", "/") or "\\" in path or ".." in path.split("/"):
        raise _RowError(f"path: {path!r} is outside the folder: write a relative path with '/'")
    for label in clip.labels:
        _check_label("labels:", label)
    if not clip.labels and not allow_unlabelled:
        raise _RowError(f"labels: {path} has no label: label it or leave it out")
    if clip.split is not None and clip.split not in SPLITS:
        raise _RowError(f"split: {clip.split!r} is unknown{nearest(clip.split, SPLITS)}")
    if clip.start_s is not None or clip.end_s is not None:
        _check_times("start_s", clip.start_s or 0.0, "end_s", clip.end_s)
    for event in clip.events:
        _check_times("onset_s", event.onset_s, "offset_s", event.offset_s)
        _check_label("events: label", event.label)
    _check_particulars(clip)


def _check_particulars(clip: Clip) -> None:
    for label, probability in (clip.judged or {}).items():
        _check_label("judged:", label)
        if type(probability) not in (int, float) or not 0 <= probability <= 1:
            raise _RowError(f"judged: {label}: {probability!r} is not a number from 0 to 1")
    for name, value in clip.columns.items():
        if type(name) is not str or type(value) is not str:
            raise _RowError(f"columns: {name!r}: {value!r} is not a text")


def _check_label(field: str, label: object) -> None:
    if type(label) is not str or not label:
        raise _RowError(f"{field} {label!r} is not a class name")
    if wrong := labels.problem(label):
        raise _RowError(f"{field} {label!a} {wrong}")


def _check_times(start_name: str, start_s: float, end_name: str, end_s: float | None) -> None:
    if not 0 <= start_s < math.inf:
        raise _RowError(
            f"{start_name}: {start_s} is not a time in the clip: write seconds, at least 0"
        )
    if end_s is not None and not start_s < end_s < math.inf:
        raise _RowError(f"{end_name}: {end_s} is not after {start_name} {start_s}: write seconds")


def _check_order(previous: tuple[str, float, float], clip: Clip) -> tuple[str, float, float]:
    key = sort_key(clip)
    if key > previous:
        return key
    if key == previous:
        raise _RowError(f"path: {clip.path} is listed twice with the same segment: keep one row")
    raise _RowError(
        f"path: {clip.path} comes after {previous[0]}: sort the rows by path and start_s"
    )


def _line(clip: Clip) -> str:
    row: dict[str, object] = {
        "path": clip.path,
        "labels": clip.labels,
        "fold": clip.fold,
        "split": clip.split,
        "start_s": clip.start_s,
        "end_s": clip.end_s,
        "source": clip.source,
        "events": [
            {"onset_s": event.onset_s, "offset_s": event.offset_s, "label": event.label}
            for event in clip.events
        ],
    }
    if clip.judged is not None:
        row["judged"] = clip.judged
    if clip.columns:
        row["columns"] = clip.columns
    return json.dumps(row, ensure_ascii=False) + "\n"
