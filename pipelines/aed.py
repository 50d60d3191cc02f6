"""Audio event detection, from a data set's name to a candidate in the model registry.

    fetch ─▶ preprocess ─▶ train ─▶ export ─▶ evaluate ─▶ compare ─▶ gates ─▶ register
                                                pull ─champion─┘ └─▶ review ────┘

``export`` makes the programs that leave the registry, ``evaluate`` judges them, ``compare`` holds
the candidate against the released model that ``pull`` brought, and ``review`` makes the page that a
reviewer decides by. The page is made where a gate is missed, too: it shows why.

With ``folds`` it cross-validates instead: ``train`` and ``evaluate`` once a fold, their test clips
pooled into one report, the gates on it, and nothing registered.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline_parameters import (
    CLIP_ACCURACY,
    CLIP_ACCURACY_GAIN,
    CLIP_ACCURACY_GAIN_LOW,
    CLIP_ACCURACY_LOW,
    PATCH_ACCURACY,
    PATCH_ACCURACY_LOW,
    QUANTIZED_CLIP_ACCURACY,
    QUANTIZED_PATCH_ACCURACY,
    TRAINING_METRICS,
    UNNAMED_DATASET,
    AedParameters,
)
from soundgate.errors import ParameterError
from soundgate.pipeline import File, Output, Pipeline, Resources
from steps.compare import compare
from steps.evaluate import evaluate
from steps.export import export
from steps.fetch import fetch
from steps.pool import pool
from steps.preprocess import preprocess
from steps.pull import pull
from steps.register import register
from steps.review import review
from steps.train import train

if TYPE_CHECKING:
    from soundgate.pipeline import Task

LONGEST_COMMAND = 200
"""Characters of a download command that travel as an argument."""

CPU = Resources(cpus=4, memory_gb=8, hours=2)
GPU = Resources(cpus=8, gpus=1, memory_gb=32, hours=4)


def get_pipeline(p: AedParameters) -> Pipeline:
    """Describe the pipeline; nothing runs until an executor renders and submits it."""
    aed = Pipeline("aed", description="Audio event detection with clip and patch level gates")
    if p.folds and p.config.get("dataset.test_audio_path"):
        raise ParameterError(
            "folds: dataset.test_audio_path gives every fold the same test clips: drop one of both"
        )
    fetched = aed.add(
        fetch,
        dataset=p.dataset_name,
        store=p.store,
        **_download(p),
        config=p.config.only("dataset", "dataset_specific"),
        needs_network=True,
        retries=2,
        resources=CPU,
        **_sources(aed, p),
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
    else:
        _candidate(aed, p, fetched, prepared["features"])
    return aed


def _candidate(aed: Pipeline, p: AedParameters, fetched: Task, features: Output) -> None:
    trained = aed.add(
        train,
        features=features,
        config=_training_config(p),
        pretrained=_pretrained(aed, p),
        test_fold=p.test_fold,
        epochs=p.epochs,
        log_metrics=TRAINING_METRICS,
        resources=GPU,
    )
    exported = aed.add(
        export,
        features=features,
        model=trained["model"],
        config=p.config.only("general", "dataset", "quantization"),
        calibration=_calibration(aed, p),
        resources=CPU,
    )
    scored = aed.add(
        evaluate,
        features=features,
        model=trained["model"],
        exported=exported["exported"],
        **_judging(p),
        resources=CPU,
    )
    compared = _compare(aed, p, fetched, features, model=trained["model"], report=scored["report"])
    gates = _gates(aed, p, scored["report"]) + _candidate_gates(aed, p, scored, compared)
    evidence: dict[str, Any] = {
        "report": scored["report"],
        "model": trained["model"],
        "exported": exported["exported"],
        "card": fetched["card"],
    }
    page = aed.add(
        review,
        **evidence,
        metrics=trained["metrics"],
        clips=fetched["clips"],
        comparison=compared["comparison"],
        gates=aed.declared_gates(),
        names_run=True,
        resources=CPU,
    )
    aed.candidate(
        register,
        **evidence,
        review=page["review"],
        comparison=compared["comparison"],
        gates=aed.declared_gates(),
        after=gates,
        environment=["MLFLOW_TRACKING_URI"],
        model_name=p.model_name,
        modelzoo_version=p.modelzoo_version,
    )


def _compare(
    aed: Pipeline,
    p: AedParameters,
    fetched: Task,
    features: Output,
    *,
    model: Output,
    report: Output,
) -> Task:
    """Hold the candidate against the champion, which is whoever the registry says now."""
    champion = aed.add(
        pull,
        name="champion",
        model_name=p.model_name,
        optional=True,
        reuse=False,
        environment=["MLFLOW_TRACKING_URI"],
    )
    return aed.add(
        compare,
        features=features,
        clips=fetched["clips"],
        report=report,
        model=model,
        champion=champion["version"],
        **_judging(p),
        resources=CPU,
    )


def _cross_validate(aed: Pipeline, p: AedParameters, features: Output) -> None:
    trained = aed.map(
        train,
        over={"test_fold": p.folds},
        features=features,
        config=_training_config(p),
        pretrained=_pretrained(aed, p),
        epochs=p.epochs,
        log_metrics=TRAINING_METRICS,
        resources=GPU,
    )
    judging = _judging(p)
    scored = aed.map(
        evaluate,
        over=trained,
        features=features,
        model=trained["model"],
        **judging,
        resources=CPU,
    )
    pooled = aed.add(pool, reports=scored["report"], confidence=judging["confidence"])
    _gates(aed, p, pooled["report"])


def _gates(aed: Pipeline, p: AedParameters, report: Output) -> list[Task]:
    """Gates on the accuracies, and where asked for on the lower ends of their intervals."""
    wanted = [
        (CLIP_ACCURACY, p.q_clip_level_acc_threshold, True),
        (PATCH_ACCURACY, p.q_patch_level_acc_threshold, True),
        (CLIP_ACCURACY_LOW, p.q_clip_level_acc_low_threshold, False),
        (PATCH_ACCURACY_LOW, p.q_patch_level_acc_low_threshold, False),
    ]
    return [
        aed.gate(report, metric=metric, at_least=threshold, advisory=p.advisory_gates)
        for metric, threshold, always in wanted
        if always or threshold
    ]


def _candidate_gates(aed: Pipeline, p: AedParameters, scored: Task, compared: Task) -> list[Task]:
    """Gates on the int8 model and against the champion, where they are asked for."""
    report, comparison = scored["report"], compared["comparison"]
    wanted = [
        (report, QUANTIZED_CLIP_ACCURACY, p.q_quantized_clip_level_acc_threshold, 0.0),
        (report, QUANTIZED_PATCH_ACCURACY, p.q_quantized_patch_level_acc_threshold, 0.0),
        (comparison, CLIP_ACCURACY_GAIN, 0.0 - p.q_worse_than_champion, -1.0),
        (comparison, CLIP_ACCURACY_GAIN_LOW, 0.0 - p.q_surely_worse_than_champion, -1.0),
    ]
    return [
        aed.gate(judged, metric=metric, at_least=threshold, advisory=p.advisory_gates)
        for judged, metric, threshold, unasked in wanted
        if threshold > unasked
    ]


def _judging(p: AedParameters) -> dict[str, Any]:
    """What ``evaluate`` and ``compare`` are asked alike."""
    return {
        "confidence": p.config.get("evaluation.confidence"),
        "batch_size": p.config.get("general.batch_size"),
    }


def _training_config(p: AedParameters) -> File:
    return p.config.only("general", "dataset", "data_augmentation", "training")


def _pretrained(aed: Pipeline, p: AedParameters) -> File | None:
    """Weights to start from, an artifact: other weights at the same path are noticed."""
    path = p.config.get("training.model.pretrained_weights")
    return aed.file(path) if isinstance(path, str) else None


def _calibration(aed: Pipeline, p: AedParameters) -> File | None:
    """Clips of the user's own that calibrate the int8 model; else a share of the training clips."""
    path = p.config.get("dataset.quantization_audio_path")
    return aed.file(path, name="calibration") if isinstance(path, str) else None


def _download(p: AedParameters) -> dict[str, Any]:
    """Make a long download command a file: engines cut long arguments, or refuse them."""
    command = p.download_command
    if "\n" in command or len(command) > LONGEST_COMMAND:
        return {"download_script": File("download_command.sh", text=command)}
    return {"download_command": command}


def _fsd50k(aed: Pipeline, p: AedParameters) -> dict[str, Any]:
    """The parts of FSD50K, where the user config names them one by one."""
    parts = {
        "source": "dev_audio_folder",
        "source_labels": "csv_folder",
        "test": "eval_audio_folder",
        "test_labels": "csv_folder",
        "ontology": "audioset_ontology_path",
    }
    paths = {name: p.config.get(f"dataset_specific.fsd50k.{key}") for name, key in parts.items()}
    return {name: aed.file(path) for name, path in paths.items() if isinstance(path, str) and path}


def _sources(aed: Pipeline, p: AedParameters) -> dict[str, Any]:
    """Folders and tables that the user brings, each an artifact: a changed clip is noticed."""
    found = _fsd50k(aed, p)
    if p.is_described:
        found["description"] = aed.file(p.dataset_name)
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
