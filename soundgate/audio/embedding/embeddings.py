"""A shard's segments to embeddings, and the embeddings of all shards to those of the corpus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from soundgate.audio.config.sec import check_rate
from soundgate.audio.embedding.engine import embed_records
from soundgate.audio.embedding.shards import Parts, kept_in
from soundgate.audio.embedding.windows import EmbeddingSettings, windows_of
from soundgate.audio.formats.embeddings import vectors
from soundgate.audio.formats.embeddings.vectors import EncoderUsed
from soundgate.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa

    from soundgate.audio.config.sec import SecConfig
    from soundgate.audio.embedding.shards import Log, Unit
    from soundgate.audio.embedding.windows import Samples
    from soundgate.audio.formats.embeddings.segments import Records, Segment
    from soundgate.audio.networks.encoders.interface import Encoder

PART_BATCHES: Final = 16
"""Batches of a part: what a killed attempt may lose."""


def embed_shard(unit: Unit, encoder: Encoder, into: Path) -> Log:
    """Embed the segments of a shard and write them as an ``embeddings/`` folder.

    Args:
        unit: the shard.
        encoder: what embeds.
        into: folder of the embeddings.

    Raises:
        ConfigError: the config asks for another rate than the encoder's.
        DataError: a file cannot be read, or an embedding is not finite.
    """
    try:
        check_rate(unit.config, encoder.sample_rate_hz)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    planned = unit.segments
    used = encoder_used(encoder, unit.config, unit.records.about.window_s)
    settings = _settings(unit.config, unit.workers)
    changes = unit.changes(encoder.sample_rate_hz)

    def change(record: object, samples: Samples) -> Samples:
        return changes(cast("Segment", record), samples)

    def compute(rows: Sequence[Segment]) -> Iterator[tuple[Segment, Any]]:
        made = embed_records(rows, unit.audio, encoder, settings, change=change)
        for row, embedded in zip(rows, made, strict=True):
            yield row, embedded.vector

    work = {"encoder": used.as_json(), **unit.depends_on(planned)}
    with kept_in(unit.checkpoints) as folder:
        held = Parts(folder, work, PART_BATCHES * settings.batch_size)
        log = held.fill(planned, compute, _table)
        vectors.merge_embeddings(held.paths(len(planned)), into, used, unit.records.about.classes)
    return log


def merge_shards(shards: Sequence[Path], records: Records, into: Path) -> int:
    """Unite the embeddings of all shards; return how many segments there are.

    Raises:
        DataError: shards were made by different encoders, or do not hold what was planned.
    """
    read = [vectors.read_embeddings(shard) for shard in shards]
    used = {each.about.encoder for each in read}
    if len(used) > 1:
        names = ", ".join(sorted(f"{each.name} {each.digest[:12]}" for each in used))
        raise DataError(f"shards were embedded by different encoders: {names}; embed again")
    tables = [each.folder / vectors.TABLE for each in read]
    count = vectors.merge_embeddings(tables, into, used.pop(), records.about.classes)
    planned = {each.record_id for each in records.segments()}
    check_complete(vectors.TABLE, count, planned, into / vectors.TABLE)
    return count


def check_complete(name: str, count: int, planned: set[str], table: Path) -> None:
    """Refuse rows that are not exactly those of the plan.

    Raises:
        DataError: some are missing, or of another plan.
    """
    import pyarrow.parquet as pq

    found = set(pq.read_table(table, columns=["record_id"])["record_id"].to_pylist())
    if missing := planned - found:
        raise DataError(
            f"{name}: {len(missing)} of {len(planned)} planned segments are missing, "
            f"{min(missing)} first; run the shards again"
        )
    if count != len(planned):
        raise DataError(f"{name}: holds {count} segments, {len(planned)} were planned")


def encoder_used(encoder: Encoder, config: SecConfig, segment_s: float) -> EncoderUsed:
    """What embeddings of segments of ``segment_s`` seconds say of their encoder."""
    windows = windows_of(_settings(config, 1), encoder)
    rate_hz = encoder.sample_rate_hz
    return EncoderUsed(
        name=encoder.name,
        digest=encoder.digest,
        sample_rate_hz=rate_hz,
        embedding_size=encoder.embedding_size,
        window_s=windows.size and windows.size / rate_hz,
        hop_s=windows.hop / rate_hz if windows.size else None,
        pooling=config.encoder.pooling,
        fill=config.encoder.fill,
        precision=config.encoder.precision,
        segment_s=segment_s,
    )


def _settings(config: SecConfig, workers: int) -> EmbeddingSettings:
    asked = config.encoder
    return EmbeddingSettings(
        window_s=asked.window_s,
        hop_s=asked.hop_s,
        pooling=asked.pooling,
        fill=asked.fill,
        batch_size=asked.batch_size,
        workers=workers,
    )


def _table(rows: Sequence[tuple[Segment, Any]]) -> pa.Table:
    return vectors.to_table([each for each, _ in rows], np.stack([vector for _, vector in rows]))
