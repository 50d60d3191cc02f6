"""Figures in words that a reviewer can decide by."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

from soundgate.audio.classification import evaluation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MINUS = "\u2212"
_NARROW_SPACE = "\u202f"
_THOUSANDTH = Decimal("0.001")
_OVERRIDE = "Approval takes an override and a reason."

GOOD, MIXED, BAD, NEUTRAL = "good", "mixed", "bad", "neutral"


@dataclass(frozen=True)
class Banner:
    """What stands on top of the page."""

    state: str
    """``good``, ``mixed``, ``bad`` or ``neutral``."""
    title: str
    sentences: tuple[str, ...]


def banner(verdicts: Sequence[Mapping[str, Any]], compared: Mapping[str, Any]) -> Banner:
    """The gates, and the champion, in a few sentences."""
    missed = [verdict for verdict in verdicts if not verdict["passed"]]
    advisory = [verdict for verdict in missed if verdict.get("advisory")]
    unjudged = [verdict for verdict in missed if verdict["value"] is None]
    gates = counted(len(verdicts), "gate")
    said = []
    if not verdicts:
        state, title = NEUTRAL, "No gate was declared"
        said.append(_OVERRIDE)
    elif not missed:
        state, title = GOOD, f"Cleared {'its only gate' if len(verdicts) == 1 else f'all {gates}'}"
    else:
        state = MIXED if len(advisory) == len(missed) else BAD
        kind = " (advisory)" if state == MIXED else ""
        title = f"Missed {len(missed)} of {gates}{kind}"
        if unjudged:
            count = "It" if len(missed) == 1 else f"{len(unjudged)} of these"
            said.append(f"{count} could not be judged, which counts as missed.")
        said.append(_OVERRIDE if state == MIXED else "Such a run registers no candidate.")
    said.append(against_champion(compared))
    return Banner(state, title, tuple(said))


def against_champion(compared: Mapping[str, Any]) -> str:
    """One sentence on the paired difference of the clip accuracies."""
    if not compared["champion"]:
        return "There is no champion yet to compare with."
    champion = named(compared["champion"])
    if not compared["compared"]:
        return f"Not compared with the champion, {champion}: {compared['reason']}."
    gap = compared["clip_acc"]["difference"]
    clips = counted(compared["clips"], "clip")
    if gap["low"] > 0:
        found = "better than"
    elif gap["high"] < 0:
        found = "worse than"
    else:
        found = "not clearly better or worse than"
    value, low, high = (signed(gap[key]) for key in ("value", "low", "high"))
    left = sum(compared["left_out"].values())
    where = f"On the same {clips}" if not left else f"On {clips}, {left} left out,"
    return (
        f"{where} the candidate is {found} the champion, {champion}: "
        f"{value} ({low} to {high}) in clip accuracy."
    )


def mcnemar(compared: Mapping[str, Any]) -> str:
    """What McNemar's test found, and what that means."""
    test = compared["mcnemar"]
    ours, theirs = test["only_candidate_right"], test["only_champion_right"]
    if ours + theirs == 0:
        return (
            "Each clip is right for both or wrong for both: "
            "nothing speaks for a difference (exact McNemar test, p = 1)."
        )
    significant = test["p_value"] < 1 - compared["confidence_level"]
    meaning = "chance hardly explains it" if significant else "chance may well explain it"
    return (
        f"Only the candidate is right on {counted(ours, 'clip')}, only the champion on {theirs}. "
        "If both were equally good, a split at least as uneven would come up with probability "
        f"{probability(test['p_value'])} (exact McNemar test): {meaning}."
    )


def caveat(compared: Mapping[str, Any]) -> str:
    """What the test takes for granted; empty where it holds."""
    clips, sources = compared["clips"], compared.get("sources", compared["clips"])
    if sources == clips:
        return ""
    return (
        f"The {clips} clips come from {counted(sources, 'recording')}. The intervals draw whole "
        "recordings; McNemar's test takes every clip as independent and is the more optimistic."
    )


def left_out(compared: Mapping[str, Any]) -> list[str]:
    """Which clips were not compared, and why; a sentence a reason."""
    counts, names = compared["left_out"], compared["classes_left_out"]
    said = []
    if n := counts["unknown_to_champion"]:
        said.append(
            f"{counted(n, 'clip')} left out: the champion does not know the class"
            f"{_listed(names['unknown_to_champion'])}."
        )
    elif names["unknown_to_champion"]:
        said.append(f"The champion does not know{_listed(names['unknown_to_champion'], ' ')}.")
    if n := counts["unknown_to_candidate"]:
        said.append(
            f"{counted(n, 'clip')} left out: only the champion has a name for the sound"
            f"{_listed(names['unknown_to_candidate'])}."
        )
    elif names["unknown_to_candidate"]:
        said.append(
            f"The candidate does not know{_listed(names['unknown_to_candidate'], ' ')}, "
            "which the champion may still decide for."
        )
    if n := counts["champion_trained_on"]:
        said.append(
            f"{counted(n, 'clip')} left out: the champion was trained on the recording, "
            "or its epoch was chosen by it."
        )
    return said


def named(champion: Mapping[str, Any]) -> str:
    """Name and version."""
    return f"{champion['name']} version {champion['version']}"


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
    return evaluation.decimal(value).replace("-", _MINUS)


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


def plain(value: Any) -> str:
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
    if isinstance(value, list):
        return ", ".join(map(plain, value))
    return value if isinstance(value, str) else json.dumps(value)


def _listed(names: Sequence[str], before: str = ", such as ") -> str:
    shown = ", ".join(names[:8])
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f"{before}{shown}{more}" if names else ""
