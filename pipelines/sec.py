"""Embeddings and octave bands of whole corpora, by shards.

fetch ─▶ plan ─▶ embed (each shard) ─────────────▶ merge ─▶ merge-bands (each octave)
            └──▶ bands (each octave and shard) ───────────────┘

Embeddings do not depend on octaves: another one measures bands and embeds nothing again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pipelines.parameters.sec import SecParameters
from pipelines.parts.data import add_data
from pipelines.parts.resources import CPU, GPU
from soundgate.pipeline import Axis, Pipeline
from steps.sec.bands import bands
from steps.sec.embed import embed
from steps.sec.merge import merge
from steps.sec.merge_bands import merge_bands
from steps.sec.plan import plan

if TYPE_CHECKING:
    from soundgate.pipeline import Output, Task

PLANNED = (
    *("classes", "seed", "noise_perc", "noise_splits", "split_by", "every_segment"),
    *("train_size", "es_size", "valid_size", "test_size"),
)
"""Keys of the user config that say which segments there are, and what their noise is."""
HEARD = ("sampling_rate", "resample", "encoder")
"""Keys that say how segments are heard."""


def get_pipeline(p: SecParameters) -> Pipeline:
    """Describe the pipeline; nothing runs until an executor renders and submits it."""
    sec = Pipeline("sec", description="Embeddings and octave bands of whole corpora")
    fetched = add_data(sec, p)
    records = sec.add(
        plan,
        clips=fetched["clips"],
        config=p.config.only(*PLANNED),
        cut_s=p.cut,
        shards=p.shards,
        audio_format=p.audio_format,
        test_fold=p.test_fold or p.config.get("dataset.test_fold", 1),
        resources=CPU,
    )["records"]
    shards = Axis("shard", {f"{number:03d}": {"shard": number} for number in range(p.shards)})
    merged = _embed(sec, p, fetched["clips"], records, shards)
    if p.octaves:
        _measure(sec, p, fetched["clips"], records, shards, merged["embeddings"])
    return sec


def _embed(sec: Pipeline, p: SecParameters, clips: Output, records: Output, shards: Axis) -> Task:
    embedded = sec.map(
        embed,
        over=shards,
        records=records,
        clips=clips,
        config=p.config.only(*HEARD),
        # an artifact: other weights at the same path are noticed
        weights=sec.file(p.weights, name="weights") if p.weights else None,
        retries=1,
        resources=replace(GPU, cpus=4),
    )
    return sec.add(
        merge,
        records=records,
        shards=embedded["embeddings"],
        logs=embedded["log"],
        config=p.config.only(*PLANNED, *HEARD, "ref"),
        resources=CPU,
    )


def _measure(
    sec: Pipeline, p: SecParameters, clips: Output, records: Output, shards: Axis, embedded: Output
) -> None:
    octaves = Axis("octave", {str(n): {"octave": n} for n in p.octaves})
    measured = sec.map(
        bands,
        over=[octaves, shards],
        records=records,
        clips=clips,
        config=p.config.only(*HEARD, "ref"),
        retries=1,
        resources=CPU,
    )
    sec.map(
        merge_bands,
        name="merge-bands",
        over=octaves,
        records=records,
        shards=measured["bands"].by("octave"),
        embeddings=embedded if p.hdf5 else None,
        audio_format=p.audio_format or "wav",
        resources=CPU,
    )
