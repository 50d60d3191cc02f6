"""The data part of the spotting pipeline: corpora through the store, data sets cut from one.

collect-training ─corpus─▶ prepare (each data set)
collect-benchmark ─corpus─▶
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.parameters.spot import SYNTHETIC
from pipelines.parts.resources import CPU
from soundgate.audio.datasets.synthetic.tapes.options import TapeOptions
from soundgate.pipeline import Axis, File
from steps.spot.collect import collect
from steps.spot.prepare import prepare

if TYPE_CHECKING:
    from pipelines.parameters.spot import SpotParameters
    from soundgate.pipeline import Output, Pipeline, Task


def add_corpora(spot: Pipeline, p: SpotParameters) -> tuple[Task, Task]:
    """Add the tasks that bring the corpora: to train on, and to compare detectors on.

    Their outputs are ``corpus`` and ``card``.
    """
    half = max(2, p.synthetic_tapes // 2)
    training = TapeOptions(
        tapes=p.synthetic_tapes, tape_s=p.synthetic_tape_s, seed=p.synthetic_seed
    )
    benchmark = TapeOptions(tapes=half, tape_s=p.synthetic_tape_s, seed=p.synthetic_seed + 1)
    return (
        _collect(spot, p, "training", training),
        _collect(spot, p, "benchmark", benchmark),
    )


def _collect(spot: Pipeline, p: SpotParameters, side: str, tapes: TapeOptions) -> Task:
    corpus: str = getattr(p, f"{side}_corpus")
    tables: list[str] = getattr(p, f"{side}_annotations")
    is_rendered = corpus == SYNTHETIC
    plan: dict[str, Any] = {
        "kind": "synthetic" if is_rendered else "folder",
        "name": f"synthetic-{tapes.seed}" if is_rendered else Path(corpus).absolute().name,
        "columns": dict(text.split("=", 1) for text in p.annotation_columns),
        "tapes": asdict(tapes),
    }
    return spot.add(
        collect,
        name=f"collect-{side}",
        plan=File("plan.json", text=json.dumps(plan, indent=1, ensure_ascii=False) + "\n"),
        folder=None if is_rendered else spot.file(corpus),
        annotations=[spot.file(table) for table in tables] or None,
        store=p.store,
        needs_network=True,
        retries=2,
        resources=CPU,
    )


def add_datasets(spot: Pipeline, p: SpotParameters, corpus: Output) -> dict[str, Output]:
    """Add a task for each data set that a variant is trained on; return them by strategy."""
    strategies = p.strategies.by_name
    names = list(dict.fromkeys(variant.dataset for variant in p.trained.by_name.values()))
    settings = {
        item_name(name): {
            "settings": File(
                "settings.json",
                text=json.dumps(
                    {
                        "name": name,
                        "strategy": strategies[name].as_json(),
                        "spectrograms": p.generate_spectrograms,
                    },
                    indent=1,
                    ensure_ascii=False,
                )
                + "\n",
            )
        }
        for name in names
    }
    prepared = spot.map(prepare, over=Axis("dataset", settings), corpus=corpus, resources=CPU)
    return dict(zip(names, prepared["dataset"].outputs, strict=True))


def item_name(name: str) -> str:
    """A name that can be part of a task's: ``random_nph_0-5`` of ``random_nph_0.5``."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", name)
