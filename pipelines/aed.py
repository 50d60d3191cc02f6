"""Audio event detection, from a data set's name to a candidate in the model registry.

    fetch ─▶ preprocess ─features─┬─▶ train ─model─┬─▶ evaluate ─report─▶ two gates ─▶ register
                                  └────────────────┘

With ``folds`` it cross-validates instead: ``train`` and ``evaluate`` once a fold, their test clips
pooled into one report, the same gates, and nothing registered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline_parameters import (
    CLIP_ACCURACY,
    PATCH_ACCURACY,
    UNNAMED_DATASET,
    AedParameters,
)
from soundgate.errors import ParameterError
from soundgate.pipeline import Output, Pipeline, Resources
from steps.evaluate import evaluate
from steps.fetch import fetch
from steps.pool import pool
from steps.preprocess import preprocess
from steps.register import register
from steps.train import train

if TYPE_CHECKING:
    from soundgate.pipeline import File, Task

CPU = Resources(cpus=4, memory_gb=8, hours=2)
GPU = Resources(cpus=8, gpus=1, memory_gb=32, hours=4)


def get_pipeline(p: AedParameters) -> Pipeline:
    """Describe the pipeline; nothing runs until an executor renders and submits it."""
    aed = Pipeline("aed", description="Audio event detection with clip and patch level gates")
    fetched = aed.add(
        fetch,
        dataset=p.dataset_name,
        store=p.store,
        download_command=p.download_command,
        config=p.config.only("dataset", "dataset_specific"),
        needs_network=True,
        retries=2,
        resources=CPU,
        **_sources(aed, p),
    )
    if p.folds and p.config.get("dataset.test_audio_path"):
        raise ParameterError(
            "folds: dataset.test_audio_path gives every fold the same test clips: drop one of both"
        )
    prepared = aed.add(
        preprocess,
        clips=fetched["clips"],
        config=p.config.only("dataset", "preprocessing", "feature_extraction"),
        display_name=p.processing_step_name,
        resources=CPU,
    )
    if p.folds:
        _cross_validate(aed, p, prepared["features"])
        return aed
    trained = aed.add(
        train,
        features=prepared["features"],
        config=_training_config(p),
        pretrained=_pretrained(aed, p),
        test_fold=p.test_fold,
        epochs=p.epochs,
        resources=GPU,
    )
    scored = aed.add(
        evaluate,
        features=prepared["features"],
        model=trained["model"],
        confidence=p.config.get("evaluation.confidence"),
        batch_size=p.config.get("general.batch_size"),
        resources=CPU,
    )
    gates = _gates(aed, p, scored["report"])
    aed.add(
        register,
        model=trained["model"],
        report=scored["report"],
        card=fetched["card"],
        verdicts=[gate["verdict"] for gate in gates],
        environment=["MLFLOW_TRACKING_URI"],
        model_name=p.model_name,
        modelzoo_version=p.modelzoo_version,
    )
    return aed


def _cross_validate(aed: Pipeline, p: AedParameters, features: Output) -> None:
    trained = aed.map(
        train,
        over={"test_fold": p.folds},
        features=features,
        config=_training_config(p),
        pretrained=_pretrained(aed, p),
        epochs=p.epochs,
        resources=GPU,
    )
    confidence = p.config.get("evaluation.confidence")
    scored = aed.map(
        evaluate,
        over=trained,
        features=features,
        model=trained["model"],
        confidence=confidence,
        batch_size=p.config.get("general.batch_size"),
        resources=CPU,
    )
    pooled = aed.add(pool, reports=scored["report"], confidence=confidence)
    _gates(aed, p, pooled["report"])


def _gates(aed: Pipeline, p: AedParameters, report: Output) -> list[Task]:
    return [
        aed.gate(report, metric=CLIP_ACCURACY, at_least=p.q_clip_level_acc_threshold),
        aed.gate(report, metric=PATCH_ACCURACY, at_least=p.q_patch_level_acc_threshold),
    ]


def _training_config(p: AedParameters) -> File:
    return p.config.only("general", "dataset", "data_augmentation", "training")


def _pretrained(aed: Pipeline, p: AedParameters) -> File | None:
    """Weights to start from, an artifact: other weights at the same path are noticed."""
    path = p.config.get("training.model.pretrained_weights")
    return aed.file(path) if isinstance(path, str) else None


def _sources(aed: Pipeline, p: AedParameters) -> dict[str, Any]:
    """Folders and tables that the user brings, each an artifact: a changed clip is noticed."""
    found = {}
    for split, argument in (("training", "source"), ("validation", "validation"), ("test", "test")):
        path = p.config.get(f"dataset.{split}_audio_path")
        if split == "training":
            path = p.dataset_path or path
        table = p.config.get(f"dataset.{split}_csv_path")
        if path:
            found[argument] = aed.file(path)
        if table:
            found[f"{argument}_labels"] = aed.file(table)
    if not found and not p.download_command and p.dataset_name == UNNAMED_DATASET:
        raise ParameterError(
            f"no data set is named: pass --config FILE ({p.config.path} is absent or names none) "
            "or --set dataset=NAME"
        )
    return found
