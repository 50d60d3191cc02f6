"""The files of a data set: calls and noise of a corpus, each with its place, its name and side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from soundgate.audio.datasets.corpora.division import divide, used_calls
from soundgate.audio.datasets.corpora.draws import draw
from soundgate.audio.datasets.corpora.indexing.names import year_of
from soundgate.audio.datasets.corpora.noise import MS, Miner, Noise, Span, account, numbers_of
from soundgate.audio.formats.datasets.corpus import CALL
from soundgate.audio.formats.datasets.variant import (
    NOISE,
    SPLITS,
    ClipName,
    Region,
    VariantEntry,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from soundgate.audio.datasets.corpora.division import Division
    from soundgate.audio.datasets.corpora.strategies import Strategy
    from soundgate.audio.formats.datasets.corpus import (
        CorpusEntry,
        CorpusIndex,
        CorpusRecording,
    )
    from soundgate.audio.formats.datasets.variant import NoiseAccount

UNGRADED = "call"
"""Label of a call that nobody graded, where graded ones have Q and the quality."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A file that will be written."""

    entry: VariantEntry
    path: str
    """What it is cut from."""
    call: CorpusEntry | None = None
    """None: it is noise."""
    copy: str | None = None
    """The file that holds just this call already."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All files of a data set."""

    cuts: Sequence[Cut]
    noise: Mapping[str, NoiseAccount]
    regions: Sequence[Region]
    division: Division


def plan_cuts(index: CorpusIndex, strategy: Strategy, raw_s: Mapping[str, float]) -> Plan:
    """Which files there will be.

    Args:
        index: of the corpus.
        strategy: how it is cut and divided.
        raw_s: lengths of the tapes that the corpus holds, by path, seconds.

    Raises:
        DataError: there are no calls, or too few tapes to divide.
    """
    calls = used_calls(index, strategy)
    division = divide(index, strategy, calls)
    recordings = {recording.path: recording for recording in index.recordings}
    miner = Miner(index, strategy, division, raw_s)
    spans = {call.uid: _span(call, recordings[call.clip_path], strategy) for call in calls}
    for call in calls:
        miner.occupy(call.clip_path, spans[call.uid])
    found = _mined(calls, miner, strategy, spans)
    cuts: list[Cut] = []
    for call in calls:
        recording, side = recordings[call.clip_path], division.calls[call.uid]
        cuts.append(_call(call, spans[call.uid], recording, side, len(cuts) + 1, strategy))
        cuts += [
            _noise(noise, side, recording, len(cuts) + number)
            for number, noise in enumerate(found[call.uid], 1)
        ]
    return Plan(
        cuts,
        _accounts(calls, division, found, strategy),
        _regions(cuts, division, strategy, recordings),
        division,
    )


def _span(call: CorpusEntry, recording: CorpusRecording, strategy: Strategy) -> Span:
    """What is cut for a call: itself, or with sound around it up to the least length."""
    last = Span.within(0, recording.duration_s).end
    start, end = round(call.clip_start_s * MS), min(round(call.clip_end_s * MS), last)
    end = max(end, start + 1)
    length = max(end - start, round(strategy.clip_s * MS))
    before = round(draw(strategy.seed, "surroundings", call.uid) * (length - (end - start)))
    first = max(0, min(start - before, last - length))
    return Span(first, max(end, min(first + length, last)))


def _mined(
    calls: Sequence[CorpusEntry], miner: Miner, strategy: Strategy, spans: Mapping[int, Span]
) -> dict[int, list[Noise]]:
    wanted = numbers_of(calls, strategy)
    found: dict[int, list[Noise]] = {}
    for call in calls:
        length = spans[call.uid].end - spans[call.uid].start
        tried = (miner.find(call, number, length) for number in range(wanted[call.uid]))
        found[call.uid] = [noise for noise in tried if noise is not None]
    return found


def _accounts(
    calls: Sequence[CorpusEntry],
    division: Division,
    found: Mapping[int, Sequence[Noise]],
    strategy: Strategy,
) -> dict[str, NoiseAccount]:
    wanted = numbers_of(calls, strategy)
    of_side = {
        side: [call.uid for call in calls if division.calls[call.uid] == side] for side in SPLITS
    }
    return {
        side: account(
            sum(wanted[uid] for uid in uids), (noise for uid in uids for noise in found[uid])
        )
        for side, uids in of_side.items()
    }


def _call(
    call: CorpusEntry,
    span: Span,
    recording: CorpusRecording,
    side: str,
    uid: int,
    strategy: Strategy,
) -> Cut:
    name = ClipName(
        class_name=call.label if strategy.classes else CALL,
        label=UNGRADED if call.quality is None else f"Q{call.quality}",
        uid=uid,
        year=year_of(recording.tape),
        tape=recording.tape,
        start_ms=span.start,
        end_ms=span.end,
    )
    entry = _entry(name, side, recording, quality=call.quality, source="labelled")
    at_s, seconds = call.clip_start_s - span.start / MS, (span.end - span.start) / MS
    entry = entry.model_copy(
        update={
            "recording": recording.path,
            "call_start_s": round(max(at_s, 0.0), 6),
            "call_end_s": round(min(at_s + call.clip_end_s - call.clip_start_s, seconds), 6),
        }
    )
    return Cut(entry, recording.path, call, None if strategy.clip_s else call.hum_path)


def _noise(noise: Noise, side: str, recording: CorpusRecording, uid: int) -> Cut:
    name = ClipName(
        class_name=NOISE,
        label="bg",
        uid=uid,
        year=year_of(noise.tape),
        tape=noise.tape,
        start_ms=noise.start_ms,
        end_ms=noise.end_ms,
    )
    entry = _entry(name, side, recording, quality=None, source=noise.source)
    return Cut(entry.model_copy(update={"recording": noise.path}), noise.path)


def _entry(
    name: ClipName, side: str, recording: CorpusRecording, *, quality: int | None, source: str
) -> VariantEntry:
    return VariantEntry.model_validate(
        {
            "uid": name.uid,
            "fn": str(name),
            "class": name.class_name,
            "label": name.label,
            "tape_key": recording.tape,
            "quality": quality,
            "source": source,
            "start_ms": name.start_ms,
            "end_ms": name.end_ms,
            "start_s": name.start_ms / MS,
            "end_s": name.end_ms / MS,
            "split": side,
        }
    )


def _regions(
    cuts: Iterable[Cut],
    division: Division,
    strategy: Strategy,
    recordings: Mapping[str, CorpusRecording],
) -> list[Region]:
    """What validation may listen to: recordings of its side, or just its files."""
    if strategy.group_by != "call":
        return [
            Region(path=path, start_s=0.0, end_s=recordings[path].duration_s)
            for path in division.of("val")
        ]
    return [
        Region(path=cut.path, start_s=cut.entry.start_s, end_s=cut.entry.end_s)
        for cut in cuts
        if cut.entry.split == "val"
    ]
