"""A candidate and the champion on the very same test clips; writes ``comparison/``.

    comparison.json              accuracies, their paired difference, McNemar's test, per class
    champion_predictions.jsonl   a row a compared clip, as ``predictions.jsonl`` has them

A clip is compared where both models call it the same. Left out, and counted, is a clip that carries
a class only one of them knows, and one whose recording the champion was trained (or chosen) on.
Each model decides among all of its own classes, on features computed as its own config says.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from soundgate.audio.classification import evaluation
from soundgate.audio.classification.comparison.comparable_clips import Chosen, choose, obstacle
from soundgate.audio.classification.inference import BATCH_SIZE
from soundgate.audio.classification.scored_clips import Judgement, judge
from soundgate.audio.clips.manifest import read_manifest
from soundgate.audio.files.threads import one_torch_thread
from soundgate.audio.formats.clip_results import ClipResult, read_results
from soundgate.audio.formats.feature_set import FeatureSet, read_features
from soundgate.audio.formats.features import Info
from soundgate.audio.formats.model import Description, read_description
from soundgate.audio.metrics import classification as metrics
from soundgate.audio.metrics import paired
from soundgate.audio.signal.log_mel import clip_frames
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from soundgate.audio.formats.features import Frames, Row

    Array = npt.NDArray[Any]

COMPARISON = "comparison.json"
CHAMPION_PREDICTIONS = "champion_predictions.jsonl"
VERSION = "version.json"
MODEL = "model"

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
) -> dict[str, Any]:
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
    comparison.mkdir(parents=True, exist_ok=True)
    version = read_json(champion / VERSION)
    if version.get("version") is None:
        judged, result = None, _no_champion()
    else:
        judged, result = _against(candidate, champion / MODEL, confidence, batch_size)
        named = {key: version.get(key) for key in ("name", "version", "run_id")}
        result["champion"] = named | result["champion"]
    _write(comparison, {**result, "confidence_level": confidence}, judged)
    print(sentence(result))
    return result


def sentence(result: Mapping[str, Any]) -> str:
    """One line about a comparison."""
    if not result["compared"]:
        return f"not compared: {result['reason']}"
    accuracy, champion = result["clip_acc"], result["champion"]
    ours, theirs = (evaluation.decimal(accuracy[k]["value"]) for k in ("candidate", "champion"))
    gap = accuracy["difference"]
    return (
        f"clip-level accuracy {ours}, champion {champion['name']} {champion['version']} {theirs} "
        f"on the same {result['clips']} clips: {gap['value']:+.4f} "
        f"({gap['low']:+.4f} to {gap['high']:+.4f}), McNemar p = {result['mcnemar']['p_value']:.3g}"
    )


def _against(
    candidate: Candidate, champion: Path, confidence: float, batch_size: int
) -> tuple[Judgement | None, dict[str, Any]]:
    ours = read_description(candidate.model)
    theirs = read_description(champion)
    manifest = read_manifest(candidate.clips, allow_unlabelled=True)
    listed = {clip.identity: clip for clip in manifest}
    results = list(read_results(candidate.report / evaluation.PREDICTIONS))
    chosen = choose(results, listed, champion, ours.classes, theirs.classes)
    reason = obstacle(chosen, ours, theirs)
    result: dict[str, Any] = {
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
    judged = _judge_champion(candidate, champion, theirs, chosen.results, batch_size)
    result |= _figures(chosen.results, judged, (ours.classes, theirs.classes), confidence)
    return judged, result


def _judge_champion(
    candidate: Candidate,
    champion: Path,
    description: Description,
    results: Sequence[ClipResult],
    batch_size: int,
) -> Judgement:
    """Let the champion decide, on the candidate's frames where they are what it was trained on."""
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
    return judge(theirs, champion, rows, batch_size)


def _figures(
    results: Sequence[ClipResult],
    champion: Judgement,
    classes: tuple[Sequence[str], Sequence[str]],
    confidence: float,
) -> dict[str, Any]:
    groups = [result.group for result in results]
    ones = np.ones(len(results), np.int64)
    right = np.array([result.right for result in results])
    patches = paired.Share(
        np.array([result.patches_right for result in results]),
        np.array([result.patches for result in results]),
    )
    test = paired.mcnemar(right, champion.right)
    return {
        "sources": len(set(groups)),
        "clip_acc": _pair(
            paired.Share(right, ones), paired.Share(champion.right, ones), groups, confidence
        ),
        "patch_acc": _pair(
            patches, paired.Share(champion.patches_right, champion.patches), groups, confidence
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
) -> dict[str, Any]:
    def share(one: paired.Share) -> dict[str, float]:
        ends = metrics.bootstrap_interval(*one, groups, seed=_SEED, confidence=confidence)
        return _interval(one.value, *ends)

    ends = paired.difference_interval(ours, theirs, groups, seed=_SEED, confidence=confidence)
    return {
        "candidate": share(ours),
        "champion": share(theirs),
        "difference": _interval(ours.value - theirs.value, *ends),
    }


def _per_class(
    results: Sequence[ClipResult],
    champion: Judgement,
    ours: Sequence[str],
    theirs: Sequence[str],
) -> list[dict[str, Any]]:
    """Precision, recall and F1 of both on the compared clips, for the classes that both know."""
    truth, decided = (
        np.array([[label in names for label in ours] for names in columns])
        for columns in ([r.truth for r in results], [r.predicted for r in results])
    )
    mine = metrics.scores_per_class(truth, decided)
    other = metrics.scores_per_class(champion.truth, champion.decided)
    names = ("precision", "recall", "f1")
    table = []
    for k, label in enumerate(ours):
        if label not in theirs:
            continue
        n = list(theirs).index(label)
        first = {name: _rounded(getattr(mine, name)[k]) for name in names}
        second = {name: _rounded(getattr(other, name)[n]) for name in names}
        gap = {name: _rounded(first[name] - second[name]) for name in names}
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


def _no_champion() -> dict[str, Any]:
    return {
        "champion": None,
        "compared": False,
        "reason": "there is no champion yet",
        "clips": 0,
        "left_out": Chosen().left_out,
        "classes_left_out": {"unknown_to_champion": [], "unknown_to_candidate": []},
        **_nothing(_interval(0.0, 0.0, 0.0)),
    }


def _nothing(difference: dict[str, float] | None) -> dict[str, Any]:
    none = {"candidate": None, "champion": None, "difference": difference}
    return {"clip_acc": none, "patch_acc": none, "mcnemar": None, "per_class": []}


def _interval(value: float, low: float, high: float) -> dict[str, float]:
    return {"value": _rounded(value), "low": _rounded(low), "high": _rounded(high)}


def _rounded(value: float) -> float:
    return round(float(value), evaluation.DECIMALS)


def _write(
    folder: Path,
    result: Mapping[str, Any],
    judged: Judgement | None,
) -> None:
    text = json.dumps(result, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    (folder / COMPARISON).write_text(text, encoding="utf-8", newline="\n")
    predictions = folder / CHAMPION_PREDICTIONS
    if judged is None:
        predictions.write_text("", encoding="utf-8")
    else:
        evaluation.write_predictions(predictions, judged, result["champion"]["classes"])


def read_json(path: Path) -> dict[str, Any]:
    """The object that a JSON file holds.

    Raises:
        DataError: the file is missing or damaged.
    """
    try:
        fields = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise DataError(f"{path}: is damaged: it is not JSON ({error})") from error
    if not isinstance(fields, dict):
        raise DataError(f"{path}: is damaged: expected a JSON object")
    return fields
