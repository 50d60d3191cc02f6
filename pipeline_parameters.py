"""Every knob of every pipeline: type, default, unit, meaning.

``run-pipeline --set name=value`` overrides one; the ``pipeline:`` section of a user config holds
several. What belongs to sound (classes, features, augmentation, training) stands in the user
config itself and is overridden by its dotted key: ``--set training.epochs=40``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from soundgate.errors import ParameterError, nearest
from soundgate.parameters import ConfigFile
from soundgate.pipeline import LogMetric, Metric

AED_FOLDER_NAME = "audio_event_detection"
"""Where the model zoo keeps this use case."""

UNNAMED_DATASET = "AED_Dataset"
"""Name of a data set whose user config gives none."""

CLIP_ACCURACY = Metric(
    name="clip:accuracy",
    json_path="multiclass_classification_metrics.clip_acc.value",
    regex=r"Clip-level accuracy on test set : ([0-9\.]+)",
    message="Execution failed due to clip level acc <",
)
"""Share of clips whose summed patch scores point to the right class, 0 to 1."""

PATCH_ACCURACY = Metric(
    name="patch:accuracy",
    json_path="multiclass_classification_metrics.patch_acc.value",
    regex=r"Patch-level accuracy on test set : ([0-9\.]+)",
    message="Execution failed due to patch level acc <",
)
"""Share of patches whose own scores point to the clip's class, 0 to 1."""

TRAINING_METRICS = (
    LogMetric("validation:clip:accuracy", r"Clip-level accuracy on validation set : ([0-9\.]+)"),
    LogMetric("validation:patch:accuracy", r"Patch-level accuracy on validation set : ([0-9\.]+)"),
)
"""What a training's log ends with: accuracies of the kept epoch on the validation clips, 0 to 1."""

CLIP_ACCURACY_LOW = Metric(
    name="clip:accuracy:low",
    json_path="multiclass_classification_metrics.clip_acc.low",
    message="Execution failed due to lower bound of clip level acc <",
)
"""Lower end of the clip-level accuracy's confidence interval, 0 to 1."""

PATCH_ACCURACY_LOW = Metric(
    name="patch:accuracy:low",
    json_path="multiclass_classification_metrics.patch_acc.low",
    message="Execution failed due to lower bound of patch level acc <",
)
"""Lower end of the patch-level accuracy's confidence interval, 0 to 1."""

QUANTIZED_CLIP_ACCURACY = Metric(
    name="quantized:clip:accuracy",
    json_path="quantized.clip_acc.value",
    regex=r"Quantized model clip-level accuracy on test set : ([0-9\.]+)",
    message="Execution failed due to quantized clip level acc <",
)
"""Clip-level accuracy of the int8 model, 0 to 1."""

QUANTIZED_PATCH_ACCURACY = Metric(
    name="quantized:patch:accuracy",
    json_path="quantized.patch_acc.value",
    regex=r"Quantized model patch-level accuracy on test set : ([0-9\.]+)",
    message="Execution failed due to quantized patch level acc <",
)
"""Patch-level accuracy of the int8 model, 0 to 1."""

CLIP_ACCURACY_GAIN = Metric(
    name="clip:accuracy:gain",
    json_path="clip_acc.difference.value",
    message="Execution failed due to clip level acc against the champion on the same clips <",
    file="comparison.json",
)
"""Clip-level accuracy less the champion's on the same clips, -1 to 1; 0 while there is none."""

CLIP_ACCURACY_GAIN_LOW = Metric(
    name="clip:accuracy:gain:low",
    json_path="clip_acc.difference.low",
    message="Execution failed due to lower bound of clip level acc against the champion <",
    file="comparison.json",
)
"""Lower end of the paired interval of that difference, -1 to 1; 0 while there is no champion."""


@dataclass(frozen=True, kw_only=True)
class AedParameters:
    """Parameters of ``pipelines.aed``, audio event detection."""

    config: ConfigFile = field(
        default=ConfigFile("user_configs/aed.yaml", must_exist=False),
        metadata={"check": "soundgate.audio.config:check"},
    )
    """User config (``--config``): data, preprocessing, features, augmentation, training."""

    dataset: str = ""
    """Data set of the catalogue; empty: ``dataset.name`` of the user config."""

    dataset_path: str = ""
    """Folder that already holds it; empty: ``dataset.training_audio_path``, else it is fetched."""

    download_command: str = ""
    """Shell command that downloads it into ``./temp``; empty: the catalogue's own."""

    store: str = "runs/store"
    """Object store that keeps fetched data sets: a folder, or ``s3://bucket/prefix``."""

    test_fold: int = 0
    """Fold held out for testing, counted from 1; 0: ``dataset.test_fold`` of the user config."""

    folds: list[int] = field(default_factory=list)
    """Cross-validation: train and test once for each of these folds; nothing is registered."""

    epochs: int = 0
    """Passes over the training clips; 0: ``training.epochs`` of the user config."""

    q_clip_level_acc_threshold: float = 0.5
    """Gate: least clip-level accuracy on the test split, a fraction."""

    q_patch_level_acc_threshold: float = 0.5
    """Gate: least patch-level accuracy on the test split, a fraction."""

    q_clip_level_acc_low_threshold: float = 0.0
    """Gate: least lower end of the clip-level accuracy's interval, a fraction; 0: no such gate."""

    q_patch_level_acc_low_threshold: float = 0.0
    """Gate: least lower end of the patch-level accuracy's interval, a fraction; 0: none."""

    q_quantized_clip_level_acc_threshold: float = 0.0
    """Gate: least clip-level accuracy of the int8 model, a fraction; 0: none."""

    q_quantized_patch_level_acc_threshold: float = 0.0
    """Gate: least patch-level accuracy of the int8 model, a fraction; 0: none."""

    q_worse_than_champion: float = 1.0
    """Gate: how much of the champion's clip-level accuracy on the same clips may be lost, a
    fraction; 1: none."""

    q_surely_worse_than_champion: float = 1.0
    """Gate: the same for the lower end of the paired interval, which few clips widen; 1: none."""

    advisory_gates: bool = False
    """Whether a missed gate is recorded for the reviewer, who may override it, instead of ending
    the run."""

    model_name: str = "aed"
    """Registered model; candidates become versions of ``<model_name>-candidates``."""

    modelzoo_version: str = "v1"
    """Version of the STM32 model zoo whose patch and clip definitions are followed."""

    def __post_init__(self) -> None:
        """Refuse at once what would fail only after the features are made."""
        for name in (
            "test_fold",
            "epochs",
            "q_worse_than_champion",
            "q_surely_worse_than_champion",
        ):
            if getattr(self, name) < 0:
                raise ParameterError(f"{name}: {getattr(self, name)} is below 0")
        if any(fold < 1 for fold in self.folds) or len(set(self.folds)) < len(self.folds):
            raise ParameterError(f"folds: {self.folds}: name each fold once, counted from 1")
        if not self.model_name or set(self.model_name) & set("/:"):
            raise ParameterError(
                f"model_name: {self.model_name!r}: give a name without '/' and ':'"
            )

    @property
    def dataset_name(self) -> str:
        """The data set's name, wherever it is given."""
        return self.dataset or str(self.config.get("dataset.name", UNNAMED_DATASET))

    @property
    def processing_step_name(self) -> str:
        """How a platform's console shows the preprocessing task."""
        name = Path(self.dataset_name)
        return f"Preprocess_{name.stem if self.is_described else name}"

    @property
    def is_described(self) -> bool:
        """Whether the data set is the path of a YAML file that describes one."""
        return self.dataset_name.lower().endswith((".yaml", ".yml"))


def get_pipeline_parameters(default_threshold: float = 0.5) -> AedParameters:
    """Return the audio event detection parameters with both gates at ``default_threshold``.

    For programs that asked the model zoo's pipeline this way; ``run-pipeline`` does not need it.
    """
    return replace(
        AedParameters(),
        q_clip_level_acc_threshold=default_threshold,
        q_patch_level_acc_threshold=default_threshold,
    )


@dataclass(frozen=True, kw_only=True)
class PredictParameters:
    """Parameters of ``pipelines.predict``, predictions of a registered model."""

    config: ConfigFile = field(
        default=ConfigFile("user_configs/predict.yaml", must_exist=False),
        metadata={"check": "soundgate.audio.config:check"},
    )
    """User config (``--config``), optional: ``prediction``, ``deployment``, ``general``."""

    model_name: str = "aed"
    """Registered model; candidates are versions of ``<model_name>-candidates``."""

    version: str = "champion"
    """Alias (``champion``, ``candidate``) or number of the version."""

    audio: str = ""
    """Folder or audio file; empty: ``prediction.test_files_path``, else the manifest's folder."""

    manifest: str = ""
    """``manifest.jsonl`` or a CSV with path, start_s, end_s; empty: every file of ``audio``."""

    format: str = "csv"
    """Format of the tables: csv, parquet or jsonl."""

    runtime: str = "torch"
    """What computes: torch, onnx or int8; the last two need a version with exported programs."""

    segment_s: float = 0.0
    """Length of the segments that long files are cut into, seconds; 0: the model's longest clip."""

    hop_s: float = 0.0
    """From the start of a segment to the next one's, seconds; 0: ``segment_s``."""

    unknown_class_threshold: float = 0.0
    """Below it a clip's best score makes it unknown; 0: ``deployment.unknown_class_threshold``."""

    strict: bool = False
    """Whether a file that cannot be read ends the run; otherwise it is listed in failures.jsonl."""

    in_place: bool = False
    """Hand on the folder's name, not its bytes: not read twice, predicted anew by every run."""

    gpu: bool = False
    """Whether the task asks for a GPU."""

    def __post_init__(self) -> None:
        """Refuse at once what would fail only after the model is fetched."""
        for name, known in (
            ("format", ("csv", "parquet", "jsonl")),
            ("runtime", ("torch", "onnx", "int8")),
        ):
            value = getattr(self, name)
            if value not in known:
                raise ParameterError(f"{name}: {value!r} is none{nearest(value, known)}")
        for name in ("segment_s", "hop_s"):
            if getattr(self, name) < 0:
                raise ParameterError(f"{name}: {getattr(self, name)} is below 0")
        if not 0 <= self.unknown_class_threshold <= 1:
            raise ParameterError(
                f"unknown_class_threshold: {self.unknown_class_threshold} is no score from 0 to 1"
            )
