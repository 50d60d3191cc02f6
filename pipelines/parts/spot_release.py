"""The release part of the spotting pipeline: the best detector becomes a candidate.

compare ─report, model─▶ gates ─▶ register
                    ├─▶ review ─┤
                    └─▶ export ─┘
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.parameters import spot as parameters
from pipelines.parameters.release import metric_of
from pipelines.parts import release
from pipelines.parts.resources import CPU
from steps.spot.export import export

if TYPE_CHECKING:
    from pipelines.parameters.spot import SpotParameters
    from soundgate.pipeline import Output, Pipeline, Task


def add_release(
    spot: Pipeline, p: SpotParameters, compared: Task, training: Task, benchmark: Output
) -> None:
    """Gates on the best detector; its page and its programs; its version in the registry."""
    best = release.Trained(
        card=training["card"],
        clips=benchmark,
        model=compared["model"],
        exported=_export(spot, p, compared["model"], training["corpus"]),
        report=compared["report"],
        metrics=compared["metrics"],
    )
    wanted = [
        release.Wanted(best.report, metric_of("event_f1"), p.q_event_f1_threshold),
        release.Wanted(best.report, metric_of("event_f1", "low"), p.q_event_f1_low_threshold),
    ]
    wanted += release.champion_gates(
        p,
        compared["comparison"],
        gain=parameters.EVENT_F1_GAIN,
        gain_low=parameters.EVENT_F1_GAIN_LOW,
    )
    gates = release.add_gates(spot, p, wanted)
    release.add_candidate(spot, p, best, compared["comparison"], gates)


def _export(spot: Pipeline, p: SpotParameters, model: Output, corpus: Output) -> Output | None:
    """Programs of the best detector; their int8 network is calibrated with what it learnt from."""
    if not p.export:
        return None
    exported = spot.add(
        export,
        model=model,
        corpus=corpus,
        config=p.config.only("general", "quantization"),
        resources=CPU,
    )
    return exported["exported"]
