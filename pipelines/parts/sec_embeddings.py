"""The first part of the sec pipeline: a corpus is planned, embedded and measured by shards.

plan ─▶ embed (each shard) ─────────────▶ merge ─▶ merge-bands (each octave)
   └──▶ bands (each octave and shard) ───────────────┘
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pipelines.parts.resources import CPU, GPU
from soundgate.pipeline import Axis
from steps.sec.bands import bands
from steps.sec.embed import embed
from steps.sec.merge import merge
from steps.sec.merge_bands import merge_bands
from steps.sec.plan import plan

if TYPE_CHECKING:
    from pipelines.parameters.sec import SecParameters
    from soundgate.pipeline import Output, Pipeline, Task

PLANNED = (
    *("classes", "seed", "noise_perc", "noise_splits", "split_by", "every_segment"),
    *("train_size", "es_size", "valid_size", "test_size"),
)
"""Keys of the user config that say which segments there are, and what their noise is."""
HEARD = ("sampling_rate", "resample", "encoder")
"""Keys that say how segments are heard."""


def add_embeddings(sec: Pipeline, p: SecParameters, clips: Output) -> Output:
    """Add every task from the plan to the merged embeddings and bands; return the embeddings."""
    records = sec.add(
        plan,
        clips=clips,
        config=p.config.only(*PLANNED),
        cut_s=p.cut,
        shards=p.shards,
        audio_format=p.audio_format,
        test_fold=p.test_fold or p.config.get("dataset.test_fold", 1),
        resources=CPU,
    )["records"]
    shards = Axis("shard", {f"{number:03d}": {"shard": number} for number in range(p.shards)})
    merged = _embed(sec, p, clips, records, shards)
    if p.octaves:
        _measure(sec, p, {"records": records, "clips": clips}, shards, merged["embeddings"])
    return merged["embeddings"]


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
        resources=replace(GPU, cpus=4, hours=p.hours),
    )
    return sec.add(
        merge,
        records=records,
        shards=embedded["embeddings"],
        logs=embedded["log"],
        config=p.config.only(*PLANNED, *HEARD, "ref"),
        audio_format=p.audio_format,
        resources=CPU,
    )


def _measure(
    sec: Pipeline, p: SecParameters, read: dict[str, Output], shards: Axis, embedded: Output
) -> None:
    octaves = Axis("octave", {str(n): {"octave": n} for n in p.octaves})
    measured = sec.map(
        bands,
        over=[octaves, shards],
        records=read["records"],
        clips=read["clips"],
        config=p.config.only(*HEARD, "ref"),
        retries=1,
        resources=CPU,
    )
    sec.map(
        merge_bands,
        name="merge-bands",
        over=octaves,
        records=read["records"],
        shards=measured["bands"].by("octave"),
        embeddings=embedded if p.hdf5 else None,
        audio_format=p.audio_format or "wav",
        resources=CPU,
    )
