"""How a trained model becomes a candidate for release; every system that registers has these."""

from __future__ import annotations

import re
from dataclasses import dataclass

from soundgate.bounds import Bounds, Fraction
from soundgate.errors import ParameterError
from soundgate.parameters import Group
from soundgate.pipeline import Metric

MODEL_NAME = re.compile(r"\w(?:[\w .-]{0,198}\w)?")
"""What MLflow, Amazon's model registry and a file system all take, once blanks are replaced."""


def check_model_name(name: str) -> None:
    """Refuse a name that a model registry cannot hold or look up.

    Raises:
        ParameterError: always then.
    """
    if not MODEL_NAME.fullmatch(name):
        raise ParameterError(
            f"model_name: {name!r}: use letters, digits, '_', '-', '.' and blanks between them, "
            "200 characters at most"
        )


def gains(name: str, words: str, json_path: str) -> tuple[Metric, Metric]:
    """A metric less the champion's on the same clips, and the lower end of its paired interval.

    Both lie between -1 and 1, and are 0 while there is no champion.

    Args:
        name: of the metric: ``clip:accuracy``.
        words: of the metric in a message: ``clip level acc``.
        json_path: of the metric's pair in ``comparison.json``.
    """

    def gain(suffix: str, ends: str, key: str) -> Metric:
        return Metric(
            name=f"{name}:gain{suffix}",
            json_path=f"{json_path}.difference.{key}",
            message=f"Execution failed due to {ends} <",
            file="comparison.json",
            values=Bounds(-1, 1),
        )

    return (
        gain("", f"{words} against the champion on the same clips", "value"),
        gain(":low", f"lower bound of {words} against the champion", "low"),
    )


def metric_of(name: str, end: str = "value") -> Metric:
    """What a gate on a metric of the report reads: its value, or the lower end of its interval."""
    title, low = name.replace("_", " "), end == "low"
    return Metric(
        name=f"{name.replace('_', ':')}{':low' if low else ''}",
        json_path=f"metrics.{name}.{end}",
        message=f"Execution failed due to {'lower bound of ' if low else ''}{title} <",
        values=Bounds(0, 1),
    )


@dataclass(frozen=True, kw_only=True)
class ReleaseParameters(Group):
    """Where candidates are registered, and how they are held against the released model."""

    model_name: str
    """Registered model; candidates become versions of ``<model_name>-candidates``."""

    q_worse_than_champion: Fraction = 1.0
    """Gate: how much of the champion's headline metric, clip-level accuracy for AED, may be lost on
    the same clips, a fraction; 1: none."""

    q_surely_worse_than_champion: Fraction = 1.0
    """Gate: the same for the lower end of the paired interval, which few clips widen; 1: none."""

    advisory_gates: bool = False
    """Whether a missed gate is recorded for the reviewer, who may override it, instead of ending
    the run."""

    def __post_init__(self) -> None:
        """Refuse at once what would fail only when the model is registered.

        Raises:
            ParameterError: the model's name cannot be registered.
        """
        super().__post_init__()
        check_model_name(self.model_name)
