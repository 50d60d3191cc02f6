"""Parameters of ``pipelines.tagging``, multi-label tagging, and the metrics of its gates."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Annotated, Final

from pipelines.parameters.release import ReleaseParameters, gains
from pipelines.parameters.tagging_data import TaggingDataParameters
from soundgate.bounds import Bounds, Fraction
from soundgate.errors import ParameterError, nearest
from soundgate.parameters import ConfigFile
from soundgate.pipeline import LogMetric, Metric

OVERALL: Final = (
    "macro_f1",
    "mean_average_precision",
    "micro_f1",
    "macro_roc_auc",
    "macro_precision",
    "macro_recall",
    "micro_precision",
    "micro_recall",
    "subset_accuracy",
    "hamming_distance",
)
"""Figures of all labels together; the int8 network has them too, as ``quantized_macro_f1``."""

METRICS: Final = (
    *OVERALL,
    "calibration_error",
    "family_macro_f1",
    "family_mean_average_precision",
    *(f"quantized_{name}" for name in OVERALL),
    "quantized_agreement",
)
"""What a gate may be on; all lie between 0 and 1."""

LABEL_METRICS: Final = ("f1", "precision", "recall", "average_precision", "roc_auc")
"""Likewise, of one label: ``f1.cel``."""

TRAINING_METRICS = (
    LogMetric("validation:macro:f1", r"Macro F1 on validation set : ([0-9\.]+)"),
    LogMetric("validation:map", r"Mean average precision on validation set : ([0-9\.]+)"),
)
"""What a training's log ends with: figures of the kept epoch on the validation clips, 0 to 1."""

GATE: Final = re.compile(
    r"(?P<metric>\w+)(\.(?P<label>[^<>=]+?))?\s*(?P<sign>>=|<=)\s*(?P<bound>[0-9.eE+-]+)"
)


@dataclass(frozen=True)
class AskedGate:
    """A gate as the parameter ``gates`` asks for it."""

    metric: Metric
    bound: float
    at_most: bool


MACRO_F1_GAIN, MACRO_F1_GAIN_LOW = gains("macro:f1", "macro F1", "metrics.macro_f1")
"""Macro F1 less the champion's on the same clips, and the interval's lower end."""


@dataclass(frozen=True, kw_only=True)
class TaggingParameters(ReleaseParameters, TaggingDataParameters):
    """Parameters of ``pipelines.tagging``, multi-label tagging."""

    config: ConfigFile = field(
        default=ConfigFile("user_configs/tagging.yaml", must_exist=False),
        metadata={"check": "soundgate.audio.config:check_tagging"},
    )
    """User config (``--config``): front end, network, augmentation, training."""

    model_name: str = "tagging"

    epochs: Annotated[int, Bounds(0)] = 0
    """Passes over the training clips in all stages; 0: ``training.epochs`` of the user config."""

    q_macro_f1_threshold: Fraction | None = 0.5
    """Gate: least macro F1 on the test split, a fraction; none: no such gate."""

    q_mean_average_precision_threshold: Fraction | None = 0.5
    """Gate: least mean average precision on the test split, a fraction; none: no such gate."""

    gates: list[str] = field(default_factory=list)
    """Further gates: ``metric>=bound`` or ``metric<=bound``, ``hamming_distance<=0.1`` say; of one
    label ``f1.cel>=0.5``."""

    def __post_init__(self) -> None:
        """Refuse at once what would fail only when the gates are judged.

        Raises:
            ParameterError: a gate cannot be read.
        """
        super().__post_init__()
        if self.folds:
            raise ParameterError(
                "folds: tagging holds out one fold, test_fold; run it once for each of them"
            )
        for gate in self.gates:
            read_gate(gate)


def read_gate(text: str) -> AskedGate:
    """The gate that a text asks for.

    Raises:
        ParameterError: it is none, or its metric is not known.
    """
    found = GATE.fullmatch(text.strip())
    try:
        bound = float(found["bound"]) if found else None
    except ValueError:
        bound = None
    if found is None or bound is None:
        raise ParameterError(f"gates: {text!r} is no gate: write metric>=bound, macro_f1>=0.6 say")
    name, label = found["metric"], found["label"]
    known = METRICS if label is None else LABEL_METRICS
    if name not in known:
        raise ParameterError(f"gates: no metric {name!r}{nearest(name, known)}")
    if not 0 <= bound <= 1:
        raise ParameterError(f"gates: {text!r}: the bound must be between 0 and 1")
    if label is not None and "." in label:
        raise ParameterError(
            f"gates: {text!r}: a gate cannot name the label {label!r}, whose dot reads as a level "
            "of the report; rename the label in the data"
        )
    at_most = found["sign"] == "<="
    return AskedGate(metric_of(name, label, at_most=at_most), bound, at_most)


def metric_of(name: str, label: str | None = None, *, at_most: bool = False) -> Metric:
    """What a gate on a metric of the report, or on one of a label, reads."""
    title = name if label is None else f"{name} of {label}"
    return Metric(
        name=title.replace("_", ":") if label is None else f"{name}:{label}",
        json_path=f"metrics.{name}.value" if label is None else f"labels.{label}.{name}.value",
        message=f"Execution failed due to {title.replace('_', ' ')} {'>' if at_most else '<'}",
        values=Bounds(0, 1),
    )
