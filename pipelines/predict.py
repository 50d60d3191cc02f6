"""Predictions of a registered model for any audio: a folder, a file, or the rows of a table.

    pull ─version─▶ predict ─▶ predictions

The model is the champion, or any version by alias or number; nothing is trained or registered.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.parameters.predict import PredictParameters
from soundgate.errors import ParameterError
from soundgate.pipeline import File, Pipeline, Resources
from steps.predict import AUDIO_PATH_FILE
from steps.predict import predict as predict_step
from steps.pull import pull

if TYPE_CHECKING:
    from soundgate.pipeline import Task

CPU = Resources(cpus=4, memory_gb=8, hours=24)
GPU = Resources(cpus=8, gpus=1, memory_gb=32, hours=24)


def get_pipeline(p: PredictParameters) -> Pipeline:
    """Describe the pipeline; nothing runs until an executor renders and submits it."""
    predict = Pipeline("predict", description="Predictions of a registered model for any audio")
    pulled = predict.add(
        pull,
        model_name=p.model_name,
        which=p.version,
        reuse=False,  # an alias may point elsewhere tomorrow
        environment=["MLFLOW_TRACKING_URI"],
        needs_network=True,
    )
    _predict(predict, p, pulled)
    return predict


def _predict(predict: Pipeline, p: PredictParameters, pulled: Task) -> None:
    threshold = p.unknown_class_threshold or p.config.get("deployment.unknown_class_threshold", 0.0)
    predict.add(
        predict_step,
        version=pulled["version"],
        audio=_audio(predict, p),
        manifest=predict.file(p.manifest) if p.manifest else None,
        encoder=predict.file(p.encoder) if p.encoder else None,
        format=p.format,
        runtime=p.runtime,
        segment_s=p.segment_s,
        hop_s=p.hop_s,
        unknown_class_threshold=threshold,
        batch_size=p.config.get("general.batch_size"),
        strict=p.strict,
        reuse=not p.in_place,
        resources=GPU if p.gpu else CPU,
    )


def _audio(predict: Pipeline, p: PredictParameters) -> File:
    """The audio as an artifact: its bytes are read once more, so that a changed clip is noticed.

    With ``in_place`` the artifact is the name of the folder.
    """
    path = p.audio or p.config.get("prediction.test_files_path")
    if not path and p.manifest:
        path = str(Path(p.manifest).parent)
    if not path:
        raise ParameterError(
            "nothing to predict: pass --set audio=FOLDER, or prediction.test_files_path in a config"
        )
    if p.in_place:
        return File(AUDIO_PATH_FILE, text=str(Path(path).absolute()))
    return predict.file(path)
