"""Audio event detection, from a data set's name to a candidate in the model registry.

    fetch ─▶ preprocess ─▶ accept ─▶ train ─▶ export ─▶ evaluate ─▶ compare ─▶ gates ─▶ register
                                                pull ─champion─┘ └─▶ review ────┘

With ``folds`` it cross-validates instead: ``train`` and ``evaluate`` once a fold, their test clips
pooled into one report, the gates on it, and nothing registered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipelines.parameters import aed as parameters
from pipelines.parameters.aed import AedParameters
from pipelines.parts import accuracy, release
from pipelines.parts.data import add_data
from pipelines.parts.resources import CHECK, CPU, GPU
from soundgate.errors import ParameterError
from soundgate.pipeline import Output, Pipeline
from steps.accept import accept
from steps.evaluate import evaluate
from steps.pool import pool
from steps.preprocess import preprocess
from steps.train import train

if TYPE_CHECKING:
    from soundgate.pipeline import Task

WEIGHTS = "training.model.pretrained_weights"


def get_pipeline(p: AedParameters) -> Pipeline:
    """Describe the pipeline; nothing runs until an executor renders and submits it."""
    aed = Pipeline("aed", description="Audio event detection with clip and patch level gates")
    fetched = add_data(aed, p)
    prepared = aed.add(
        preprocess,
        clips=fetched["clips"],
        config=p.config.only("dataset", "inspection", "preprocessing", "feature_extraction"),
        display_name=p.processing_step_name,
        resources=CPU,
    )
    accepted = aed.add(accept, inspection=prepared["inspection"], resources=CHECK)
    if p.folds:
        _cross_validate(aed, p, prepared["features"], accepted)
    else:
        _candidate(aed, p, fetched, prepared["features"], accepted)
    return aed


def _candidate(
    aed: Pipeline, p: AedParameters, fetched: Task, features: Output, accepted: Task
) -> None:
    training = _training(aed, p, features)
    trained = aed.add(train, test_fold=p.test_fold, after=[accepted], **training)
    exported = release.add_export(aed, p.config, features, trained["model"])
    scored = aed.add(
        evaluate,
        features=features,
        model=trained["model"],
        exported=exported,
        **release.judging(p.config),
        resources=CPU,
    )
    model = release.Trained(
        card=fetched["card"],
        clips=fetched["clips"],
        model=trained["model"],
        exported=exported,
        report=scored["report"],
        metrics=trained["metrics"],
    )
    comparison = release.add_comparison(aed, p, p.config, model, features)
    wanted = accuracy.gates(p, scored["report"]) + accuracy.int8_gates(p, scored["report"])
    wanted += release.champion_gates(
        p,
        comparison,
        gain=parameters.CLIP_ACCURACY_GAIN,
        gain_low=parameters.CLIP_ACCURACY_GAIN_LOW,
    )
    gates = release.add_gates(aed, p, wanted)
    release.add_candidate(aed, p, model, comparison, gates, modelzoo_version=p.modelzoo_version)


def _cross_validate(aed: Pipeline, p: AedParameters, features: Output, accepted: Task) -> None:
    trained = aed.map(
        train, over={"test_fold": p.folds}, after=[accepted], **_training(aed, p, features)
    )
    scored = aed.map(
        evaluate,
        over=trained,
        features=features,
        model=trained["model"],
        **release.judging(p.config),
        resources=CPU,
    )
    confidence = release.judging(p.config)["confidence"]
    pooled = aed.add(pool, reports=scored["report"], confidence=confidence)
    release.add_gates(aed, p, accuracy.gates(p, pooled["report"]))


def _training(aed: Pipeline, p: AedParameters, features: Output) -> dict[str, Any]:
    """What every training is given, whichever fold it leaves out."""
    weights = p.config.get(WEIGHTS)
    if weights is True:
        raise ParameterError(f"{WEIGHTS}: true names no weights, and none are shipped: give a path")
    return {
        "features": features,
        "config": p.config.only("general", "dataset", "data_augmentation", "training"),
        # an artifact: other weights at the same path are noticed
        "pretrained": aed.file(weights) if isinstance(weights, str) else None,
        "epochs": p.epochs,
        "log_metrics": parameters.TRAINING_METRICS,
        "resources": GPU,
    }
