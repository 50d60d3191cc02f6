"""Stretches without any known call, as long as the calls they are compared with.

Every known call keeps noise away, of whatever quality and label, with a margin; so do files that
are cut already and noise that is found already, so that no two files hold the same sound. Times are
whole milliseconds on the axis of the tape, on which recordings of one tape meet.
"""

from __future__ import annotations

import bisect
import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from soundgate.audio.datasets.corpora.draws import bits
from soundgate.audio.formats.datasets.variant import NoiseAccount

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from soundgate.audio.datasets.corpora.division import Division
    from soundgate.audio.datasets.corpora.strategies import Strategy
    from soundgate.audio.formats.datasets.corpus import (
        CorpusEntry,
        CorpusIndex,
        CorpusRecording,
    )

MS: Final = 1000
_DRAWS: Final = 16
"""Draws of a start before all gaps are looked at: a tape of a day has thousands of calls."""


class Span(NamedTuple):
    """Milliseconds from ``start`` up to ``end``."""

    start: int
    end: int

    @classmethod
    def around(cls, start_s: float, end_s: float, margin_s: float = 0.0) -> Span:
        """The whole milliseconds that hold these seconds."""
        return cls(math.floor((start_s - margin_s) * MS), math.ceil((end_s + margin_s) * MS))

    @classmethod
    def within(cls, start_s: float, end_s: float) -> Span:
        """The whole milliseconds that these seconds hold."""
        # 1e-6: 0.3 s are 300 ms, though 0.3 * 1000 is less.
        return cls(math.ceil(start_s * MS - 1e-6), math.floor(end_s * MS + 1e-6))


@dataclass(slots=True)
class Occupied:
    """Stretches of a tape that noise keeps away from."""

    _spans: list[Span] = field(default_factory=list)
    """In order, without touching one another."""

    def add(self, span: Span) -> None:
        """Occupy a stretch."""
        first = bisect.bisect_left(self._spans, span.start, key=lambda other: other.end)
        last = bisect.bisect_right(self._spans, span.end, key=lambda other: other.start)
        joined = [span, *self._spans[first:last]]
        start, end = min(each.start for each in joined), max(each.end for each in joined)
        self._spans[first:last] = [Span(start, end)]

    def is_free(self, span: Span) -> bool:
        """Whether nothing of a stretch is occupied."""
        after = bisect.bisect_right(self._spans, span.start, key=lambda other: other.end)
        return after == len(self._spans) or self._spans[after].start >= span.end

    def gaps(self, inside: Span, length: int) -> list[Span]:
        """Free stretches inside of another that have at least a length."""
        found, at = [], inside.start
        for start, end in self._spans:
            if start >= inside.end:
                break
            if start - at >= length:
                found.append(Span(at, start))
            at = max(at, end)
        if inside.end - at >= length:
            found.append(Span(at, inside.end))
        return found

    def with_others(self, others: Sequence[Span]) -> Occupied:
        """A copy in which further stretches are occupied."""
        copied = Occupied(list(self._spans))
        for span in others:
            copied.add(span)
        return copied


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """A stretch without calls."""

    beside: CorpusEntry
    """The call that it was looked for."""
    path: str
    """The recording, or the tape."""
    source: str
    """clip or raw."""
    start_ms: int
    """On the file's own axis."""
    end_ms: int
    tape: str
    unannotated: bool = False


class Miner:
    """Finds noise in a corpus; what was found stays occupied."""

    def __init__(
        self,
        index: CorpusIndex,
        strategy: Strategy,
        division: Division,
        raw_s: Mapping[str, float],
    ) -> None:
        """Occupy every known call.

        Args:
            index: of the corpus.
            strategy: margin, seed, and whether tapes are searched.
            division: sides of recordings.
            raw_s: lengths of the tapes that the corpus holds, by path, seconds.
        """
        self._strategy = strategy
        self._division = division
        self._raw_s = raw_s
        self._by_path = {recording.path: recording for recording in index.recordings}
        self._of_tape: defaultdict[str, list[CorpusRecording]] = defaultdict(list)
        self._occupied: defaultdict[str, Occupied] = defaultdict(Occupied)
        for recording in index.recordings:
            self._of_tape[recording.tape].append(recording)
        for entry in index.entries:
            span = Span.around(entry.clip_start_s, entry.clip_end_s, strategy.noise_mining.margin_s)
            self.occupy(entry.clip_path, span)

    def occupy(self, path: str, span: Span) -> None:
        """Keep noise away from a stretch of a recording."""
        recording = self._by_path[path]
        self._occupied[recording.tape].add(_moved(span, round(recording.raw_start_s * MS)))

    def find(self, call: CorpusEntry, number: int, length: int) -> Noise | None:
        """Noise for a call: in its recording, in others of the tape, then on the tape itself.

        Args:
            call: the call.
            number: which of its noises, from 0.
            length: milliseconds.
        """
        own = self._by_path[call.clip_path]
        side = self._division.calls[call.uid]
        beside = [
            other
            for other in self._of_tape[own.tape]
            if other.path != own.path and self._division.recordings.get(other.path) == side
        ]
        identity = (self._strategy.seed, "noise", call.uid, number)
        for recording in (own, *beside):
            offset = round(recording.raw_start_s * MS)
            inside = _moved(Span.within(0, recording.duration_s), offset)
            if (at := self._place(own.tape, inside, length, identity)) is not None:
                return Noise(
                    beside=call,
                    path=recording.path,
                    source="clip",
                    start_ms=at - offset,
                    end_ms=at - offset + length,
                    tape=own.tape,
                )
        return self._on_tape(call, own, side, length, identity)

    def _on_tape(
        self,
        call: CorpusEntry,
        own: CorpusRecording,
        side: str,
        length: int,
        identity: tuple[object, ...],
    ) -> Noise | None:
        if not self._strategy.noise_mining.fallback_raw or own.raw_path not in self._raw_s:
            return None
        assert own.raw_path is not None
        annotated, others = Occupied(), []
        for recording in self._of_tape[own.tape]:
            offset = round(recording.raw_start_s * MS)
            span = _moved(Span.around(0, recording.duration_s), offset)
            annotated.add(span)
            if self._division.recordings.get(recording.path, side) != side:
                others.append(span)
        inside = Span.within(0, self._raw_s[own.raw_path])
        at = self._place(own.tape, inside, length, identity, others)
        if at is None:
            return None
        return Noise(
            beside=call,
            path=own.raw_path,
            source="raw",
            start_ms=at,
            end_ms=at + length,
            tape=own.tape,
            unannotated=bool(annotated.gaps(Span(at, at + length), 1)),
        )

    def _place(
        self,
        tape: str,
        inside: Span,
        length: int,
        identity: tuple[object, ...],
        others: Sequence[Span] = (),
    ) -> int | None:
        """Any start of the free ones, each as likely; it is then occupied.

        ``others`` are stretches of other sides, free for those.
        """
        occupied = self._occupied[tape]
        seen = occupied.with_others(others) if others else occupied
        at = _free_start(seen, inside, length, identity)
        if at is not None:
            occupied.add(Span(at, at + length))
        return at


def _free_start(
    occupied: Occupied, inside: Span, length: int, identity: tuple[object, ...]
) -> int | None:
    """Draw until a start is free; where most is occupied, draw among the gaps."""
    starts = inside.end - inside.start - length + 1
    if starts < 1:
        return None
    for attempt in range(_DRAWS):
        at = inside.start + bits(*identity, attempt) % starts
        if occupied.is_free(Span(at, at + length)):
            return at
    gaps = occupied.gaps(inside, length)
    if not gaps:
        return None
    at = bits(*identity) % sum(end - start - length + 1 for start, end in gaps)
    for start, end in gaps:
        room = end - start - length + 1
        if at < room:
            return start + at
        at -= room
    raise AssertionError(at)


def account(asked: int, found: Iterable[Noise]) -> NoiseAccount:
    """What came of what was asked for."""
    listed = list(found)
    raw = [noise for noise in listed if noise.source == "raw"]
    return NoiseAccount(
        asked=asked,
        from_clips=len(listed) - len(raw),
        from_raw=len(raw),
        unannotated=sum(noise.unannotated for noise in raw),
        not_found=asked - len(listed),
    )


def numbers_of(calls: Sequence[CorpusEntry], strategy: Strategy) -> dict[int, int]:
    """How many noises each call has, by its id; all together as many as were asked for, exactly."""
    shuffled = sorted(calls, key=lambda call: bits(strategy.seed, "noises", call.uid))
    per_call = strategy.noise_per_hum
    return {
        call.uid: round((at + 1) * per_call) - round(at * per_call)
        for at, call in enumerate(shuffled)
    }


def _moved(span: Span, by: int) -> Span:
    return Span(span.start + by, span.end + by)
