"""Multi-label tagging, from clips to a candidate in the model registry.

collect | fetch ─▶ prepare ─▶ accept ─▶ train ─▶ export ─▶ evaluate ─▶ compare ─▶ gates ─▶ register
                                                    pull ─champion─────┘ └─▶ review ─┘
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.parameters import tagging as parameters
from pipelines.parameters.tagging import TaggingParameters
from pipelines.parts import release
from pipelines.parts.resources import CPU, GPU
from pipelines.parts.tagging_data import add_tagging_data
from soundgate.pipeline import Pipeline
from steps.tagging.compare import compare
from steps.tagging.evaluate import evaluate
from steps.tagging.export import export
from steps.tagging.train import train

if TYPE_CHECKING:
    from soundgate.pipeline import Output, Task

WEIGHTS = "model.pretrained_weights"


def get_pipeline(p: TaggingParameters) -> Pipeline:
    """Describe the pipeline; nothing runs until an executor renders and submits it."""
    tagging = Pipeline("tagging", description="Multi-label tagging with gates on F1 and the like")
    data = add_tagging_data(tagging, p)
    weights = p.config.get(WEIGHTS)
    trained = tagging.add(
        train,
        waveforms=data.waveforms,
        config=p.config.only("general", "audio_transform", "model", "augmentation", "training"),
        # an artifact: other weights at the same path are noticed
        pretrained=tagging.file(weights) if isinstance(weights, str) else None,
        epochs=p.epochs,
        log_metrics=parameters.TRAINING_METRICS,
        after=[data.accepted],
        resources=GPU,
    )
    exported = tagging.add(
        export,
        waveforms=data.waveforms,
        model=trained["model"],
        config=p.config.only("general", "dataset", "quantization"),
        calibration=release.calibration(tagging, p.config),
        resources=CPU,
    )["exported"]
    scored = tagging.add(
        evaluate,
        waveforms=data.waveforms,
        model=trained["model"],
        exported=exported,
        **release.judging(p.config),
        resources=CPU,
    )
    model = release.Trained(
        card=data.collected["card"],
        clips=data.collected["clips"],
        model=trained["model"],
        exported=exported,
        report=scored["report"],
        metrics=trained["metrics"],
    )
    comparison = _comparison(tagging, p, model, data.waveforms)
    gates = _gates(tagging, p, scored["report"], comparison)
    release.add_candidate(tagging, p, model, comparison, gates)
    return tagging


def _comparison(
    tagging: Pipeline, p: TaggingParameters, model: release.Trained, waveforms: Output
) -> Output:
    compared = tagging.add(
        compare,
        waveforms=waveforms,
        clips=model.clips,
        report=model.report,
        model=model.model,
        champion=release.add_champion(tagging, p),
        **release.judging(p.config),
        resources=CPU,
    )
    return compared["comparison"]


def _gates(
    tagging: Pipeline, p: TaggingParameters, report: Output, comparison: Output
) -> list[Task]:
    wanted = [
        release.Wanted(report, parameters.metric_of(name), bound)
        for name, bound in (
            ("macro_f1", p.q_macro_f1_threshold),
            ("mean_average_precision", p.q_mean_average_precision_threshold),
        )
    ]
    wanted += release.champion_gates(
        p,
        comparison,
        gain=parameters.MACRO_F1_GAIN,
        gain_low=parameters.MACRO_F1_GAIN_LOW,
    )
    gates = release.add_gates(tagging, p, wanted)
    for asked in map(parameters.read_gate, p.gates):
        gates.append(
            tagging.gate(
                report,
                metric=asked.metric,
                at_least=None if asked.at_most else asked.bound,
                at_most=asked.bound if asked.at_most else None,
                advisory=p.advisory_gates,
            )
        )
    return gates
