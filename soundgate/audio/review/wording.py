"""Turns metrics into sentences for a reviewer."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

from soundgate.audio.metrics.rounding import decimal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from soundgate.audio.formats.reports.comparison import Champion, Comparison
    from soundgate.audio.formats.reports.report import Estimate, Headline
    from soundgate.audio.review.evidence import Verdict

_MINUS = "\u2212"
_NARROW_SPACE = "\u202f"
_THOUSANDTH = Decimal("0.001")
_OVERRIDE = "Approving it needs an override and a reason."

GOOD, MIXED, BAD, NEUTRAL = "good", "mixed", "bad", "neutral"


@dataclass(frozen=True)
class Banner:
    """The banner at the top of the page."""

    state: str
    """``good``, ``mixed``, ``bad`` or ``neutral``."""
    title: str
    sentences: tuple[str, ...]


def banner(verdicts: Sequence[Verdict], comparison: Comparison | None) -> Banner:
    """Summarise the gates and the comparison with the champion in a few sentences."""
    state, title, said = _gates(verdicts)
    if comparison is not None:
        said.append(against_champion(comparison))
        changes = class_changes(comparison)
        said += changes
        if changes or comparison.few_compared:
            # A green banner would hide that the champion is not replaced like for like.
            state = MIXED if state == GOOD else state
            title += f"; {'the classes change' if changes else 'few clips are compared'}"
    return Banner(state, title, tuple(said))


def class_changes(comparison: Comparison) -> list[str]:
    """Which classes of the champion are lost, and which are gained; one sentence each."""
    names, found = comparison.classes_left_out, []
    if lost := names.unknown_to_candidate:
        classes = counted(len(lost), "class")
        found.append(f"{classes} of the champion would be lost: {_listed(lost, '')}.")
    if gained := names.unknown_to_champion:
        found.append(f"{counted(len(gained), 'class')} would be new: {_listed(gained, '')}.")
    return found


def _gates(verdicts: Sequence[Verdict]) -> tuple[str, str, list[str]]:
    missed = [verdict for verdict in verdicts if not verdict.passed]
    gates = counted(len(verdicts), "gate")
    if not verdicts:
        return NEUTRAL, "No gate was declared", [_OVERRIDE]
    if not missed:
        return GOOD, f"Passed {'its only gate' if len(verdicts) == 1 else f'all {gates}'}", []
    state = MIXED if all(verdict.advisory for verdict in missed) else BAD
    kind = " (advisory)" if state == MIXED else ""
    said = []
    if unjudged := sum(verdict.value is None for verdict in missed):
        count = "It" if len(missed) == 1 else f"{unjudged} of these"
        said.append(f"{count} could not be judged, which counts as missed.")
    said.append(_OVERRIDE if state == MIXED else "The run registers no candidate.")
    return state, f"Missed {len(missed)} of {gates}{kind}", said


def against_champion(comparison: Comparison) -> str:
    """One sentence on the difference of the first headline metric."""
    if comparison.champion is None:
        return "There is no champion to compare with yet."
    champion = named(comparison.champion)
    if not comparison.compared or not comparison.headline:
        return f"Not compared with the champion, {champion}: {comparison.reason}."
    first = comparison.headline[0]
    gap = comparison.metrics[first.metric].difference
    assert gap is not None
    if gap.low is None or gap.high is None:
        return (
            f"Beside the champion, {champion}, each on its own test: "
            f"{signed(gap.value)} in {lowered(first.title)}."
        )
    words = {"up": "better than", "down": "worse than"}
    found = words.get(direction(gap, first), "not clearly better or worse than")
    clips = counted(comparison.clips, "clip")
    left = sum(comparison.left_out.values())
    where = f"On the same {clips}" if not left else f"On {clips} ({left} left out)"
    return (
        f"{where} the candidate is {found} the champion, {champion}: {signed(gap.value)} "
        f"({signed(gap.low)} to {signed(gap.high)}) in {lowered(first.title)}."
    )


def direction(gap: Estimate, line: Headline) -> str:
    """``up`` or ``down`` where the whole interval is better or worse; empty where it is neither."""
    if gap.low is None or gap.high is None:
        return ""
    sign = (gap.low > 0) - (gap.high < 0)
    return {1: "up", -1: "down"}.get(-sign if line.lower_is_better else sign, "")


def lowered(title: str) -> str:
    """A title inside a sentence; an abbreviation such as PSDS stays as it is.

    >>> lowered("Clip accuracy"), lowered("PSDS 1")
    ('clip accuracy', 'PSDS 1')
    """
    return title[0].lower() + title[1:] if title[1:2].islower() else title


def mcnemar(comparison: Comparison) -> str:
    """The result of McNemar's test and its meaning; empty without a test."""
    test = comparison.mcnemar
    if test is None:
        return ""
    ours, theirs = test.only_candidate_right, test.only_champion_right
    if ours + theirs == 0:
        return (
            "Both models are right on the same clips: "
            "there is no evidence of a difference (exact McNemar test, p = 1)."
        )
    significant = test.p_value < 1 - (comparison.confidence_level or 0.95)
    meaning = "chance hardly explains this" if significant else "chance may explain this"
    return (
        f"Only the candidate is right on {counted(ours, 'clip')}, only the champion on {theirs}. "
        "If both were equally good, a split at least this uneven would occur with probability "
        f"{probability(test.p_value)} (exact McNemar test): {meaning}."
    )


def caveat(comparison: Comparison) -> str:
    """The test's assumption of independent clips, if it is violated; empty otherwise."""
    clips, sources = comparison.clips, comparison.sources
    if sources is None or sources == clips:
        return ""
    return (
        f"The {clips} clips come from {counted(sources, 'recording')}. The intervals draw whole "
        "recordings; McNemar's test treats every clip as independent and is more optimistic."
    )


def left_out(comparison: Comparison) -> list[str]:
    """Which clips were not compared and why; one sentence per reason."""
    counts, names = comparison.left_out, comparison.classes_left_out
    said = []
    if n := counts.get("unknown_to_champion", 0):
        said.append(
            f"{counted(n, 'clip')} left out: the champion does not know the class"
            f"{_listed(names.unknown_to_champion)}."
        )
    elif names.unknown_to_champion:
        said.append(f"The champion does not know{_listed(names.unknown_to_champion, ' ')}.")
    if n := counts.get("unknown_to_candidate", 0):
        said.append(
            f"{counted(n, 'clip')} left out: only the champion knows the class"
            f"{_listed(names.unknown_to_candidate)}."
        )
    elif names.unknown_to_candidate:
        said.append(
            f"The candidate does not know{_listed(names.unknown_to_candidate, ' ')}, "
            "which the champion may still predict."
        )
    if n := counts.get("champion_trained_on", 0):
        said.append(
            f"{counted(n, 'clip')} left out: the champion was trained on the recording, "
            "or its epoch was selected with it."
        )
    return said


def changed(number: int, shown: int, before: str, now: str) -> str:
    """One sentence on clips that one model gets right and the other wrong.

    >>> changed(0, 0, "the champion got right", "now wrong")
    'No clip that the champion got right is now wrong.'
    >>> changed(12, 8, "the champion got wrong", "now right")
    '12 clips that the champion got wrong are now right (8 shown).'
    """
    if not number:
        return f"No clip that {before} is {now}."
    verb = "is" if number == 1 else "are"
    return f"{counted(number, 'clip')} that {before} {verb} {now} ({shown} shown)."


def named(champion: Champion) -> str:
    """Name and version."""
    return f"{champion.name} version {champion.version}"


def counted(number: int, noun: str) -> str:
    """A number and a noun, with thousands set apart.

    >>> counted(1, "clip"), counted(10000, "clip")
    ('1 clip', '10\\u202f000 clips')
    """
    ending = "" if number == 1 else "es" if noun.endswith("s") else "s"
    return f"{thousands(number)} {noun}{ending}"


def thousands(number: float) -> str:
    """A whole number with narrow spaces between its thousands."""
    return f"{number:,.0f}".replace(",", _NARROW_SPACE)


def fraction(value: float) -> str:
    """Three decimals, halves rounded up as people do; a true minus, and none before zero.

    >>> fraction(0.0875), fraction(1.0), fraction(-0.0001), fraction(-0.2) == "\\u2212" "0.200"
    ('0.088', '1.000', '0.000', True)
    """
    text = str(Decimal(repr(abs(float(value)))).quantize(_THOUSANDTH, ROUND_HALF_UP))
    return _MINUS + text if value < 0 and float(text) else text


def exact(value: float) -> str:
    """Every decimal of a rounded number, as gates compare it; a true minus.

    >>> exact(0.741667), exact(-0.02) == "\\u2212" "0.02"
    ('0.741667', True)
    """
    return decimal(value).replace("-", _MINUS)


def megabytes(size_bytes: float) -> str:
    """A size of a file for a reader.

    >>> megabytes(1389466), megabytes(113679)
    ('1.39 MB', '114 kB')
    """
    return f"{size_bytes / 1e6:.2f} MB" if size_bytes >= 1e6 else f"{size_bytes / 1e3:.0f} kB"


def signed(value: float) -> str:
    """As ``fraction``, with a plus before what is above zero.

    >>> signed(0.0125), signed(0.0001), signed(-0.2) == "\\u2212" "0.200"
    ('+0.013', '0.000', True)
    """
    text = fraction(value)
    return f"+{text}" if value > 0 and float(text) else text


def probability(value: float) -> str:
    """Three decimals, or that it is less.

    >>> probability(0.0390625), probability(1e-9)
    ('0.039', 'less than 0.001')
    """
    return "less than 0.001" if value < 0.001 else fraction(value)


def plain(value: object) -> str:
    """A value of a JSON file for a reader.

    >>> plain(True), plain([1, 2]), plain(None), plain({"b": 1})
    ('yes', '1, 2', 'none', 'b 1')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "none"
    if isinstance(value, dict):
        return ", ".join(f"{key} {plain(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(plain, value))
    return value if isinstance(value, str) else json.dumps(value)


def _listed(names: Sequence[str], before: str = ", such as ") -> str:
    shown = ", ".join(names[:8])
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f"{before}{shown}{more}" if names else ""
