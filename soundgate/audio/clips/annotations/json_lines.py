"""JSON lines: an event a line, its fields by their names, what is empty left out. Holds everything.

{"file": "a.wav", "start_s": 1.5, "end_s": 2.0, "low_hz": 800.0, "label": "hum"}
"""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from soundgate.audio.clips.annotations.event import Event, checked
from soundgate.audio.clips.annotations.text import read_text, write_text
from soundgate.errors import DataError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_NUMBERS = ("start_s", "end_s", "low_hz", "high_hz", "score")
_TEXTS = ("file", "label", "split")
_NAMES = tuple(field.name for field in fields(Event))


def reads(lines: Sequence[str]) -> bool:
    """Whether a file with these first lines holds events."""
    return bool(lines) and lines[0].lstrip().startswith("{") and '"start_s"' in lines[0]


def read(path: Path, columns: Mapping[str, str] | None = None) -> list[Event]:
    """Read events.

    Args:
        path: the file.
        columns: not used: the names are fixed.

    Raises:
        DataError: it cannot be read, or a line is no event.
    """
    del columns
    lines = enumerate(read_text(path).split("\n"), 1)
    return [_event(f"{path}:{number}", line) for number, line in lines if line.strip()]


def _event(where: str, line: str) -> Event:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: is not JSON ({error})") from None
    if not isinstance(values, dict):
        raise DataError(f"{where}: is not an object with start_s and end_s")
    for name, value in values.items():
        if name not in _NAMES:
            raise DataError(f"{where}: an event has no field {name!r}{nearest(name, _NAMES)}")
        if told := _mistyped(name, value):
            raise DataError(f"{where}: {name} is {value!r}; expected {told}")
    for name in ("start_s", "end_s"):
        if values.get(name) is None:
            raise DataError(f"{where}: has no {name}")
    values["columns"] = tuple((str(k), str(v)) for k, v in values.get("columns", {}).items())
    return checked(Event(**values), where)


def _mistyped(name: str, value: Any) -> str | None:
    """What a field should be; None where it is that."""
    if name == "columns":
        return None if isinstance(value, dict) else "an object"
    if value is None:
        return None
    if name in _NUMBERS:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return None if is_number else "a number"
    if name in _TEXTS:
        return None if isinstance(value, str) else "a text"
    return None if isinstance(value, int) and not isinstance(value, bool) else "a whole number"


def write(path: Path, events: Sequence[Event]) -> None:
    """Write events, a line each."""
    lines = []
    for event in events:
        values: dict[str, object] = {name: getattr(event, name) for name in _NAMES}
        values["columns"] = dict(event.columns)
        kept = {name: value for name, value in values.items() if value not in (None, "", {})}
        lines.append(json.dumps(kept, ensure_ascii=False) + "\n")
    write_text(path, "".join(lines))
