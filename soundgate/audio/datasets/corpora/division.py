"""Which calls are trained on: whole tapes, clips or single calls go to train, val and test.

Groups are dealt one after another, the largest first, to the side that lacks most of what the
strategy counts:

    random                          groups
    proportional_by_tape            calls
    quality_balanced                calls of each quality
    clipwise_balanced               annotated recordings; of each tape where clips are divided
    quality_and_clipwise_balanced   both

The result depends on the seed and the names in the corpus only, not on any order.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from soundgate.audio.datasets.corpora.draws import bits
from soundgate.audio.formats.datasets.variant import SPLITS
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from soundgate.audio.datasets.corpora.strategies import Strategy
    from soundgate.audio.formats.datasets.corpus import (
        CorpusEntry,
        CorpusIndex,
        CorpusRecording,
    )


@dataclass(slots=True)
class _Group:
    """What goes to one side together."""

    key: str
    recordings: list[CorpusRecording] = field(default_factory=list)
    calls: list[CorpusEntry] = field(default_factory=list)

    def counts(self, strategy: Strategy) -> Counter[Hashable]:
        """What the strategy spreads evenly."""
        match strategy.split_strategy:
            case "random":
                return Counter(["groups"])
            case "proportional_by_tape":
                return Counter(["calls"] * len(self.calls))
            case "quality_balanced":
                return Counter(call.quality for call in self.calls)
            case "clipwise_balanced":
                return self._clips(strategy.group_by)
            case _:
                qualities: Counter[Hashable] = Counter(("Q", call.quality) for call in self.calls)
                return self._clips(strategy.group_by) + qualities

    def _clips(self, group_by: str) -> Counter[Hashable]:
        if group_by == "tape":
            return Counter(["clips"] * len(self.recordings))
        if group_by == "clip":
            return Counter(("tape", recording.raw_uid) for recording in self.recordings)
        return Counter(("tape", call.raw_uid) for call in self.calls)


@dataclass(frozen=True, slots=True)
class Division:
    """The side of everything."""

    calls: Mapping[int, str]
    """By ``uid`` of a call that is used."""
    recordings: Mapping[str, str]
    """By path; where calls are divided, only of recordings without calls."""

    def of(self, split: str) -> list[str]:
        """Recordings that belong to a side as a whole, sorted."""
        return sorted(path for path, side in self.recordings.items() if side == split)


def used_calls(index: CorpusIndex, strategy: Strategy) -> list[CorpusEntry]:
    """Calls that a strategy cuts out, in order of their ids.

    Raises:
        DataError: there are none.
    """
    known = set(index.labels)
    if unknown := [label for label in strategy.classes if label not in known]:
        raise DataError(
            f"classes: no call is called {unknown[0]!r}; the corpus has {', '.join(sorted(known))}"
        )
    calls = [
        entry
        for entry in sorted(index.entries, key=lambda entry: entry.uid)
        if (entry.quality is None or entry.quality >= strategy.min_quality)
        and (not strategy.classes or entry.label in strategy.classes)
    ]
    if not calls:
        raise DataError(
            f"the corpus has no calls of quality {strategy.min_quality} and more: lower min_quality"
        )
    return calls


def divide(index: CorpusIndex, strategy: Strategy, calls: Sequence[CorpusEntry]) -> Division:
    """Deal groups to the sides.

    Raises:
        DataError: there are fewer groups with calls than sides.
    """
    groups = _groups(index, strategy.group_by, calls)
    shares = {s: f for s, f in zip(SPLITS, strategy.fractions, strict=True) if f > 0}
    sides = _dealt(groups, strategy, shares)
    _fill(groups, sides, shares, strategy.group_by)
    by_call = {call.uid: sides[group.key] for group in groups for call in group.calls}
    whole = [group for group in groups if strategy.group_by != "call" or not group.calls]
    return Division(
        by_call,
        {recording.path: sides[group.key] for group in whole for recording in group.recordings},
    )


def _groups(index: CorpusIndex, group_by: str, calls: Sequence[CorpusEntry]) -> list[_Group]:
    """Groups of recordings and calls, by key; recordings without calls are in one, too."""
    found: defaultdict[str, _Group] = defaultdict(lambda: _Group(""))
    by_path = {recording.path: recording for recording in index.recordings}
    with_calls = {call.clip_path for call in calls}

    def group(key: str) -> _Group:
        found[key].key = key
        return found[key]

    for recording in index.recordings:
        if group_by != "call" or recording.path not in with_calls:
            key = recording.tape if group_by == "tape" else recording.path
            group(key).recordings.append(recording)
    for call in calls:
        by = {"tape": by_path[call.clip_path].tape, "clip": call.clip_path, "call": str(call.uid)}
        group(by[group_by]).calls.append(call)
    return [found[key] for key in sorted(found)]


def _dealt(
    groups: Sequence[_Group], strategy: Strategy, shares: Mapping[str, float]
) -> dict[str, str]:
    counts = {group.key: group.counts(strategy) for group in groups}
    total: Counter[Hashable] = Counter()
    for counted in counts.values():
        total.update(counted)
    has: dict[str, Counter[Hashable]] = {side: Counter() for side in shares}
    number = dict.fromkeys(shares, 0)

    def added_cost(side: str, counted: Counter[Hashable]) -> tuple[float, float]:
        """How much further from its shares a side is with a group more, and how full it is."""
        cost = 0.0
        for key, count in counted.items():
            lack = shares[side] * total[key] - has[side][key]
            cost += ((count - lack) ** 2 - lack**2) / total[key]
        return cost, number[side] / shares[side]

    sides = {}
    for group in sorted(groups, key=lambda g: (-counts[g.key].total(), bits(strategy.seed, g.key))):
        counted = counts[group.key]
        side = min(shares, key=lambda side: added_cost(side, counted))
        sides[group.key] = side
        has[side].update(counted)
        number[side] += 1
    return sides


def _fill(
    groups: Sequence[_Group], sides: dict[str, str], shares: Mapping[str, float], group_by: str
) -> None:
    """Give a side without calls the smallest group of the side that has most groups with calls."""
    heard = [group for group in groups if group.calls]
    if len(heard) < len(shares):
        what = {"tape": "tapes", "clip": "recordings", "call": "calls"}[group_by]
        calls = [call for group in heard for call in group.calls]
        finer = "clip" if len({call.clip_path for call in calls}) >= len(shares) else "call"
        hint = f'; or divide smaller parts, "group_by": "{finer}"' if group_by != finer else ""
        raise DataError(
            f"{len(heard)} {what} with calls cannot be divided into {', '.join(shares)}: set "
            f"fractions of 0{hint}"
        )
    for side in shares:
        if any(sides[group.key] == side for group in heard):
            continue
        held = Counter(sides[group.key] for group in heard)
        donor = max(shares, key=lambda other: held[other])
        moved = min(
            (group for group in heard if sides[group.key] == donor),
            key=lambda group: (len(group.calls), group.key),
        )
        sides[moved.key] = side
