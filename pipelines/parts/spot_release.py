"""The release part of the spotting pipeline: the best detector becomes a candidate.

compare ─report, model─▶ gates ─▶ register
                    └─▶ review ─┘
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.parameters import spot as parameters
from pipelines.parts import release

if TYPE_CHECKING:
    from pipelines.parameters.spot import SpotParameters
    from soundgate.pipeline import Output, Pipeline, Task


def add_release(
    spot: Pipeline, p: SpotParameters, compared: Task, card: Output, benchmark: Output
) -> None:
    """Gates on the best detector; its page; its version in the registry."""
    best = release.Trained(
        card=card,
        clips=benchmark,
        model=compared["model"],
        exported=None,
        report=compared["report"],
        metrics=compared["metrics"],
    )
    wanted = [
        release.Wanted(best.report, parameters.metric_of("event_f1"), p.q_event_f1_threshold),
        release.Wanted(
            best.report, parameters.metric_of("event_f1", "low"), p.q_event_f1_low_threshold
        ),
    ]
    wanted += release.champion_gates(
        p,
        compared["comparison"],
        gain=parameters.EVENT_F1_GAIN,
        gain_low=parameters.EVENT_F1_GAIN_LOW,
    )
    gates = release.add_gates(spot, p, wanted)
    release.add_candidate(spot, p, best, compared["comparison"], gates)
