"""Embeddings and octave bands of whole corpora by shards, and classifiers on the embeddings.

fetch ─▶ plan ─▶ embed (each shard) ──▶ merge ─▶ train-head (each head) ─▶ choose ─▶ evaluate ─▶ ...
            │                             └────▶ merge-bands (each octave)
            └──▶ bands (each octave and shard) ──────┘

Embeddings do not depend on octaves: another one measures bands and embeds nothing again.
"""

from __future__ import annotations

from pipelines.parameters.sec import SecParameters
from pipelines.parts.data import add_data
from pipelines.parts.sec_embeddings import add_embeddings
from pipelines.parts.sec_heads import Embedded, add_heads
from soundgate.pipeline import Pipeline


def get_pipeline(p: SecParameters) -> Pipeline:
    """Describe the pipeline; nothing runs until an executor renders and submits it."""
    sec = Pipeline("sec", description="Embeddings of whole corpora, and classifiers on them")
    fetched = add_data(sec, p)
    embeddings = add_embeddings(sec, p, fetched["clips"])
    if p.heads:
        add_heads(sec, p, p.config, Embedded(embeddings, fetched["clips"], fetched["card"]))
    return sec
