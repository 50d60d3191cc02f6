"""From a list of files to clips in memory, one at a time, and to groups of work of even size."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from soundgate.audio.config.sections.inspection import Inspection
from soundgate.audio.files import reading
from soundgate.audio.formats.predictions import Failure
from soundgate.audio.inspection import signals
from soundgate.errors import DataError, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import numpy.typing as npt

    from soundgate.audio.prediction.listing import Segment
    from soundgate.audio.prediction.settings import Lengths

    Array = npt.NDArray[Any]
    Span = tuple[float, float]

# A file up to this size is opened once, by whoever decodes it, who then finds out how long it is.
# Of a larger one the header is read first, so that its segments can be shared out.
_SMALL_BYTES: Final = 1 << 20
_SILENT_BELOW_DB: Final = Inspection().silent_below_db


@dataclass(frozen=True, slots=True)
class Part:
    """Clips of one file that are read one after another."""

    segment: Segment
    spans: tuple[Span, ...] | None
    """Start and end of each clip, seconds; None: as many as the file turns out to hold."""
    ends: bool = True
    """Whether nothing of the segment follows."""
    reason: str = ""
    """Why it cannot be read, where that is known beforehand."""


@dataclass(frozen=True, slots=True)
class DecodedClip:
    """A clip, decoded and resampled."""

    path: str
    start_s: float
    end_s: float
    samples: Array
    """Float32 (sample,)."""
    remarks: tuple[str, ...]
    """What is wrong with its sound, by the rules of :mod:`soundgate.audio.inspection.signals`."""


def groups(
    folder: Path, segments: Iterable[Segment], lengths: Lengths, group_s: float
) -> Iterator[list[Part]]:
    """Divide the work; a group has about ``group_s`` seconds of sound, and at least one clip."""
    group: list[Part] = []
    weight_s = 0.0
    for segment in segments:
        for part in _parts(folder, segment, lengths, group_s):
            spans = part.spans if part.spans is not None else ((0.0, lengths.longest_s),)
            more_s = sum(end - start for start, end in spans)
            if group and weight_s + more_s > group_s:
                yield group
                group, weight_s = [], 0.0
            group.append(part)
            weight_s += more_s
    if group:
        yield group


def _parts(folder: Path, segment: Segment, lengths: Lengths, group_s: float) -> Iterator[Part]:
    try:
        file = folder / segment.path
        segment.path.encode()
        start_s, end_s = segment.start_s or 0.0, segment.end_s
        if end_s is None:
            if file.stat().st_size <= _SMALL_BYTES:
                yield Part(segment, None)
                return
            end_s = reading.info(file).duration_s
    except UnicodeEncodeError:
        yield Part(segment, (), reason="its name is not valid UTF-8: rename it")
    except OSError:
        yield Part(segment, None)  # decoding says it better
    except DataError as error:
        yield Part(segment, (), reason=_reason(file, error))
    else:
        if start_s >= end_s:
            yield Part(segment, None)  # so does it here
            return
        spans = lengths.spans(start_s, end_s)
        at_most = max(1, int(group_s / lengths.segment_s))
        part = tuple(itertools.islice(spans, at_most))
        while part:
            following = tuple(itertools.islice(spans, at_most))
            yield Part(segment, part, ends=not following)
            part = following


def clips(folder: Path, part: Part, lengths: Lengths) -> Iterator[DecodedClip | Failure]:
    """Decode the clips of a part, one at a time; memory holds the one that is yielded."""
    segment = part.segment
    file = folder / segment.path
    if part.reason:
        printable = segment.path.encode(errors="backslashreplace").decode()
        yield Failure(printable, segment.start_s, segment.end_s, part.reason)
        return
    try:
        with reading.Reader(file) as opened:
            spans: Iterable[Span] = part.spans or _spans(segment, opened.info, lengths)
            for span in spans:
                clip = _clip(opened, segment.path, file, span, lengths.sample_rate_hz)
                if isinstance(clip, Failure):  # the rest is lost too, and one row says so
                    yield replace(clip, end_s=_last_s(part, opened.info))
                    return
                yield clip
    except DataError as error:
        yield Failure(segment.path, segment.start_s, segment.end_s, _reason(file, error))


def _spans(segment: Segment, info: reading.Info, lengths: Lengths) -> Iterable[Span]:
    start_s = segment.start_s or 0.0
    end_s = info.duration_s if segment.end_s is None else segment.end_s
    # A segment that is not in the file is handed on as it is: reading it says what is wrong.
    return lengths.spans(start_s, end_s) if start_s < end_s else [(start_s, end_s)]


def _last_s(part: Part, info: reading.Info) -> float:
    """Where a part ends, seconds; of a header that promises years, no list of spans is made."""
    if part.spans:
        return part.spans[-1][1]
    return info.duration_s if part.segment.end_s is None else part.segment.end_s


def _clip(
    opened: reading.Reader, path: str, file: Path, span: Span, sample_rate_hz: int
) -> DecodedClip | Failure:
    start_s, end_s = span
    try:
        samples, levels = opened.load_with_levels(
            sample_rate_hz=sample_rate_hz, start_s=start_s, end_s=end_s
        )
    except DataError as error:
        return Failure(path, start_s, end_s, _reason(file, error))
    held_s = samples.size / sample_rate_hz
    # Of some MP3 files the length is a guess.
    ends_early = held_s < end_s - start_s - reading.SEGMENT_SLACK_S
    remarks = signals.remarks(levels, _SILENT_BELOW_DB)
    return DecodedClip(path, start_s, start_s + held_s if ends_early else end_s, samples, remarks)


def _reason(file: Path, error: DataError) -> str:
    return str(error).removeprefix(printable(f"{file}: "))
