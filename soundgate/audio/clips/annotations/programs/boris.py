"""BORIS: projects (JSON) and exported tables of coded behaviours.

A state is coded twice, at its start and its stop, for each subject; a point once. Tables are the
"tabular events" (a row a code, ``Status`` START, STOP or POINT, below some lines about the
observation) and the "aggregated events" (a row a behaviour). Source: BORIS user guide, "Export".
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from soundgate.audio.clips.annotations.cells import to_number
from soundgate.audio.clips.annotations.delimited import delimiter_of
from soundgate.audio.clips.annotations.event import Event, checked
from soundgate.audio.clips.annotations.text import read_rows, read_text
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

_NEEDED: Final = ("Time", "Behavior", "Status")
_AGGREGATED: Final = ("Behavior", "Start (s)", "Stop (s)")
_POINT: Final = "POINT"


def reads(lines: Sequence[str]) -> bool:
    """Whether a file with these first lines is a project or an export of BORIS."""
    first = lines[0] if lines else ""
    if first.lstrip().startswith("{"):
        head = "".join(lines)
        return '"behaviors_conf"' in head or '"subjects_conf"' in head or '"time_format"' in head
    return first.startswith(("Observation id", '"Observation id'))


def read(path: Path, columns: Mapping[str, str] | None = None) -> list[Event]:
    """Read a project or an exported table.

    Args:
        path: the file.
        columns: not used: BORIS names its columns.

    Raises:
        DataError: it cannot be read or is damaged, a state is not stopped, or an observation of
            several files does not say in which a behaviour is.
    """
    del columns
    if read_text(path).lstrip().startswith("{"):
        return _of_project(path)
    rows = list(read_rows(path, delimiter_of(path)))
    for at, (_, cells) in enumerate(rows):
        if set(_NEEDED) <= set(cells):
            return list(_paired(_codes(path, cells, rows[at + 1 :])))
        if set(_AGGREGATED) <= set(cells):
            return [_aggregated(path, cells, line, row) for line, row in rows[at + 1 :]]
    raise DataError(
        f"{path}: is no table of events: export 'Tabular events' or 'Aggregated events' from BORIS"
    )


@dataclass(frozen=True, slots=True)
class _Code:
    """A key that the observer pressed."""

    where: str
    file: str
    at_s: float
    subject: str
    behaviour: str
    is_point: bool


def _codes(
    path: Path, header: Sequence[str], rows: Iterable[tuple[int, list[str]]]
) -> Iterator[_Code]:
    for line, cells in rows:
        if not any(cell.strip() for cell in cells):
            continue
        row = dict(zip(header, cells, strict=False))
        where = f"{path}:{line}"
        yield _Code(
            where=where,
            file=row.get("Media file path", row.get("Media file", "")),
            at_s=to_number(row["Time"], where, "Time"),
            subject=row.get("Subject", ""),
            behaviour=row["Behavior"],
            is_point=row.get("Status", "") == _POINT,
        )


def _paired(codes: Iterable[_Code]) -> Iterator[Event]:
    """Events of codes, starts and stops of a state put together; in the order of their ends."""
    begun: dict[tuple[str, str, str], _Code] = {}
    for code in codes:
        key = (code.file, code.subject, code.behaviour)
        if code.is_point:
            yield _event(code, code)
        elif key in begun:
            yield _event(begun.pop(key), code)
        else:
            begun[key] = code
    for code in begun.values():
        raise DataError(
            f"{code.where}: {code.behaviour!r} starts at {code.at_s:g} s and never stops; code its "
            "stop in BORIS"
        )


def _event(start: _Code, stop: _Code) -> Event:
    event = Event(
        file=start.file,
        start_s=start.at_s,
        end_s=stop.at_s,
        label=start.behaviour,
        columns=(("Subject", start.subject),) if start.subject else (),
    )
    return checked(event, start.where)


def _aggregated(path: Path, header: Sequence[str], line: int, cells: Sequence[str]) -> Event:
    row = dict(zip(header, cells, strict=False))
    where = f"{path}:{line}"
    event = Event(
        file=row.get("Media file", row.get("Media file name", "")),
        start_s=to_number(row.get("Start (s)", ""), where, "Start (s)"),
        end_s=to_number(row.get("Stop (s)", ""), where, "Stop (s)"),
        label=row.get("Behavior", ""),
        columns=(("Subject", row["Subject"]),) if row.get("Subject") else (),
    )
    return checked(event, where)


def _of_project(path: Path) -> list[Event]:
    try:
        project = json.loads(read_text(path))
        kinds = {each["code"]: each["type"] for each in project["behaviors_conf"].values()}
        return [
            event
            for name, observation in project["observations"].items()
            for event in _of_observation(f"{path}: observation {name!r}", observation, kinds)
        ]
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: is not JSON ({error}): save the project again") from None
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise DataError(f"{path}: is damaged; save the project again: {error!r}") from None


def _of_observation(where: str, observation: Any, kinds: Mapping[str, str]) -> list[Event]:
    """Events of an observation, whose times count through its files one after another."""
    files = _files(where, observation)
    codes = [
        _Code(where, file, at_s, str(row[1]), str(row[2]), "point" in kinds[row[2]].lower())
        for row in sorted(observation["events"], key=lambda row: float(row[0]))
        for file, at_s in [_within(files, float(row[0]))]
    ]
    return list(_paired(codes))


def _files(where: str, observation: Any) -> list[tuple[str, float]]:
    """The first player's files and their lengths; an observation without media has none."""
    media = observation["file"] or {}
    first = [str(each) for each in media.get("1", ())]
    lengths = observation.get("media_info", {}).get("length", {})
    if len(first) > 1 and not all(each in lengths for each in first):
        raise DataError(f"{where}: has several files and does not say how long each is")
    return [(each, float(lengths.get(each, 0.0))) for each in first]


def _within(files: Sequence[tuple[str, float]], at_s: float) -> tuple[str, float]:
    """In which file a time is, and when in it."""
    for file, length in files[:-1]:
        if at_s < length:
            return file, at_s
        at_s -= length
    return (files[-1][0] if files else ""), at_s
