"""What is refused and what is only told: a row a rule, bounded by the section ``inspection``.

A rule lists what it found, each with the reason. Rules on clips are bounded by a share of all
clips; those on classes find what may not be, and so refuse whatever they find.
"""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from soundgate.audio.clips import labels
from soundgate.audio.formats.datasets.inspection import ClassCount, Finding, Inspection, Range
from soundgate.audio.inspection import signals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from soundgate.audio.config.sections import inspection as section
    from soundgate.audio.inspection.collection import Collection, MeasuredClip

Examples: TypeAlias = list[str]


@dataclass(frozen=True, slots=True)
class Rule:
    """What is looked for."""

    key: str
    """Of the section ``inspection``."""
    title: str
    find: Callable[[Collection, section.Inspection], Examples]
    remedy: str
    kind: Literal["share", "least", "allowed"] = "share"
    """What the key is: the share of clips that may be so, the least number of something, or whether
    it may be so at all."""


def inspect(collection: Collection, bounds: section.Inspection) -> Inspection:
    """Judge what was collected of a data set by the rules of :data:`RULES`."""
    clips = len(collection.measured) + len(collection.unread)
    judged = (_judge(rule, collection, bounds, clips) for rule in RULES)
    found = sorted((each for each in judged if each), key=lambda finding: not finding.refused)
    durations = [clip.duration_s for clip in collection.measured]
    return Inspection(
        clips=clips,
        seconds=round(sum(durations), 3),
        duration_s=_range(durations),
        sample_rates_hz=_counts(clip.levels.rate_hz for clip in collection.measured),
        channels=_counts(clip.levels.channels for clip in collection.measured),
        classes=_classes(collection),
        findings=tuple(found),
    )


def _judge(
    rule: Rule, collection: Collection, bounds: section.Inspection, clips: int
) -> Finding | None:
    examples = rule.find(collection, bounds)
    if not examples:
        return None
    bound = float(getattr(bounds, rule.key))
    refused = {
        "share": len(examples) > bound * clips,
        "least": True,
        "allowed": not bound,
    }[rule.kind]
    if rule.key == UNREADABLE and not collection.measured:
        refused = True  # whatever is tolerated, nothing is left to learn from
    what = f"{len(examples)} {rule.title}"
    share = f" of {clips} clips" if rule.kind == "share" else ""
    return Finding(
        rule=f"inspection.{rule.key}",
        title=rule.title,
        count=len(examples),
        bound=bound,
        refused=refused,
        message=f"{what}{share}: {rule.remedy}",
        examples=tuple(examples),
    )


def _unreadable(collection: Collection, _bounds: section.Inspection) -> Examples:
    return [clip.reason for clip in collection.unread]


def _asked(question: signals.Question) -> Callable[[Collection, section.Inspection], Examples]:
    """The clips of which it is true."""

    def find(collection: Collection, bounds: section.Inspection) -> Examples:
        least = signals.floor(bounds.silent_below_db)
        answers = ((c.name, question.answer(c.levels, least)) for c in collection.measured)
        return [f"{name}: {why}" for name, why in answers if why]

    return find


def _of_signal(question: signals.Question, remedy: str) -> Rule:
    return Rule(question.key, question.title, _asked(question), remedy)


def _alike(collection: Collection, bounds: section.Inspection) -> Iterable[list[MeasuredClip]]:
    """Groups of clips that sound exactly alike; silence is left to its own rule."""
    groups: defaultdict[bytes, list[MeasuredClip]] = defaultdict(list)
    least = signals.floor(bounds.silent_below_db)
    for clip in collection.measured:
        if not signals.is_silent(clip.levels, least):
            groups[clip.content].append(clip)
    return (group for group in groups.values() if len(group) > 1)


def _twins(
    collection: Collection,
    bounds: section.Inspection,
    key: Callable[[MeasuredClip], object],
    said: Callable[[MeasuredClip, MeasuredClip], str],
) -> Examples:
    """Each clip with the first one that sounds like it but has another ``key``."""
    found = []
    for group in _alike(collection, bounds):
        first: dict[object, MeasuredClip] = {}
        for clip in group:
            first.setdefault(key(clip), clip)
        for clip in group if len(first) > 1 else ():
            twin = next((other for each, other in first.items() if each != key(clip)), None)
            if twin is not None:
                found.append(f"{clip.name}: {said(clip, twin)}")
    return sorted(found)


def _leaked(collection: Collection, bounds: section.Inspection) -> Examples:
    return _twins(
        collection,
        bounds,
        lambda clip: clip.side,
        lambda clip, other: f"is in {clip.side}, the same sound as {other.name} in {other.side}",
    )


def _contradictory(collection: Collection, bounds: section.Inspection) -> Examples:
    return _twins(
        collection,
        bounds,
        lambda clip: clip.labels,
        lambda clip, other: (
            f"is {', '.join(clip.labels)}, the same sound as {other.name}, "
            f"which is {', '.join(other.labels)}"
        ),
    )


def _duplicates(collection: Collection, bounds: section.Inspection) -> Examples:
    found = []
    for group in _alike(collection, bounds):
        first: dict[tuple[str, tuple[str, ...]], str] = {}
        for clip in group:
            twin = first.setdefault((clip.side, clip.labels), clip.name)
            if twin != clip.name:
                found.append(f"{clip.name}: the same sound as {twin}")
    return sorted(found)


def _too_few_classes(collection: Collection, bounds: section.Inspection) -> Examples:
    known = _labels(collection)
    few = len(known) < bounds.min_classes
    return [f"{len(known)} of {bounds.min_classes}: {', '.join(known) or 'none'}"] if few else []


def _small_classes(collection: Collection, bounds: section.Inspection) -> Examples:
    counts = Counter(label for clip in collection.measured for label in clip.labels)
    return [
        f"{label}: {counts[label]} readable clips, needed are {bounds.min_clips_per_class}"
        for label in _labels(collection)
        if counts[label] < bounds.min_clips_per_class
    ]


def _one_sided(collection: Collection, _bounds: section.Inspection) -> Examples:
    """Classes whose clips lie on one side, so that they cannot be both trained and tested."""
    sides: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for clip in collection.measured:
        for label in clip.labels:
            sides[label][clip.side] += 1
    if len({side for counts in sides.values() for side in counts}) < 2:
        return []
    return [
        f"{label}: all its {counts.total()} clips are in {next(iter(counts))}"
        for label, counts in sorted(sides.items())
        if len(counts) == 1 and counts.total() > 1
    ]


def _similar(collection: Collection, _bounds: section.Inspection) -> Examples:
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for label in _labels(collection):
        groups[labels.look(label)].append(label)
    return [
        " and ".join(map(ascii, group)) + " look alike"
        for group in groups.values()
        if len(group) > 1
    ]


def _odd(collection: Collection, _bounds: section.Inspection) -> Examples:
    return [
        f"{label!a} has blanks, quotes or invisible characters"
        for label in _labels(collection)
        if labels.is_odd(label)
    ]


def _labels(collection: Collection) -> list[str]:
    measured = {label for clip in collection.measured for label in clip.labels}
    return sorted(measured.union(*(clip.labels for clip in collection.unread)))


UNREADABLE: Final = "max_unreadable"
RULES: Final = (
    Rule(UNREADABLE, "unreadable", _unreadable, "replace or remove them"),
    Rule("min_classes", "data set with too few classes", _too_few_classes, "add a class", "least"),
    Rule(
        "min_clips_per_class",
        "classes with too few clips",
        _small_classes,
        "add clips or leave the classes out",
        "least",
    ),
    Rule(
        "similar_labels",
        "groups of labels that differ only by case, blanks, quotes or invisible characters",
        _similar,
        "rename them alike",
        "allowed",
    ),
    Rule(
        "one_sided_classes",
        "classes with clips in one split or fold only",
        _one_sided,
        "they cannot be both trained and tested, spread their clips",
        "allowed",
    ),
    Rule("odd_labels", "odd labels", _odd, "remove what nobody means to be in them", "allowed"),
    _of_signal(signals.MIS_SCALED, "divide their samples by full scale"),
    Rule("max_leaked", "on both sides of a split", _leaked, "keep one of each, on one side"),
    Rule("max_contradictory", "under two labels", _contradictory, "keep the right one of each"),
    _of_signal(signals.SILENT, "record or mix them again, or leave them out"),
    _of_signal(signals.DEAD_CHANNEL, "export the channels that hold sound"),
    _of_signal(signals.CLIPPED, "record them at a lower level"),
    Rule("max_duplicates", "duplicates within a class", _duplicates, "keep one of each"),
)
"""All rules, in the order of their report."""


def _range(values: list[float]) -> Range | None:
    if not values:
        return None
    low, median, high = min(values), statistics.median(values), max(values)
    return Range(low=round(low, 3), median=round(median, 3), high=round(high, 3))


def _counts(values: Iterable[int]) -> dict[str, int]:
    return {str(value): count for value, count in sorted(Counter(values).items())}


def _classes(collection: Collection) -> tuple[ClassCount, ...]:
    sides: defaultdict[str, Counter[str]] = defaultdict(Counter)
    seconds: defaultdict[str, float] = defaultdict(float)
    for clip in collection.measured:
        for label in clip.labels:
            sides[label][clip.side] += 1
            seconds[label] += clip.duration_s
    return tuple(
        ClassCount(
            label=label,
            clips=sides[label].total(),
            seconds=round(seconds[label], 3),
            by_split=dict(sorted(sides[label].items())),
        )
        for label in _labels(collection)
    )
