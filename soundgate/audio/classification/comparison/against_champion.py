"""What every comparison with the champion has in common; a system adds scores and figures.

    comparison.json              metrics of both, their paired differences, figures per class
    champion_predictions.jsonl   a row a compared clip, as ``predictions.jsonl`` has them

A clip is compared where both models call it the same. Left out, and counted, is a clip that carries
a class only one of them knows, and one whose recording the champion was trained (or chosen) on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from soundgate.audio.classification.comparison.comparable_clips import Chosen, choose, obstacle
from soundgate.audio.clips.manifest import read_manifest
from soundgate.audio.formats.model import Segmented
from soundgate.audio.formats.reports.clip_results import PREDICTIONS, read_results, write_results
from soundgate.audio.formats.reports.comparison import (
    CHAMPION_PREDICTIONS,
    NO_CHAMPION,
    Champion,
    ClassesLeftOut,
    Comparison,
    Pair,
    write_comparison,
)
from soundgate.audio.formats.reports.report import Estimate
from soundgate.audio.metrics.rounding import decimal
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from soundgate.audio.classification.comparison.comparable_clips import Labelled
    from soundgate.audio.clips.manifest import Clip, Identity
    from soundgate.audio.formats.reports.clip_results import ClipResult
    from soundgate.audio.formats.reports.report import Headline
    from soundgate.audio.formats.version import VersionCard


Row = TypeVar("Row", bound=Segmented)


@dataclass(frozen=True)
class Candidate:
    """The folders of a run that a candidate came from."""

    clips: Path
    """``manifest.jsonl`` and the audio."""
    inputs: Path
    """What its network reads of the clips: ``features/`` or ``waveforms/``."""
    model: Path
    report: Path


@dataclass(frozen=True)
class Match:
    """A candidate, the champion, and the test clips that they can be compared on."""

    ours: Labelled
    theirs: Labelled
    listed: dict[Identity, Clip]
    """Every clip of the manifest."""
    chosen: Chosen

    @property
    def results(self) -> Sequence[ClipResult]:
        """The candidate's, of the clips to compare on."""
        return self.chosen.results

    def comparison(self, version: VersionCard, confidence: float) -> Comparison:
        """What is known before the champion is scored; ``reason`` says why it need not be."""
        ours, theirs = self.ours.classes, self.theirs.classes
        reason = obstacle(self.chosen, self.ours, self.theirs)
        return Comparison(
            champion=released(version).with_fields(classes=list(theirs)),
            compared=not reason,
            reason=reason,
            confidence_level=confidence,
            left_out=self.chosen.left_out,
            classes_left_out=ClassesLeftOut(
                unknown_to_champion=tuple(k for k in ours if k not in theirs),
                unknown_to_candidate=tuple(k for k in theirs if k not in ours),
            ),
        )


def match(candidate: Candidate, champion: Path, ours: Labelled, theirs: Labelled) -> Match:
    """Choose the clips to compare on.

    Args:
        candidate: the folders of its run.
        champion: the ``model/`` folder of the champion.
        ours: what the candidate says of its classes.
        theirs: what the champion says of its.

    Raises:
        DataError: a file is missing or damaged, or the report is of other clips.
    """
    listed = {clip.identity: clip for clip in read_manifest(candidate.clips, allow_unlabelled=True)}
    results = list(read_results(candidate.report / PREDICTIONS))
    return Match(
        ours, theirs, listed, choose(results, listed, champion, ours.classes, theirs.classes)
    )


def released(version: VersionCard) -> Champion:
    """The champion as ``comparison.json`` names it."""
    return Champion(name=version.name, version=str(version.version), run_id=version.run_id)


def without_champion(
    metrics: Iterable[str], confidence: float, headline: tuple[Headline, ...] = ()
) -> Comparison:
    """Differences of 0: there is nothing to be worse than, so that gates on them pass."""
    nothing = Pair(difference=Estimate(value=0.0, low=0.0, high=0.0))
    return Comparison(
        compared=False,
        reason=NO_CHAMPION,
        confidence_level=confidence,
        metrics=dict.fromkeys(metrics, nothing),
        headline=headline,
        left_out=Chosen().left_out,
    )


def rows_of(results: Sequence[ClipResult], rows: Iterable[Row], folder: Path) -> list[Row]:
    """The row of each result, in the order of ``results``.

    Raises:
        DataError: ``rows``, which are of ``folder``, have no such clip.
    """
    known = {(row.path, row.start_s, row.end_s): row for row in rows}
    missing = next((result.path for result in results if result.identity not in known), None)
    if missing is not None:
        raise DataError(
            f"{folder}: has no clip {missing!r}; compare with the {folder.name} of the same run"
        )
    return [known[result.identity] for result in results]


def conclude(folder: Path, made: Comparison, champion: Iterable[ClipResult] = ()) -> Comparison:
    """Write ``comparison/`` with the champion's rows, print the sentence and return ``made``."""
    folder.mkdir(parents=True, exist_ok=True)
    # comparison.json is what gates and the page look for: it appears last.
    write_results(folder / CHAMPION_PREDICTIONS, champion)
    write_comparison(folder, made)
    print(sentence(made))
    return made


def sentence(made: Comparison) -> str:
    """One line about a comparison: its first headline metric of both, and the difference."""
    if not made.compared or made.champion is None:
        return f"not compared: {made.reason}"
    first = made.headline[0]
    pair = made.metrics[first.metric]
    gap = pair.difference
    assert gap is not None
    assert pair.candidate is not None
    assert pair.champion is not None
    ends = "" if gap.low is None else f" ({gap.low:+.4f} to {gap.high:+.4f})"
    test = "" if made.mcnemar is None else f", McNemar p = {made.mcnemar.p_value:.3g}"
    return (
        f"{first.title.lower()} {decimal(pair.candidate.value)}, champion {made.champion.name} "
        f"{made.champion.version} {decimal(pair.champion.value)} on the same {made.clips} clips: "
        f"{gap.value:+.4f}{ends}{test}"
    )
