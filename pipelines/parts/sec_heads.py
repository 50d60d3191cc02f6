"""The last part of the sec pipeline: heads on embeddings, the best of which becomes a candidate.

train-head (each head) ─▶ choose ─▶ evaluate ─▶ compare ─▶ gates ─▶ register
                                             └──▶ review ─┘
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.parameters import sec_heads as parameters
from pipelines.parts import release
from pipelines.parts.resources import CPU
from soundgate.pipeline import Axis
from steps.sec.choose import choose
from steps.sec.compare import compare
from steps.sec.evaluate import evaluate
from steps.sec.train_head import train_head

if TYPE_CHECKING:
    from pipelines.parameters.sec_heads import SecHeadParameters
    from soundgate.parameters import ConfigFile
    from soundgate.pipeline import Output, Pipeline, Task

TRAINING = ("epochs", "patience", "batch_size", "seed")
"""Keys of the user config that a training takes."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """What heads are trained on, and what reviewers hear and read of it."""

    embeddings: Output
    clips: Output
    """Folder that paths of segments are relative to."""
    card: Output


def add_heads(sec: Pipeline, p: SecHeadParameters, config: ConfigFile, data: Embedded) -> Task:
    """Add every task from the training of heads to the registration of the best; return it."""
    chosen = _choose(sec, p, config, data.embeddings)
    confidence: Any = config.get("evaluation.confidence")
    evaluated = sec.add(
        evaluate,
        embeddings=data.embeddings,
        model=chosen["model"],
        leaderboard=chosen["leaderboard"],
        **_tower(sec, p, config),
        confidence=confidence,
        resources=CPU,
    )
    compared = sec.add(
        compare,
        embeddings=data.embeddings,
        report=evaluated["report"],
        model=chosen["model"],
        champion=release.add_champion(sec, p),
        confidence=confidence,
        resources=CPU,
    )
    best = release.Trained(
        card=data.card,
        clips=data.clips,
        model=chosen["model"],
        exported=None,
        report=evaluated["report"],
        metrics=chosen["metrics"],
    )
    gates = _gates(sec, p, best.report, compared["comparison"])
    return release.add_candidate(sec, p, best, compared["comparison"], gates)


def _choose(sec: Pipeline, p: SecHeadParameters, config: ConfigFile, embeddings: Output) -> Task:
    training: dict[str, Any] = {key: config.get(key) for key in TRAINING}
    heads = {
        name: {"variant": name, "head": head.kind, "settings": list(head.settings)}
        for name, head in p.tried.items()
    }
    trained = sec.map(
        train_head,
        name="train-head",
        over=Axis("head", heads),
        embeddings=embeddings,
        **training,
        resources=CPU,
    )
    return sec.add(
        choose,
        embeddings=embeddings,
        models=trained["model"],
        histories=trained["metrics"],
        resources=CPU,
    )


def _tower(sec: Pipeline, p: SecHeadParameters, config: ConfigFile) -> dict[str, Any]:
    """What the zero-shot baseline needs, where the config names a text tower."""
    weights, text = config.get("encoder.path"), config.get("encoder.text_path")
    if not (weights and text):
        return {}
    files = {"weights": weights, "text": text}
    named = {name: sec.file(str(path), name=name) for name, path in files.items()}
    return {**named, "prompt": p.prompt}


def _gates(sec: Pipeline, p: SecHeadParameters, report: Output, comparison: Output) -> list[Task]:
    wanted = [
        release.Wanted(report, parameters.CLIP_ACCURACY, p.q_clip_level_acc_threshold),
        release.Wanted(report, parameters.MACRO_F05, p.q_macro_f05_threshold),
        *release.champion_gates(
            p,
            comparison,
            gain=parameters.CLIP_ACCURACY_GAIN,
            gain_low=parameters.CLIP_ACCURACY_GAIN_LOW,
        ),
    ]
    return release.add_gates(sec, p, wanted)
