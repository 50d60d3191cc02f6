"""The release part of a pipeline: a trained model becomes a candidate in the model registry.

    model ─▶ export ─▶ (the system's evaluation) ─▶ compare ─▶ gates ─▶ register
                                  pull ─champion─────┘ └─▶ review ─────────┘

``export`` makes the programs that leave the registry, ``compare`` holds the candidate against the
released model that ``pull`` brought, and ``review`` makes the page that a reviewer decides by. The
page is made where a gate is missed, too: it shows why.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.parts.resources import CPU
from steps.compare import compare
from steps.export import export
from steps.pull import pull
from steps.register import register
from steps.review import review

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipelines.parameters.release import ReleaseParameters
    from soundgate.parameters import ConfigFile
    from soundgate.pipeline import File, Metric, Output, Pipeline, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A model that may be released, and what speaks for it."""

    card: Output
    """Which data it learnt from."""
    clips: Output
    """The audio that it was tested on."""
    model: Output
    exported: Output | None
    """Programs of the model that run without Soundgate."""
    report: Output
    """Its evaluation on the test clips."""
    metrics: Output
    """The course of its training."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A gate that a pipeline declares where its parameter asks for one."""

    report: Output
    metric: Metric
    at_least: float | None
    """The bound; None: no gate."""


def judging(config: ConfigFile) -> dict[str, Any]:
    """Arguments that ``evaluate`` and ``compare`` must be given alike: else they differ by them."""
    return {
        "confidence": config.get("evaluation.confidence"),
        "batch_size": config.get("general.batch_size"),
    }


def add_export(pipeline: Pipeline, config: ConfigFile, features: Output, model: Output) -> Output:
    """Add the task that makes programs of the model, int8 among them; return them."""
    exported = pipeline.add(
        export,
        features=features,
        model=model,
        config=config.only("general", "dataset", "quantization"),
        calibration=calibration(pipeline, config),
        resources=CPU,
    )
    return exported["exported"]


def calibration(pipeline: Pipeline, config: ConfigFile) -> File | None:
    """Clips of the user's own that calibrate the int8 model; else a share of the training clips."""
    path = config.get("dataset.quantization_audio_path")
    return pipeline.file(path, name="calibration") if isinstance(path, str) else None


def add_comparison(
    pipeline: Pipeline,
    p: ReleaseParameters,
    config: ConfigFile,
    trained: Trained,
    features: Output,
) -> Output:
    """Hold the candidate against the champion on the same clips."""
    compared = pipeline.add(
        compare,
        features=features,
        clips=trained.clips,
        report=trained.report,
        model=trained.model,
        champion=add_champion(pipeline, p),
        **judging(config),
        resources=CPU,
    )
    return compared["comparison"]


def add_champion(pipeline: Pipeline, p: ReleaseParameters) -> Output:
    """Add the task that brings the model that the registry says is released now."""
    champion = pipeline.add(
        pull,
        name="champion",
        model_name=p.model_name,
        optional=True,
        reuse=False,  # another model may have been released since
        environment=["MLFLOW_TRACKING_URI"],
    )
    return champion["version"]


def add_gates(pipeline: Pipeline, p: ReleaseParameters, wanted: Sequence[Wanted]) -> list[Task]:
    """Declare the gates that are asked for, in order."""
    return [
        pipeline.gate(
            each.report, metric=each.metric, at_least=each.at_least, advisory=p.advisory_gates
        )
        for each in wanted
        if each.at_least is not None
    ]


def champion_gates(
    p: ReleaseParameters, comparison: Output, *, gain: Metric, gain_low: Metric
) -> list[Wanted]:
    """Gates against the champion: on the gain over it, and on the lower end of its interval."""
    allowed = ((gain, p.q_worse_than_champion), (gain_low, p.q_surely_worse_than_champion))
    # the parameter is what may be lost, the metric what is gained; 1 would lose everything: no gate
    return [
        Wanted(comparison, metric, 0.0 - lost if lost < 1 else None) for metric, lost in allowed
    ]


def add_candidate(
    pipeline: Pipeline,
    p: ReleaseParameters,
    trained: Trained,
    comparison: Output,
    gates: Sequence[Task],
    *,
    modelzoo_version: str = "",
) -> Task:
    """Make the review page, and register the model once every gate let it pass."""
    # without any gate, the page and the record still name the report they show
    judged = pipeline.judged_reports() or [trained.report]
    evidence: dict[str, Any] = {
        "report": trained.report,
        "model": trained.model,
        "exported": trained.exported,
        "card": trained.card,
    }
    page = pipeline.add(
        review,
        **evidence,
        model_name=p.model_name,
        metrics=trained.metrics,
        clips=trained.clips,
        comparison=comparison,
        gates=pipeline.declared_gates(),
        judged=judged,
        names_run=True,
        resources=CPU,
    )
    return pipeline.candidate(
        register,
        **evidence,
        review=page["review"],
        comparison=comparison,
        gates=pipeline.declared_gates(),
        judged=judged,
        after=gates,
        environment=["MLFLOW_TRACKING_URI"],
        model_name=p.model_name,
        modelzoo_version=modelzoo_version,
    )
