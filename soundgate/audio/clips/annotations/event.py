"""One annotated sound in a recording, whichever program drew its box.

All readers give events and all writers take them. Times are seconds on the axis of the event's own
file, also where a table counts through several files.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING

from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A stretch of a recording, its frequency band if there is one, and what is heard in it."""

    file: str = ""
    """The recording, as the table names it; empty where the table says nothing."""
    start_s: float
    """Seconds from the start of the file."""
    end_s: float
    """Seconds from the start of the file, at least ``start_s``; equal for a point in time."""
    low_hz: float | None = None
    high_hz: float | None = None
    label: str = ""
    """Empty where nobody named it."""
    score: float | None = None
    """How sure whoever found it is, on a scale of its own."""
    channel: int | None = None
    """From 1, as Raven counts."""
    split: str | None = None
    columns: tuple[tuple[str, str], ...] = ()
    """Further cells of its row, name and text, for formats that can hold them."""

    @property
    def has_band(self) -> bool:
        """Whether both frequencies are known."""
        return self.low_hz is not None and self.high_hz is not None


def problem(event: Event) -> str | None:
    """What is impossible about an event; None where nothing is."""
    numbers = {"a time": (event.start_s, event.end_s), "a frequency": (event.low_hz, event.high_hz)}
    for what, values in (numbers | {"its score": (event.score,)}).items():
        if any(value is not None and not math.isfinite(value) for value in values):
            return f"{what} is not a finite number"
    if event.start_s < 0:
        return f"starts at {event.start_s:g} s, before the recording"
    if event.end_s < event.start_s:
        return f"ends at {event.end_s:g} s, before it starts at {event.start_s:g} s"
    if event.low_hz is not None and event.high_hz is not None and event.high_hz < event.low_hz:
        return (
            f"its low frequency {event.low_hz:g} Hz is above its high one {event.high_hz:g} Hz; "
            "exchange the two columns"
        )
    return None


def checked(event: Event, where: str) -> Event:
    """The event.

    Args:
        event: what was read.
        where: file and line, for the error.

    Raises:
        DataError: it is impossible.
    """
    if told := problem(event):
        raise DataError(f"{where}: {told}")
    return event


def file_name(path: str) -> str:
    r"""The last part of a path that was written on any system.

    >>> file_name("C:\\tapes\\a.wav"), file_name("tapes/a.wav")
    ('a.wav', 'a.wav')
    """
    return PureWindowsPath(path).name


def by_file(events: Iterable[Event]) -> dict[str, list[Event]]:
    """Events of each file, both in the order in which they first stand."""
    found: dict[str, list[Event]] = {}
    for event in events:
        found.setdefault(event.file, []).append(event)
    return found


def match_recordings(events: Iterable[Event], recordings: Iterable[str]) -> dict[str, str]:
    """Which recording each file name of a table means.

    A table names a path of another computer, a bare name, or a name without its ending. The
    longest common end of the two paths decides.

    Args:
        events: their ``file`` is looked at.
        recordings: POSIX paths of what there is.

    Returns:
        Recording by file name of the table.

    Raises:
        DataError: a file is not among the recordings, or could be several of them.
    """
    by_stem: dict[str, list[str]] = {}
    for path in recordings:
        name = file_name(path)
        by_stem.setdefault(name, []).append(path)
        by_stem.setdefault(name.rpartition(".")[0] or name, []).append(path)
    found: dict[str, str] = {}
    for event in events:
        if event.file not in found:
            found[event.file] = _only(event.file, by_stem)
    return found


def _only(file: str, by_stem: Mapping[str, list[str]]) -> str:
    name = file_name(file)
    among = by_stem.get(name) or by_stem.get(name.rpartition(".")[0] or name) or []
    parts = PureWindowsPath(file).parts
    for length in range(1, len(parts) + 1):
        closer = [p for p in among if Path(p).parts[-length:] == parts[-length:]]
        if len(closer) == 1:
            return closer[0]
        among = closer or among
    among = list(dict.fromkeys(among))
    if len(among) == 1:
        return among[0]
    if not among:
        raise DataError(f"annotations name the recording {file!r}, which is not there")
    listed = ", ".join(among[:3])
    raise DataError(
        f"annotations name the recording {file!r}, which could be {listed}; write its folder too"
    )


def past_the_end(events: Iterable[Event], seconds: Mapping[str, float]) -> Iterable[str]:
    """Yield a line for each event that ends after its recording.

    Args:
        events: their ``file`` is a key of ``seconds``; others are passed over.
        seconds: length of each recording. An event may be longer by one in a million and 1 ms,
            because tables round.
    """
    for event in events:
        length = seconds.get(event.file)
        if length is not None and event.end_s > length * (1 + 1e-6) + 1e-3:
            yield (
                f"{event.file}: the event at {event.start_s:g} s ends at {event.end_s:g} s, but "
                f"the recording at {length:g} s"
            )
