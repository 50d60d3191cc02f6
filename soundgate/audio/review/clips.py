"""Select clips to listen to: the highest-scoring mistakes, and changes since the champion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from soundgate.audio.files.threads import one_torch_thread
from soundgate.audio.review.media import Media, media
from soundgate.errors import DataError
from soundgate.text.progress import track

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from soundgate.audio.formats.reports.clip_results import ClipResult
    from soundgate.audio.review.evidence import Evidence

WORST = 20
"""Most clips shown because they were classified incorrectly."""
CONFIDENT = 0.5
"""A mistake with at least this score is labelled a high-score mistake."""
CHANGED = 12
"""Most clips shown of those that the champion had wrong, and of those that it had right."""
MEDIA_BYTES = 3_200_000
"""What sound and pictures may add to the page."""
SHOWN_SCORES = 3


@dataclass(frozen=True)
class Bar:
    """A class and its score."""

    label: str
    score: float
    is_truth: bool
    wrong: str = ""
    """``missed`` or ``false alarm``; empty where the label was decided right."""


@dataclass(frozen=True)
class Card:
    """A clip on the page."""

    result: ClipResult
    champion: tuple[str, ...] | None
    """What the champion says; None where the clip was not compared."""
    reasons: tuple[str, ...]
    """Why it is shown: ``broken``, ``fixed``, ``confident`` (a high-score mistake), ``wrong``."""
    bars: tuple[Bar, ...]
    media: Media | None
    problem: str
    """Why there is no sound; empty where there is."""


@dataclass(frozen=True)
class Selection:
    """The clips of the page, and how many there are of each kind."""

    cards: Sequence[Card]
    tested: int
    wrong: int
    broken: int
    fixed: int
    dropped: int
    """Chosen, and left out for the size of the page."""

    def shown(self, reason: str) -> int:
        """How many cards are there for ``reason``."""
        return sum(reason in card.reasons for card in self.cards)

    @property
    def shown_wrong(self) -> int:
        """How many cards are there because the clip was classified incorrectly."""
        return self.shown("confident") + self.shown("wrong")

    def filters(self, reasons: Iterable[str]) -> list[str]:
        """The reasons that select some of the cards but not all of them."""
        return [reason for reason in reasons if 0 < self.shown(reason) < len(self.cards)]


def select(evidence: Evidence) -> Selection:
    """Choose the clips, and make their sound and pictures."""
    wrong = _surest(result for result in evidence.results if not result.correct)
    compared = [
        (result, evidence.champion[result.identity])
        for result in evidence.results
        if result.identity in evidence.champion
    ]
    broken = _surest(ours for ours, theirs in compared if theirs.correct and not ours.correct)
    fixed = _surest(theirs for ours, theirs in compared if ours.correct and not theirs.correct)
    by_identity = {result.identity: result for result in evidence.results}
    fixed = [by_identity[theirs.identity] for theirs in fixed]
    chosen: dict[int, tuple[ClipResult, list[str]]] = {}
    worst = wrong[:WORST]
    for reason, results in (
        ("broken", broken[:CHANGED]),
        ("fixed", fixed[:CHANGED]),
        ("confident", [result for result in worst if sureness(result) >= CONFIDENT]),
        ("wrong", [result for result in worst if sureness(result) < CONFIDENT]),
    ):
        for result in results:
            chosen.setdefault(id(result), (result, []))[1].append(reason)
    cards: list[Card] = []
    size_bytes = 0
    with one_torch_thread():
        for result, reasons in track(list(chosen.values()), total=len(chosen), label="clips"):
            card = _card(result, tuple(reasons), evidence)
            size_bytes += card.media.size_bytes if card.media else 0
            if size_bytes > MEDIA_BYTES:
                break
            cards.append(card)
    return Selection(
        cards, len(evidence.results), len(wrong), len(broken), len(fixed), len(chosen) - len(cards)
    )


def _surest(results: Iterable[ClipResult]) -> list[ClipResult]:
    """Those first whose mistake is the surest."""
    return sorted(results, key=lambda result: (-sureness(result), str(result.identity)))


def sureness(result: ClipResult) -> float:
    """How sure a model is of its mistake; 0.0 for a clip that is right.

    The score of a class wrongly given, or else what a class wrongly left out lacks.
    """
    given = [result.scores[label] for label in result.false_alarms]
    missed = [1 - result.scores[k] for k in result.missed]
    return max(given or missed, default=0.0)


def _card(result: ClipResult, reasons: tuple[str, ...], evidence: Evidence) -> Card:
    champion = evidence.champion.get(result.identity)
    sound, problem = _media(result, evidence)
    return Card(
        result=result,
        champion=champion.predicted if champion else None,
        reasons=reasons,
        bars=_bars(result, multi_label=evidence.report.multi_label),
        media=sound,
        problem=problem,
    )


def _bars(result: ClipResult, *, multi_label: bool) -> tuple[Bar, ...]:
    """The highest scores and those of the truth; with several labels, the wrong ones first."""
    ranked = sorted(result.scores, key=lambda label: (-result.scores[label], label))
    wrong = dict.fromkeys(result.missed, "missed")
    wrong |= dict.fromkeys(result.false_alarms, "false alarm")
    first = [k for k in ranked if k in wrong] if multi_label else []
    named = [*first, *ranked[:SHOWN_SCORES], *(k for k in ranked if k in result.truth)]
    return tuple(
        Bar(k, float(result.scores[k]), k in result.truth, wrong[k] if k in first else "")
        for k in dict.fromkeys(named)
    )


def _media(result: ClipResult, evidence: Evidence) -> tuple[Media | None, str]:
    """A clip's sound and pictures, or why there are none."""
    front_end = evidence.pictured
    if evidence.clips is None or front_end is None:
        return None, "the run kept no audio for this page"
    try:
        path = evidence.clips / result.path
        return media(path, result.start_s, result.end_s, front_end), ""
    except DataError as error:
        # The folder of clips is a machine's business: the page names the clip.
        return None, str(error).replace(f"{evidence.clips}/", "")
