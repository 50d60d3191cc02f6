"""Finding calls in long recordings: several detectors, tried with several windows, and compared.

collect-training ─▶ prepare ─▶ train ─▶ predict ─▶ evaluate ─▶ compare ─▶ gates ─▶ register
collect-benchmark ────────────────────┘ validate ┘ (CPU)           └─▶ review ─┘

``prepare`` runs for each data set, ``train`` for each variant; ``predict`` (over the benchmark),
``validate`` (over the recordings that thresholds are chosen on) and ``evaluate`` run for each
variant and window.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pipelines.parameters.spot import SpotParameters
from pipelines.parts import release
from pipelines.parts.resources import CPU, GPU
from pipelines.parts.spot_data import add_corpora, add_datasets, item_name
from pipelines.parts.spot_release import add_release
from soundgate.pipeline import Axis, Pipeline
from steps.spot.compare import compare
from steps.spot.evaluate import evaluate
from steps.spot.predict import predict
from steps.spot.train import train

if TYPE_CHECKING:
    from collections.abc import Mapping

    from soundgate.pipeline import MappedTask, Output

WEIGHTS = "model.pretrained_weights"


def get_pipeline(p: SpotParameters) -> Pipeline:
    """Describe the pipeline; nothing runs until an executor renders and submits it."""
    spot = Pipeline("spot", description="Detectors of calls, compared on a benchmark corpus")
    training, benchmark = add_corpora(spot, p)
    datasets = add_datasets(spot, p, training["corpus"])
    trained = _train(spot, p, datasets)
    evaluated = _evaluate(spot, p, trained, training["corpus"], benchmark["corpus"])
    compared = spot.add(
        compare,
        reports=evaluated["report"],
        models=trained["model"],
        histories=trained["metrics"],
        champion=release.add_champion(spot, p),
        resources=CPU,
    )
    add_release(spot, p, compared, training, benchmark["corpus"])
    return spot


def _train(spot: Pipeline, p: SpotParameters, datasets: Mapping[str, Output]) -> MappedTask:
    weights = p.config.get(WEIGHTS)
    variants = p.trained
    return spot.map(
        train,
        over=Axis(
            "variant",
            {
                item_name(name): {
                    "variant": name,
                    "dataset": datasets[variant.dataset],
                    "sequence_len": variant.sequence_len,
                    "n_fft": variant.n_fft,
                    "hop_length": variant.hop_length,
                    "settings": list(variant.settings),
                }
                for name, variant in variants.by_name.items()
            },
        ),
        config=p.config.only("general", "audio", "model", "augmentation", "training"),
        # an artifact: other weights at the same path are noticed
        pretrained=spot.file(weights) if isinstance(weights, str) else None,
        epochs=p.epochs,
        resources=replace(GPU, cpus=variants.cpus or GPU.cpus, hours=variants.hours or GPU.hours),
    )


def _evaluate(
    spot: Pipeline, p: SpotParameters, trained: MappedTask, corpus: Output, benchmark: Output
) -> MappedTask:
    """Scores of the benchmark and of what thresholds are chosen on, and what they are worth."""
    tried = p.benchmark
    windows = Axis(
        "window", {w.name: {"window_s": w.seq_len, "hop_s": w.hop} for w in tried.windows}
    )
    scoring: dict[str, Any] = {
        "over": [trained, windows],
        "model": trained["model"],
        "batch_size": p.config.get("general.batch_size") or 0,
        "downsample": bool(p.config.get("audio.downsample")),
        "resources": GPU,
    }
    predicted = spot.map(predict, corpus=benchmark, dataset=None, **scoring)
    validated = spot.map(predict, name="validate", corpus=corpus, **scoring)
    return spot.map(
        evaluate,
        over=predicted,
        scores=predicted["scores"],
        benchmark=benchmark,
        validation=validated["scores"],
        corpus=corpus,
        thresholds=list(tried.thresholds),
        iou=p.iou,
        collar_s=p.collar_s,
        merge_gap_s=p.merge_gap_s,
        postrf=p.postrf,
        confidence=p.config.get("evaluation.confidence"),
        resources=CPU,
    )
