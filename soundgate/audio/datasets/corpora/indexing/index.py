"""The index of a corpus from its recordings and the calls in them."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from soundgate.audio.formats.datasets.corpus import (
    CALL,
    SLACK_S,
    Calls,
    CorpusEntry,
    CorpusIndex,
    CorpusMeta,
    CorpusRecording,
    Distribution,
)
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

_TOLD: Final = 5
_HOUR_S: Final = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """An annotated recording."""

    path: str
    duration_s: float
    rate_hz: int
    tape: str
    raw_path: str | None = None
    raw_start_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call in a recording."""

    path: str
    """Of the recording."""
    start_s: float
    end_s: float
    quality: int | None = None
    label: str = CALL
    low_hz: float | None = None
    high_hz: float | None = None
    hum_path: str | None = None


def refuse(folder: Path, problems: Sequence[str]) -> None:
    """Raise one error that lists problems, if there are any.

    Raises:
        DataError: there are.
    """
    if problems:
        more = f"; and {len(problems) - _TOLD} more" if problems[_TOLD:] else ""
        raise DataError(f"{folder}: {'; '.join(problems[:_TOLD])}{more}")


def build_index(
    name: str,
    recordings: Iterable[Recording],
    calls: Iterable[Call],
    raw_durations: Sequence[float] = (),
) -> CorpusIndex:
    """The index; it does not depend on the order of what it is made of.

    Args:
        name: of the corpus.
        recordings: all that were annotated, also those without calls.
        calls: of any of these.
        raw_durations: lengths of the tapes that the corpus holds, seconds.
    """
    listed = sorted(recordings, key=lambda recording: recording.path)
    tapes = {tape: uid for uid, tape in enumerate(sorted({each.tape for each in listed}), 1)}
    rows = {
        each.path: _row(each, uid, tapes[each.tape])
        for uid, each in enumerate(listed, len(tapes) + 1)
    }
    ordered = sorted(calls, key=lambda call: (call.path, call.start_s, call.end_s, call.label))
    entries = tuple(
        _entry(name, call, uid, rows[call.path])
        for uid, call in enumerate(ordered, len(tapes) + len(rows) + 1)
    )
    return CorpusIndex(
        meta=_meta(name, tuple(rows.values()), entries, raw_durations),
        distribution=Distribution(
            per_clip=_counted((entry.clip_uid, entry) for entry in entries),
            per_raw=_counted((entry.raw_uid, entry) for entry in entries),
        ),
        entries=entries,
        recordings=tuple(rows.values()),
    )


def outside(call: Call, duration_s: float) -> str | None:
    """Why a call cannot be in a recording of this length; None where it can."""
    if call.end_s <= call.start_s:
        return f"starts at {call.start_s:g} s and ends at {call.end_s:g} s: it has no length"
    if call.start_s < 0:
        return f"starts at {call.start_s:g} s"
    if call.end_s > duration_s + SLACK_S:
        return f"ends at {call.end_s:g} s, but {call.path} at {duration_s:g} s"
    return None


def _row(recording: Recording, uid: int, raw_uid: int) -> CorpusRecording:
    return CorpusRecording(
        uid=uid,
        path=recording.path,
        duration_s=recording.duration_s,
        rate_hz=recording.rate_hz,
        tape=recording.tape,
        raw_uid=raw_uid,
        raw_path=recording.raw_path,
        raw_start_s=recording.raw_start_s,
    )


def _entry(name: str, call: Call, uid: int, recording: CorpusRecording) -> CorpusEntry:
    return CorpusEntry(
        uid=uid,
        corpus_name=name,
        hum_path=call.hum_path,
        clip_path=call.path,
        raw_path=recording.raw_path,
        quality=call.quality,
        dur_s=round(call.end_s - call.start_s, 6),
        clip_dur_s=recording.duration_s,
        clip_start_s=call.start_s,
        clip_end_s=call.end_s,
        raw_start_s=round(recording.raw_start_s + call.start_s, 6),
        raw_end_s=round(recording.raw_start_s + call.end_s, 6),
        clip_uid=recording.uid,
        raw_uid=recording.raw_uid,
        label=call.label,
        low_hz=call.low_hz,
        high_hz=call.high_hz,
    )


def _counted(entries: Iterable[tuple[int, CorpusEntry]]) -> dict[str, Calls]:
    found: defaultdict[int, list[CorpusEntry]] = defaultdict(list)
    for uid, entry in entries:
        found[uid].append(entry)
    return {str(uid): _calls(found[uid]) for uid in sorted(found)}


def _calls(entries: Sequence[CorpusEntry]) -> Calls:
    graded = Counter(entry.quality for entry in entries if entry.quality is not None)
    qualities = {str(quality): graded[quality] for quality in sorted(graded)}
    return Calls(n_hums=len(entries), qualities=qualities)


def _meta(
    name: str,
    rows: Sequence[CorpusRecording],
    entries: Sequence[CorpusEntry],
    raw_durations: Sequence[float],
) -> CorpusMeta:
    lengths = {round(row.duration_s) for row in rows}
    return CorpusMeta(
        corpus_name=name,
        n_raw_recordings=len({row.raw_uid for row in rows}),
        n_labelled_clips=len(rows),
        n_hums=len(entries),
        avg_raw_duration_h=_mean(raw_durations, _HOUR_S),
        avg_hum_duration_s=_mean([entry.dur_s for entry in entries]) or 0.0,
        clip_duration_s=float(lengths.pop()) if len(lengths) == 1 else None,
        avg_clip_duration_s=_mean([row.duration_s for row in rows]),
    )


def _mean(values: Sequence[float], unit: float = 1.0) -> float | None:
    return round(statistics.fmean(values) / unit, 3) if values else None
