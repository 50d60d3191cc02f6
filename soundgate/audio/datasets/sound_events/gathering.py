"""Parts of data sets in one folder: audio of one rate, clips, events, and what was missing."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from soundgate.audio.clips.annotations.dcase import clip_name
from soundgate.audio.datasets.sound_events.parts import (
    Listed,
    Part,
    audio_names,
    file_list,
    read_part,
)
from soundgate.audio.files import reading
from soundgate.audio.formats.datasets import sound_events as stored
from soundgate.errors import DataError
from soundgate.text.progress import track

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from soundgate.audio.clips.annotations.event import Event
    from soundgate.audio.clips.sound_events.label_space import Annotated, LabelSpace

JUDGED: Final = ("tune", "test")
"""Splits whose files no other split may hold."""
_NAMED: Final = 10
_WINDOW: Final = re.compile(r"-\d+-\d+$")
"""Ends the name of a window of a recording."""
_SAME_S: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Options:
    """How strictly data is taken."""

    rate_hz: int = 16_000
    resample: bool = False
    """Whether files with another rate are resampled; otherwise they are an error."""
    most_missing: float = 1.0
    """Largest share of a part's files that may be missing. What is missing is recorded always."""
    excluded: frozenset[str] = frozenset()
    """Files that no training or validation part may have."""


@dataclass(slots=True)
class _Gathered:
    """Rows of a part, and counts for its coverage."""

    clips: list[stored.ClipRow] = field(default_factory=list)
    events: list[stored.EventRow] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    left_out: int = 0
    merged: int = 0
    past_the_end: int = 0
    labels_left_out: Counter[str] = field(default_factory=Counter)
    resampled: int = 0


def read_excluded(tables: Sequence[Path]) -> frozenset[str]:
    """Files that lists of exclusions name in their column ``filename``.

    Raises:
        DataError: a list cannot be read, or has no such column.
    """
    return frozenset(name for table in tables for name in file_list(table))


def gather(
    parts: Sequence[Part], space: LabelSpace, out: Path, options: Options
) -> stored.SoundEventSet:
    """Write the folder of ``formats.datasets.sound_events``.

    Args:
        parts: in the order in which the folder lists them.
        space: all classes.
        out: a folder that is empty or does not exist.
        options: how strictly data is taken.

    Raises:
        DataError: a table, a label or a file is wrong, too many files are missing, or one file is
            to be tuned on and tested on.
    """
    listed = {part.name: read_part(part) for part in parts}
    judged = _judged(parts, listed)
    gathered = {
        part.name: _part(
            part,
            listed[part.name],
            space.annotated(part.dataset),
            out,
            options,
            set() if part.split in JUDGED else judged | options.excluded,
        )
        for part in parts
    }
    described = stored.SoundEventSet(
        classes=space.classes,
        datasets={
            name: stored.DatasetLabels(classes=each.classes, aliases=dict(each.aliases))
            for name, each in space.datasets.items()
        },
        parts=tuple(_coverage(p, listed[p.name], gathered[p.name]) for p in parts),
    )
    clips = (row for each in gathered.values() for row in each.clips)
    events = (row for each in gathered.values() for row in each.events)
    stored.write_set(out, described, clips, events)
    return described


def _judged(parts: Sequence[Part], listed: dict[str, Listed]) -> set[str]:
    """Files that are tuned on or tested on.

    Raises:
        DataError: two do, and one is tuned on.
    """
    found: dict[str, Part] = {}
    for part in parts:
        for name in listed[part.name].events if part.split in JUDGED else ():
            other = found.setdefault(name, part)
            if other.split != part.split:
                raise DataError(
                    f"{name!r} is in {other.name} ({other.split}) and in {part.name} "
                    f"({part.split}): what is tuned on must not be tested on"
                )
    return set(found)


def _part(
    part: Part, listed: Listed, annotated: Annotated, out: Path, options: Options, left: set[str]
) -> _Gathered:
    """Copy the audio of a part, and make its rows; ``left`` are files that it must not have."""
    found = _Gathered()
    files = {clip_name(path.name): path for path in reading.find(part.audio)}
    (out / stored.AUDIO / part.name).mkdir(parents=True, exist_ok=True)
    for name in track(listed.events, total=len(listed.events), label=part.name):
        if name in left:
            found.left_out += 1
            continue
        path = next((files[each] for each in audio_names(name) if each in files), None)
        if path is None:
            found.missing.append(name)
            continue
        base = _row(part, name, path, out, options)
        found.resampled += base.rate_hz != reading.info(path).rate_hz
        events = list(_classed(listed.events[name], annotated, found, part))
        labels = _classes(listed.labels.get(name, ()), annotated, found)
        for window in _windows(part, base.model_copy(update={"labels": labels})):
            found.clips.append(window)
            found.events += _events(window, events, part, found)
    _check_missing(part, listed, found, options)
    return found


def _row(part: Part, name: str, path: Path, out: Path, options: Options) -> stored.ClipRow:
    split = part.split
    if part.validation_share:
        drawn = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") / 2**32
        split = "validation" if drawn < part.validation_share else split
    kept, duration_s = _audio(path, out / stored.AUDIO / part.name / name, options)
    return stored.ClipRow(
        id=f"{part.name}/{name}",
        path=kept.relative_to(out).as_posix(),
        duration_s=duration_s,
        rate_hz=options.rate_hz,
        dataset=part.dataset,
        part=part.name,
        split=split,
        kind=part.kind,
        recording=_WINDOW.sub("", name) if part.kind == "soft" else name,
    )


def _audio(path: Path, target: Path, options: Options) -> tuple[Path, float]:
    """Copy a file, or resample it; where it is then, and its seconds."""
    info = reading.info(path)
    if info.rate_hz == options.rate_hz:
        kept = target.with_name(f"{target.name}{path.suffix.lower()}")
        shutil.copyfile(path, kept)
        return kept, info.duration_s
    if not options.resample:
        raise DataError(
            f"{path}: has {info.rate_hz} Hz, {options.rate_hz} Hz are wanted: resample it, or "
            "collect with resample"
        )
    kept = target.with_name(f"{target.name}.wav")
    samples = reading.load(path, sample_rate_hz=options.rate_hz)
    reading.write(kept, samples, options.rate_hz)
    return kept, len(samples) / options.rate_hz


def _classed(
    events: Iterable[Event], annotated: Annotated, found: _Gathered, part: Part
) -> Iterator[Event]:
    """Events with the classes of their labels; labels without one are counted."""
    for event in events:
        try:
            name = annotated.class_of(event.label)
        except DataError as error:
            raise DataError(f"{part.table}: {event.file}: {error}") from None
        if name is None:
            found.labels_left_out[event.label] += 1
        else:
            yield replace(event, label=name)


def _classes(labels: Iterable[str], annotated: Annotated, found: _Gathered) -> tuple[str, ...]:
    """Classes of weak labels."""
    named = {label: annotated.class_of(label) for label in labels}
    found.labels_left_out.update(label for label, name in named.items() if name is None)
    return tuple(dict.fromkeys(name for name in named.values() if name is not None))


def _windows(part: Part, base: stored.ClipRow) -> Iterator[stored.ClipRow]:
    """A file as one clip, or cut into windows that lie within it."""
    if part.window_s is None or base.duration_s <= part.window_s:
        yield base
        return
    count = int((base.duration_s - part.window_s) / part.hop_s + _SAME_S) + 1
    for number in range(count):
        start_s = round(number * part.hop_s, 6)
        ends = (round(100 * start_s), round(100 * (start_s + part.window_s)))
        yield base.model_copy(
            update={
                "id": f"{base.id}-{ends[0]}-{ends[1]}",
                "start_s": start_s,
                "duration_s": part.window_s,
            }
        )


def _events(
    row: stored.ClipRow, events: Sequence[Event], part: Part, found: _Gathered
) -> list[stored.EventRow]:
    """Events of a clip on its own time, by class and onset."""
    begin = row.start_s or 0.0
    rows: list[stored.EventRow] = []
    for event in sorted(events, key=lambda each: (each.label, each.start_s)):
        onset, offset = event.start_s - begin, event.end_s - begin
        if offset > row.duration_s + _SAME_S and part.window_s is None:
            found.past_the_end += 1
        onset, offset = max(onset, 0.0), min(offset, row.duration_s)
        if offset <= onset:
            continue
        last = rows[-1] if rows else None
        if part.kind == "strong" and last and last.label == event.label and onset < last.offset_s:
            found.merged += 1
            rows[-1] = last.model_copy(update={"offset_s": max(offset, last.offset_s)})
            continue
        rows.append(
            stored.EventRow(
                clip=row.id,
                label=event.label,
                onset_s=round(onset, 6),
                offset_s=round(offset, 6),
                confidence=event.score if part.kind == "soft" else None,
            )
        )
    return rows


def _check_missing(part: Part, listed: Listed, found: _Gathered, options: Options) -> None:
    wanted = len(listed.events) - found.left_out
    missing = len(found.missing)
    if wanted and missing == wanted:
        raise DataError(
            f"{part.audio}: holds none of the {wanted} files of {part.table or part.name}"
        )
    if missing > options.most_missing * wanted:
        raise DataError(
            f"{part.audio}: {missing} of {wanted} files are missing, {found.missing[0]!r} among "
            f"them; at most a share of {options.most_missing:g} may be"
        )


def _coverage(part: Part, listed: Listed, found: _Gathered) -> stored.Coverage:
    return stored.Coverage(
        part=part.name,
        dataset=part.dataset,
        split=part.split,
        kind=part.kind,
        listed=len(listed.events),
        found=len(listed.events) - found.left_out - len(found.missing),
        missing=tuple(found.missing[:_NAMED]),
        left_out=found.left_out,
        clips=len(found.clips),
        seconds=sum(row.duration_s for row in found.clips),
        events=len(found.events),
        merged=found.merged,
        past_the_end=found.past_the_end,
        labels_left_out=dict(sorted(found.labels_left_out.items())),
        resampled=found.resampled,
    )


def wording(described: stored.SoundEventSet) -> Iterator[str]:
    """What a set holds and what it lacks, a line a part."""
    for each in described.parts:
        told = [f"{each.clips} clips", f"{each.events} events"]
        if missing := each.listed - each.found - each.left_out:
            named = ", ".join(each.missing[:2])
            told.append(f"{missing} of {each.listed} files are missing ({named})")
        for count, what in (
            (each.left_out, "files left out"),
            (each.merged, "overlapping events merged"),
            (each.past_the_end, "events cut off at the end of their clip"),
            (sum(each.labels_left_out.values()), "events of no class left out"),
            (each.resampled, "files resampled"),
        ):
            if count:
                told.append(f"{count} {what}")
        yield f"{each.part} ({each.split}, {each.kind}): {', '.join(told)}"
