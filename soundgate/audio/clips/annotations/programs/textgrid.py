"""TextGrids of Praat: tiers of intervals and points over one recording.

They are read by crowsetta, in their long and short form. Every interval with a text, and every
point, is an event; ``columns`` holds the name of its tier.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Final

from soundgate.audio.clips.annotations.event import Event, checked
from soundgate.audio.clips.annotations.text import read_text, shortest, write_text
from soundgate.errors import DataError, MissingExtra

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

TIER: Final = "tier"


def reads(lines: Sequence[str]) -> bool:
    """Whether a file with these first lines is a TextGrid."""
    return any("ooTextFile" in line for line in lines[:1])


def read(path: Path, columns: Mapping[str, str] | None = None) -> list[Event]:
    """Read a TextGrid, sorted by time.

    Args:
        path: the file.
        columns: not used: there are none.

    Raises:
        DataError: it cannot be read or is damaged.
        MissingExtra: crowsetta is not installed.
    """
    del columns
    read_text(path)  # says in one line what cannot be read at all
    tiers = crowsetta_read("textgrid", path).tiers
    events = [event for tier in tiers for event in _of_tier(path, tier)]
    return sorted(events, key=lambda event: (event.start_s, event.end_s))


def crowsetta_read(kind: str, path: Path) -> Any:
    """What crowsetta makes of a file of a format that it reads well.

    Raises:
        DataError: it cannot read the file.
        MissingExtra: it is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its dependencies, about versions
            import crowsetta
    except ImportError as error:
        raise MissingExtra(
            f"{path}: is read by crowsetta: install it with pip install 'soundgate[spot]'"
        ) from error
    try:
        return crowsetta.formats.by_name(kind).from_file(path)
    except Exception as error:
        raise DataError(f"{path}: is damaged: crowsetta cannot read it: {error!r}") from error


def _of_tier(path: Path, tier: Any) -> Iterator[Event]:
    if hasattr(tier, "intervals"):
        marks = [(each.xmin, each.xmax, each.text) for each in tier.intervals if each.text.strip()]
    else:
        marks = [(each.number, each.number, each.mark) for each in tier.points]
    for number, (start, end, text) in enumerate(marks, 1):
        event = Event(
            start_s=float(start),
            end_s=float(end),
            label=_text(text),
            columns=((TIER, str(tier.name)),),
        )
        yield checked(event, f"{path}: tier {tier.name!r}, mark {number}")


def _text(text: str) -> str:
    """The text of a mark; crowsetta leaves Praat's doubled quotes as they are."""
    return text.replace('""', '"')


def write(path: Path, events: Sequence[Event], seconds: float | None = None) -> None:
    """Write a TextGrid in its long form.

    A tier's intervals cannot overlap: overlapping events of a tier stand in further ones, named
    after it. Praat reads an interval without a text as silence, so that a label is needed.

    Args:
        path: the file.
        events: of one recording.
        seconds: its length; without it the grid ends with the last event.

    Raises:
        DataError: an event has no label or no length.
    """
    for event in events:
        if not event.label.strip() or event.end_s <= event.start_s:
            told = "no label" if not event.label.strip() else "no length"
            raise DataError(
                f"{path}: the event at {event.start_s:g} s has {told}, which TextGrids need"
            )
    end_s = max([seconds or 0.0, *(event.end_s for event in events)])
    tiers = _tiers(events)
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0"]
    lines += [f"xmax = {shortest(end_s)}", "tiers? <exists>", f"size = {len(tiers)}", "item []:"]
    for number, (name, intervals) in enumerate(tiers, 1):
        lines += _tier(number, name, _filled(intervals, end_s), end_s)
    write_text(path, "\n".join(lines) + "\n")


def _tiers(events: Sequence[Event]) -> list[tuple[str, list[Event]]]:
    """Events in as many tiers as do not overlap, by the name of the tier they came from."""
    tiers: list[tuple[str, list[Event]]] = []
    for event in sorted(events, key=lambda event: (event.start_s, event.end_s)):
        name = dict(event.columns).get(TIER, "annotations")
        free = (t for n, t in tiers if n == name and t[-1].end_s <= event.start_s)
        if (tier := next(free, None)) is not None:
            tier.append(event)
        else:
            tiers.append((name, [event]))
    return tiers or [("annotations", [])]


def _filled(events: Sequence[Event], end_s: float) -> list[tuple[float, float, str]]:
    """Intervals from the start to the end, with empty ones between events."""
    found: list[tuple[float, float, str]] = []
    at = 0.0
    for event in events:
        if event.start_s > at:
            found.append((at, event.start_s, ""))
        found.append((event.start_s, event.end_s, event.label))
        at = event.end_s
    if at < end_s or not found:
        found.append((at, end_s, ""))
    return found


def _tier(
    number: int, name: str, intervals: Sequence[tuple[float, float, str]], end_s: float
) -> list[str]:
    lines = [f"    item [{number}]:", '        class = "IntervalTier"']
    lines += [f"        name = {_quoted(name)}", "        xmin = 0"]
    lines += [f"        xmax = {shortest(end_s)}", f"        intervals: size = {len(intervals)}"]
    for at, (start_s, stop_s, text) in enumerate(intervals, 1):
        lines += [f"        intervals [{at}]:", f"            xmin = {shortest(start_s)}"]
        lines += [f"            xmax = {shortest(stop_s)}", f"            text = {_quoted(text)}"]
    return lines


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
