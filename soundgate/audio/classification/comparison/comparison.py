"""A candidate and the champion on the very same test clips; writes ``comparison/``.

    comparison.json              accuracies, their paired difference, McNemar's test, per class
    champion_predictions.jsonl   a row a compared clip, as ``predictions.jsonl`` has them

A clip is compared where both models call it the same. Left out, and counted, is a clip that carries
a class only one of them knows, and one whose recording the champion was trained (or chosen) on.
Each model decides among all of its own classes, on features computed as its own config says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from soundgate.audio.classification.comparison.comparable_clips import Chosen, choose, obstacle
from soundgate.audio.classification.inference import BATCH_SIZE
from soundgate.audio.classification.scored_clips import ScoredClips, score
from soundgate.audio.clips.manifest import read_manifest
from soundgate.audio.files.threads import one_torch_thread
from soundgate.audio.formats.feature_set import FeatureSet, read_features
from soundgate.audio.formats.features import Info
from soundgate.audio.formats.model import Description, read_description
from soundgate.audio.formats.reports.clip_results import (
    PREDICTIONS,
    ClipResult,
    read_results,
    write_results,
)
from soundgate.audio.formats.reports.comparison import (
    CHAMPION_PREDICTIONS,
    NO_CHAMPION,
    Comparison,
    with_pairs,
    write_comparison,
)
from soundgate.audio.formats.version import MODEL, VersionCard, read_version
from soundgate.audio.metrics import paired
from soundgate.audio.metrics.classification import bootstrap_interval, scores_per_class
from soundgate.audio.metrics.rounding import decimal, rounded
from soundgate.audio.signal.log_mel import clip_frames
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from soundgate.audio.formats.features import Frames, Row
    from soundgate.audio.formats.record import JsonObject

    Array = npt.NDArray[Any]

_SEED = 0


@dataclass(frozen=True)
class ComputedFrames(FeatureSet):
    """A feature set whose frames are computed when they are asked for, one clip at a time."""

    def clip_frames(self, row: Row) -> Frames:
        """The frames float16 ``(frame, mel)`` of one clip, from its audio below ``folder``."""
        spec, preprocessing = self.info.feature_extraction, self.info.preprocessing
        path = self.folder / row.path
        with one_torch_thread():
            mel = clip_frames(path, preprocessing, spec, start_s=row.start_s, end_s=row.end_s)
        return mel.astype(np.float16)


@dataclass(frozen=True)
class Candidate:
    """The folders of a run that a candidate came from."""

    clips: Path
    """``manifest.jsonl`` and the audio."""
    features: Path
    model: Path
    report: Path
    """What ``evaluation.evaluate`` wrote."""


def compare(
    candidate: Candidate,
    champion: Path,
    comparison: Path,
    *,
    confidence: float = 0.95,
    batch_size: int = BATCH_SIZE,
) -> Comparison:
    """Score the champion on the candidate's test clips and write ``comparison``.

    Args:
        candidate: where its clips, features, model and evaluation lie.
        champion: folder with ``version.json`` and ``model/``; its version is null where there is
            no champion yet.
        comparison: folder to write.
        confidence: level of the intervals, 0..1.
        batch_size: patches scored at once.

    Returns:
        What ``comparison.json`` holds. ``compared`` is false where there is no champion (the
        difference is then 0.0: there is nothing to be worse than) or no clip to compare on (the
        difference is then null, and a gate on it stays closed); ``reason`` says which.

    Raises:
        DataError: a file is missing or damaged.
    """
    version = read_version(champion)
    if version.version is None:
        scored, fields = None, _no_champion()
    else:
        scored, fields = _against(candidate, champion / MODEL, confidence, batch_size)
        fields["champion"] = _named(version) | fields["champion"]
    made = Comparison.model_validate(with_pairs(fields | {"confidence_level": confidence}))
    _write(comparison, made, scored)
    print(sentence(made))
    return made


def sentence(comparison: Comparison) -> str:
    """One line about a comparison."""
    champion, test = comparison.champion, comparison.mcnemar
    if not comparison.compared or champion is None or test is None:
        return f"not compared: {comparison.reason}"
    first = comparison.headline[0]
    pair = comparison.metrics[first.metric]
    assert pair.candidate is not None
    assert pair.champion is not None
    gap = pair.difference
    assert gap is not None
    return (
        f"{first.title.lower()} {decimal(pair.candidate.value)}, champion {champion.name} "
        f"{champion.version} {decimal(pair.champion.value)} "
        f"on the same {comparison.clips} clips: {gap.value:+.4f} "
        f"({gap.low:+.4f} to {gap.high:+.4f}), McNemar p = {test.p_value:.3g}"
    )


def _against(
    candidate: Candidate, champion: Path, confidence: float, batch_size: int
) -> tuple[ScoredClips | None, JsonObject]:
    ours = read_description(candidate.model)
    theirs = read_description(champion)
    manifest = read_manifest(candidate.clips, allow_unlabelled=True)
    listed = {clip.identity: clip for clip in manifest}
    results = list(read_results(candidate.report / PREDICTIONS))
    chosen = choose(results, listed, champion, ours.classes, theirs.classes)
    reason = obstacle(chosen, ours, theirs)
    result: JsonObject = {
        "champion": {"classes": list(theirs.classes)},
        "compared": not reason,
        "reason": reason,
        "clips": 0 if reason else len(chosen.results),
        "left_out": chosen.left_out,
        "classes_left_out": {
            "unknown_to_champion": [k for k in ours.classes if k not in theirs.classes],
            "unknown_to_candidate": [k for k in theirs.classes if k not in ours.classes],
        },
        **_nothing(None),
    }
    if reason:
        return None, result
    scored = _score_champion(candidate, champion, theirs, chosen.results, batch_size)
    result |= _figures(chosen.results, scored, (ours.classes, theirs.classes), confidence)
    return scored, result


def _named(version: VersionCard) -> JsonObject:
    return {"name": version.name, "version": version.version, "run_id": version.run_id}


def _score_champion(
    candidate: Candidate,
    champion: Path,
    description: Description,
    results: Sequence[ClipResult],
    batch_size: int,
) -> ScoredClips:
    """Score the champion, on the candidate's frames where they are what it was trained on."""
    ours = read_features(candidate.features)
    by_identity = {(row.path, row.start_s, row.end_s): row for row in ours.rows}
    missing = next((r.path for r in results if r.identity not in by_identity), None)
    if missing is not None:
        raise DataError(
            f"{candidate.features}: has no clip {missing!r}; "
            "compare with the features of the same run"
        )
    rows = [by_identity[result.identity] for result in results]
    info = Info(
        description.classes,
        description.multi_label,
        description.preprocessing,
        description.feature_extraction,
    )
    if ours.info.front_end.gives_frames_of(info.front_end):
        theirs = FeatureSet(candidate.features, info, rows, ours.frames)
    else:
        print("the champion has features of its own: computing them from the clips")
        theirs = ComputedFrames(candidate.clips, info, rows, ours.frames[:0])
    return score(theirs, champion, rows, batch_size)


def _figures(
    results: Sequence[ClipResult],
    champion: ScoredClips,
    classes: tuple[Sequence[str], Sequence[str]],
    confidence: float,
) -> JsonObject:
    groups = [result.recording for result in results]
    ones = np.ones(len(results), np.int64)
    correct = np.array([result.correct for result in results])
    patches = paired.Share(
        np.array([result.patches_correct for result in results]),
        np.array([result.patches for result in results]),
    )
    test = paired.mcnemar(correct, champion.correct)
    return {
        "sources": len(set(groups)),
        "clip_acc": _pair(
            paired.Share(correct, ones), paired.Share(champion.correct, ones), groups, confidence
        ),
        "patch_acc": _pair(
            patches, paired.Share(champion.patches_correct, champion.patches), groups, confidence
        ),
        "mcnemar": {
            "only_candidate_right": test.only_first,
            "only_champion_right": test.only_second,
            "p_value": float(f"{test.p_value:.6g}"),
        },
        "per_class": _per_class(results, champion, *classes),
    }


def _pair(
    ours: paired.Share, theirs: paired.Share, groups: Sequence[object], confidence: float
) -> JsonObject:
    def share(one: paired.Share) -> dict[str, float]:
        ends = bootstrap_interval(*one, groups, seed=_SEED, confidence=confidence)
        return _interval(one.value, *ends)

    ends = paired.difference_interval(ours, theirs, groups, seed=_SEED, confidence=confidence)
    return {
        "candidate": share(ours),
        "champion": share(theirs),
        "difference": _interval(ours.value - theirs.value, *ends),
    }


def _per_class(
    results: Sequence[ClipResult],
    champion: ScoredClips,
    ours: Sequence[str],
    theirs: Sequence[str],
) -> list[JsonObject]:
    """Precision, recall and F1 of both on the compared clips, for the classes that both know."""
    truth, decided = (
        np.array([[label in names for label in ours] for names in columns])
        for columns in ([r.truth for r in results], [r.predicted for r in results])
    )
    mine = scores_per_class(truth, decided)
    other = scores_per_class(champion.truth, champion.decided)
    names = ("precision", "recall", "f1")
    table = []
    for k, label in enumerate(ours):
        if label not in theirs:
            continue
        n = list(theirs).index(label)
        first = {name: rounded(getattr(mine, name)[k]) for name in names}
        second = {name: rounded(getattr(other, name)[n]) for name in names}
        gap = {name: rounded(first[name] - second[name]) for name in names}
        table.append(
            {
                "label": label,
                "clips": int(mine.support[k]),
                "candidate": first,
                "champion": second,
                "difference": gap,
            }
        )
    return table


def _no_champion() -> JsonObject:
    return {
        "champion": None,
        "compared": False,
        "reason": NO_CHAMPION,
        "clips": 0,
        "left_out": Chosen().left_out,
        "classes_left_out": {"unknown_to_champion": [], "unknown_to_candidate": []},
        **_nothing(_interval(0.0, 0.0, 0.0)),
    }


def _nothing(difference: dict[str, float] | None) -> JsonObject:
    none = {"candidate": None, "champion": None, "difference": difference}
    return {"clip_acc": none, "patch_acc": none, "mcnemar": None, "per_class": []}


def _interval(value: float, low: float, high: float) -> dict[str, float]:
    return {"value": rounded(value), "low": rounded(low), "high": rounded(high)}


def _write(folder: Path, comparison: Comparison, scored: ScoredClips | None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    classes = comparison.champion.classes if comparison.champion else ()
    write_results(folder / CHAMPION_PREDICTIONS, scored.results(classes) if scored else ())
    write_comparison(folder, comparison)
