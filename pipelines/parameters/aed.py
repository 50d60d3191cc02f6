"""Parameters of ``pipelines.aed``, audio event detection, and the metrics of its gates."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from pipelines.parameters.data import DataParameters
from pipelines.parameters.release import ReleaseParameters, gains
from soundgate.bounds import Bounds, Fraction
from soundgate.errors import nearest
from soundgate.parameters import ConfigFile
from soundgate.pipeline import LogMetric, Metric

AED_FOLDER_NAME = "audio_event_detection"
"""Where the model zoo keeps this use case."""

CLIP_ACCURACY = Metric(
    name="clip:accuracy",
    json_path="multiclass_classification_metrics.clip_acc.value",
    regex=r"Clip-level accuracy on test set : ([0-9\.]+)",
    message="Execution failed due to clip level acc <",
    values=Bounds(0, 1),
)
"""Share of clips whose summed patch scores point to the right class, 0 to 1."""

PATCH_ACCURACY = Metric(
    name="patch:accuracy",
    json_path="multiclass_classification_metrics.patch_acc.value",
    regex=r"Patch-level accuracy on test set : ([0-9\.]+)",
    message="Execution failed due to patch level acc <",
    values=Bounds(0, 1),
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
    values=Bounds(0, 1),
)
"""Lower end of the clip-level accuracy's confidence interval, 0 to 1."""

PATCH_ACCURACY_LOW = Metric(
    name="patch:accuracy:low",
    json_path="multiclass_classification_metrics.patch_acc.low",
    message="Execution failed due to lower bound of patch level acc <",
    values=Bounds(0, 1),
)
"""Lower end of the patch-level accuracy's confidence interval, 0 to 1."""

QUANTIZED_CLIP_ACCURACY = Metric(
    name="quantized:clip:accuracy",
    json_path="quantized.clip_acc.value",
    regex=r"Quantized model clip-level accuracy on test set : ([0-9\.]+)",
    message="Execution failed due to quantized clip level acc <",
    values=Bounds(0, 1),
)
"""Clip-level accuracy of the int8 model, 0 to 1."""

QUANTIZED_PATCH_ACCURACY = Metric(
    name="quantized:patch:accuracy",
    json_path="quantized.patch_acc.value",
    regex=r"Quantized model patch-level accuracy on test set : ([0-9\.]+)",
    message="Execution failed due to quantized patch level acc <",
    values=Bounds(0, 1),
)
"""Patch-level accuracy of the int8 model, 0 to 1."""

CLIP_ACCURACY_GAIN, CLIP_ACCURACY_GAIN_LOW = gains("clip:accuracy", "clip level acc", "clip_acc")
"""Clip-level accuracy less the champion's on the same clips, and the interval's lower end."""


# ReleaseParameters comes first so that the data's parameters are listed before the release's:
# Python collects the fields of the last base first.
@dataclass(frozen=True, kw_only=True)
class AedParameters(ReleaseParameters, DataParameters):
    """Parameters of ``pipelines.aed``, audio event detection."""

    config: ConfigFile = field(
        default=ConfigFile("user_configs/aed.yaml", must_exist=False),
        metadata={"check": "soundgate.audio.config:check_training"},
    )
    """User config (``--config``): data, preprocessing, features, augmentation, training."""

    model_name: str = "aed"

    epochs: Annotated[int, Bounds(0)] = 0
    """Passes over the training clips; 0: ``training.epochs`` of the user config."""

    q_clip_level_acc_threshold: Fraction | None = 0.5
    """Gate: least clip-level accuracy on the test split, a fraction; none: no such gate."""

    q_patch_level_acc_threshold: Fraction | None = 0.5
    """Gate: least patch-level accuracy on the test split, a fraction; none: no such gate."""

    q_clip_level_acc_low_threshold: Fraction = 0.0
    """Gate: least lower end of the clip-level accuracy's interval, a fraction; 0: no such gate."""

    q_patch_level_acc_low_threshold: Fraction = 0.0
    """Gate: least lower end of the patch-level accuracy's interval, a fraction; 0: none."""

    q_quantized_clip_level_acc_threshold: Fraction = 0.0
    """Gate: least clip-level accuracy of the int8 model, a fraction; 0: none."""

    q_quantized_patch_level_acc_threshold: Fraction = 0.0
    """Gate: least patch-level accuracy of the int8 model, a fraction; 0: none."""

    modelzoo_version: str = "v1"
    """Version of the STM32 model zoo whose patch and clip definitions are followed."""

    @property
    def validation_parameters(self) -> list[dict[str, Any]]:
        """The gates on the accuracies as the model zoo's pipeline lists them."""
        gates = {
            "q_clip_level_acc_threshold": CLIP_ACCURACY,
            "q_patch_level_acc_threshold": PATCH_ACCURACY,
        }
        return [
            {
                "parameter_name": name,
                "default_threshold": getattr(self, name),
                "fail_step_msg": metric.message,
                "json_path": metric.json_path,
                "name": metric.name,
                "regex": metric.regex,
            }
            for name, metric in gates.items()
            if getattr(self, name) is not None
        ]

    def __getitem__(self, name: str) -> Any:
        """Return a value by name: the model zoo's pipeline has its parameters in a dictionary.

        Raises:
            KeyError: there is no parameter and no derived value of that name.
        """
        derived = ("dataset_name", "processing_step_name", "validation_parameters")
        known = [*derived, *(each.name for each in dataclasses.fields(self))]
        if name not in known:
            raise KeyError(f"{name}{nearest(name, known)}")
        return getattr(self, name)


def get_pipeline_parameters(default_threshold: float | None = 0.5) -> AedParameters:
    """Return the audio event detection parameters with both gates at ``default_threshold``.

    For programs that asked the model zoo's pipeline this way; ``run-pipeline`` does not need it.
    With None there is neither gate.
    """
    return replace(
        AedParameters(),
        q_clip_level_acc_threshold=default_threshold,
        q_patch_level_acc_threshold=default_threshold,
    )
