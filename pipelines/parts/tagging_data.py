"""The data part of a tagging pipeline: clips come through the store and are decoded.

collect | fetch ─clips, card─▶ prepare ─waveforms, inspection─▶ accept
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.parts.data import add_data
from pipelines.parts.resources import CHECK, CPU
from soundgate.audio.datasets.layouts.declaration import declare
from soundgate.pipeline import File
from steps.accept import accept
from steps.tagging.collect import collect
from steps.tagging.prepare import prepare

if TYPE_CHECKING:
    from pipelines.parameters.tagging_data import TaggingDataParameters
    from soundgate.pipeline import Output, Pipeline, Task


@dataclass(frozen=True, slots=True)
class TaggingData:
    """What the tasks after it need."""

    collected: Task
    """Its outputs are ``clips`` and ``card``."""
    waveforms: Output
    accepted: Task
    """Nothing may be trained before it has passed."""


def add_tagging_data(pipeline: Pipeline, p: TaggingDataParameters) -> TaggingData:
    """Add the tasks that bring the clips, decode and divide them, and judge what was found.

    Raises:
        ParameterError: no data are named, or a path does not exist.
        DataError: a table names audio that is not there.
    """
    collected = _collect(pipeline, p) if p.train_paths else add_data(pipeline, p)
    prepared = pipeline.add(
        prepare,
        clips=collected["clips"],
        settings=File("settings.json", text=_settings(p)),
        resources=CPU,
    )
    accepted = pipeline.add(accept, inspection=prepared["inspection"], resources=CHECK)
    return TaggingData(collected, prepared["waveforms"], accepted)


def _collect(pipeline: Pipeline, p: TaggingDataParameters) -> Task:
    declared = declare(p.layouts, p.train_override_csvs)
    return pipeline.add(
        collect,
        sources={name: pipeline.file(path) for name, path in declared.files.items()},
        plan=File("plan.json", text=declared.plan(p.labels)),
        store=p.store,
        needs_network=True,
        retries=2,
        resources=CPU,
    )


def _settings(p: TaggingDataParameters) -> str:
    """What ``steps.tagging.prepare`` is told: a file, since engines cut long arguments."""
    settings: dict[str, Any] = {
        "sample_rate_hz": p.sampling_rate,
        "longest_s": p.longest_s,
        "labels": list(p.labels),
        "validation_split": p.validation_split,
        "n_folds": p.n_folds,
        "test_fold": p.test_fold or 1,
        "seed": p.split_seed,
        "dataset_fraction": p.dataset_fraction,
        "quick": p.quick,
        "inspection": p.config.get("inspection", {}),
    }
    return json.dumps(settings, indent=1, ensure_ascii=False) + "\n"
