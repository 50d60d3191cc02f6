"""What a run leaves for a review page, made of random decisions; audio is a few short sounds."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import soundfile

from soundgate.audio.classification import evaluation
from soundgate.audio.classification.comparison import comparison
from soundgate.audio.classification.comparison.against_champion import (
    Match,
    conclude,
    without_champion,
)
from soundgate.audio.classification.comparison.comparable_clips import Chosen
from soundgate.audio.classification.figures import figures as figures_of
from soundgate.audio.classification.scored_clips import ScoredClips
from soundgate.audio.config import FeatureExtraction, Preprocessing
from soundgate.audio.formats import model as model_format
from soundgate.audio.formats.reports.classifier_metrics import COMPARED
from soundgate.audio.formats.reports.clip_results import read_results
from soundgate.audio.formats.reports.comparison import as_classifier
from soundgate.audio.formats.version import VersionCard
from soundgate.audio.review.evidence import Folders
from soundgate.audio.signal.standardisation import Standardisation

CLASSES = ("dog", "rain", "siren", "wind")
RATE_HZ = 16_000

PASSED = {
    "metric": "clip:accuracy",
    "value": 0.75,
    "bound": "at_least",
    "threshold": 0.5,
    "passed": True,
    "advisory": False,
    "message": "clip:accuracy 0.75 >= 0.5",
    "file": "evaluation.json",
    "json_path": "multiclass_classification_metrics.clip_acc.value",
}
MISSED = PASSED | {
    "metric": "patch:accuracy",
    "threshold": 0.9,
    "passed": False,
    "message": "Execution failed due to patch level acc < 0.9 (patch:accuracy is 0.75)",
    "json_path": "multiclass_classification_metrics.patch_acc.value",
}
UNJUDGED = MISSED | {
    "metric": "quantized:clip:accuracy",
    "value": None,
    "advisory": True,
    "message": "the gate on quantized:clip:accuracy cannot be judged: no such number",
    "json_path": "quantized.clip_acc.value",
}


@dataclass(frozen=True)
class Clip:
    path: str
    source: str | None = None
    start_s: float | None = None
    end_s: float | None = None


def write_audio(folder, clips, seconds=1.0):
    """A chirp a file, each with its own pitch."""
    for number, path in enumerate(sorted({clip.path for clip in clips})):
        last = max(((c.end_s or seconds) for c in clips if c.path == path), default=seconds)
        time_s = np.arange(round(last * RATE_HZ)) / RATE_HZ
        rng = np.random.default_rng(number)
        wave = 0.4 * np.sin(2 * np.pi * (300 + 40 * number + 200 * time_s) * time_s)
        wave += 0.02 * rng.standard_normal(len(time_s))
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / path, wave, RATE_HZ)


def judgement(clips, truth, classes, *, right, seed, multi_label=False):
    """Decisions of which about a share of ``right`` are right; ``truth`` holds class numbers."""
    rng = np.random.default_rng(seed)
    n = len(clips)
    targets = np.zeros((n, len(classes)), bool)
    targets[np.arange(n), truth] = True
    wrong = rng.random(n) >= right
    decided = np.where(wrong, (truth + 1 + rng.integers(0, 2, n)) % len(classes), truth)
    scores = rng.dirichlet(np.ones(len(classes)), n) * 0.3
    scores[np.arange(n), decided] += 0.7
    given = np.zeros_like(targets)
    given[np.arange(n), decided] = True
    if multi_label:
        extra = rng.random(n) < 0.3
        targets[extra, (truth[extra] + 1) % len(classes)] = True
        given[:, 0] |= rng.random(n) < 0.2
        scores = np.where(given, 0.5 + scores / 2, scores / 2.1)
    patches = np.full(n, 4)
    ok = (given == targets).all(1)
    correct = np.where(ok, 3, rng.integers(0, 3, n))
    return ScoredClips(clips, targets, scores, given, patches, correct)


def write_run(
    folder,
    *,
    clips=None,
    classes=CLASSES,
    right=0.7,
    champion_right=0.6,
    multi_label=False,
    audio=True,
    history=True,
    quantized=False,
):
    """Write all folders of a run; ``champion_right`` None is a run before the first champion."""
    if clips is None:
        clips = [Clip(f"audio/{k:03d}.wav", source=f"s{k // 2}") for k in range(40)]
    truth = np.arange(len(clips)) % len(classes)
    folders = Folders(
        **{name: folder / name for name in ("report", "model", "metrics", "clips", "card")},
        comparison=folder / "comparison",
    )
    for each in (folders.metrics, folders.card, folders.clips, folders.comparison):
        each.mkdir(parents=True, exist_ok=True)
    if audio:
        write_audio(folders.clips, clips)
    judged = judgement(clips, truth, classes, right=right, seed=1, multi_label=multi_label)
    figures = {
        "model": {},
        "split": "test",
        **figures_of(judged, classes, multi_label=multi_label, confidence=0.95),
    }
    if quantized:
        accuracy = {"value": 0.65, "low": 0.5, "high": 0.75, "standard_deviation": "NaN"}
        figures["quantized"] = {
            **dict.fromkeys(("clip_acc", "patch_acc"), accuracy),
            "agreement": 0.9625,
            "size_bytes": 123_456,
        }
    evaluation.write(folders.report, figures, judged, classes)
    _write_model(folders.model, classes, multi_label)
    if history:
        rows = [
            {"epoch": k, "loss": 2 / k, "training_accuracy": 1 - 1 / k, "validation_loss": 2.5 / k}
            for k in range(1, 6)
        ]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folders.metrics / "history.jsonl").write_text(text)
    card = {"name": "toy", "title": "Toy sounds", "licence": "CC0", "clips": 200, "digest": "ab12"}
    (folders.card / "dataset.json").write_text(json.dumps(card))
    _compare(folders, clips, truth, classes, champion_right, multi_label)
    return folders


def _write_model(folder, classes, multi_label):
    description = model_format.Description(
        architecture="plain",
        size={"width": 1.0},
        classes=tuple(classes),
        multi_label=multi_label,
        preprocessing=Preprocessing(),
        feature_extraction=FeatureExtraction(),
        standardisation=Standardisation(np.zeros(64, np.float32), np.ones(64, np.float32)),
        training={"seed": 1, "epochs": 5, "best_epoch": 4, "parameters": 1000},
    )
    model_format.write(folder, description, {}, [])


def _compare(folders, clips, truth, classes, right, multi_label):
    if right is None:
        made = as_classifier(without_champion(COMPARED, 0.95))
        conclude(folders.comparison, made)
        return
    both = match_of(folders, model_format.read_description(folders.model))
    theirs = judgement(clips, truth, classes, right=right, seed=2, multi_label=multi_label)
    version = VersionCard(name="aed", version="3", run_id="r")
    made = comparison.with_figures(both.comparison(version, 0.95), both, theirs)
    conclude(folders.comparison, made, theirs.results(classes))


def match_of(folders, description):
    """A candidate and a champion with the same classes; every test clip is compared."""
    results = list(read_results(folders.report / "predictions.jsonl"))
    return Match(description, description, {}, Chosen(results))
