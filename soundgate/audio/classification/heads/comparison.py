"""A candidate head and the champion on the very same test clips; writes ``comparison/``.

Both hear the candidate's embeddings, so both must be of one encoder. With another one the champion
cannot be scored again: its figures are then those that it was registered with, without a paired
difference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from soundgate.audio.classification.comparison.against_champion import (
    Match,
    conclude,
    released,
    without_champion,
)
from soundgate.audio.classification.comparison.comparable_clips import choose
from soundgate.audio.classification.comparison.comparison import paired_figures
from soundgate.audio.classification.heads.evaluation import (
    HEADLINE,
    SPLIT,
    clips_of,
    headline,
    score,
)
from soundgate.audio.classification.heads.head import read_head
from soundgate.audio.classification.heads.settled import Rows
from soundgate.audio.classification.scored_clips import ScoredClips
from soundgate.audio.clips.manifest import Clip
from soundgate.audio.formats.embeddings.vectors import read_embeddings
from soundgate.audio.formats.model import DESCRIPTION
from soundgate.audio.formats.models.embedding_classifier import FORMAT, REMEDY
from soundgate.audio.formats.record import read_object
from soundgate.audio.formats.reports.clip_results import PREDICTIONS, read_results
from soundgate.audio.formats.reports.comparison import Comparison, compare_reports
from soundgate.audio.formats.reports.report import read_report
from soundgate.audio.formats.version import MODEL, read_version

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from soundgate.audio.classification.heads.head import Head
    from soundgate.audio.classification.scored_clips import TestedClip
    from soundgate.audio.clips.manifest import Identity
    from soundgate.audio.formats.embeddings.vectors import Embeddings
    from soundgate.audio.formats.reports.clip_results import ClipResult
    from soundgate.audio.formats.version import VersionCard

COMPARED = tuple(name for name, *_ in HEADLINE[:2])


def compare(
    embeddings: Path,
    report: Path,
    model: Path,
    champion: Path,
    comparison: Path,
    *,
    confidence: float = 0.95,
) -> Comparison:
    """Write the paired differences of both accuracies, and what had to be left out.

    Args:
        embeddings: the candidate's.
        report: its evaluation.
        model: the candidate.
        champion: folder with ``version.json`` and ``model/``; its version is null where there is
            no champion yet.
        comparison: folder to write.
        confidence: level of the intervals, 0..1.

    Returns:
        What ``comparison.json`` holds. Without a champion the differences are 0; where nothing
        could be compared there are none, and gates on them stay closed.

    Raises:
        DataError: a file is missing or damaged.
    """
    version = read_version(champion)
    if version.version is None:
        lines = headline(dict.fromkeys(COMPARED))
        return conclude(comparison, without_champion(COMPARED, confidence, lines))
    kind = read_object(champion / MODEL / DESCRIPTION, remedy=REMEDY).get("format")
    if kind != FORMAT:
        reason = f"the champion is no embedding classifier: its model.json is of the format {kind}"
        made = Comparison(champion=released(version), compared=False, reason=reason)
        return conclude(comparison, made)
    read, ours, theirs = read_embeddings(embeddings), read_head(model), read_head(champion / MODEL)
    if theirs.about.encoder != read.about.encoder:
        return conclude(comparison, _unpaired(report, version, theirs))
    listed, results = _listed(read), list(read_results(report / PREDICTIONS))
    known = (ours.about.classes, theirs.about.classes)
    chosen = choose(results, listed, champion / MODEL, *known)
    both = Match(ours.about, theirs.about, listed, chosen)
    made = both.comparison(version, confidence)
    if not made.compared:
        return conclude(comparison, made)
    scored = _champion_scores(theirs, read, both.results)
    return conclude(comparison, _with_figures(made, both, scored), scored.results(known[1]))


def _unpaired(report: Path, version: VersionCard, theirs: Head) -> Comparison:
    made = compare_reports(read_report(report), released(version), version.metrics)
    print(f"the champion hears through {theirs.about.encoder.name}, used otherwise")
    return made


def _with_figures(made: Comparison, both: Match, champion: ScoredClips) -> Comparison:
    """Patches are segments here."""
    found = paired_figures(made, both, champion)
    metrics = dict(zip(COMPARED, found.metrics.values(), strict=True))
    return found.model_copy(update={"metrics": metrics, "headline": headline(metrics)})


def _listed(read: Embeddings) -> dict[Identity, Clip]:
    """Every clip that has embeddings, as a manifest would list it."""
    segments = read.segments()
    return {
        _identity(clip): Clip(
            path=clip.path,
            labels=(segments[places[0]].class_name,),
            start_s=clip.start_s,
            end_s=clip.end_s,
            source=clip.source,
        )
        for clip, places in clips_of(segments).items()
    }


def _champion_scores(head: Head, read: Embeddings, results: Iterable[ClipResult]) -> ScoredClips:
    """The champion's scores of the compared clips, in their order."""
    segments = read.segments(SPLIT)
    places = {name: number for number, name in enumerate(head.about.classes)}
    numbers = np.array([places.get(segment.class_name, -1) for segment in segments])
    scored = score(head, Rows(segments, read.matrix(SPLIT), numbers)).clips
    order = {_identity(clip): place for place, clip in enumerate(scored.rows)}
    chosen = [order[result.identity] for result in results]
    arrays = ("truth", "scores", "decided", "patches", "patches_correct")
    return ScoredClips(
        [scored.rows[place] for place in chosen],
        *(getattr(scored, name)[chosen] for name in arrays),
    )


def _identity(clip: TestedClip) -> Identity:
    return clip.path, clip.start_s, clip.end_s
