"""Embed the segments of one shard.

Reads   records/      the plan
        clips/        the audio it names
        config        the user config: encoder, filling
        weights       of the encoder, a file or a folder (optional: a package has its own)
Writes  embeddings/   embeddings.parquet, embeddings.json: this shard's segments
        log/          unit.json: seconds and segments by class

A killed attempt continues with the part it was at, and ends with the same bytes.
"""

from __future__ import annotations

from soundgate.step import CheckpointPath, InputPath, OutputPath, cpus, main


def embed(
    records: InputPath,
    clips: InputPath,
    config: InputPath,
    embeddings: OutputPath,
    log: OutputPath,
    weights: InputPath | None = None,
    checkpoints: CheckpointPath | None = None,
    *,
    shard: int,
) -> None:
    """Write the embeddings of a shard; say how many there are.

    Args:
        records: the plan.
        clips: the data set.
        config: the user config.
        embeddings: the shard's.
        log: of this attempt.
        weights: of the encoder.
        checkpoints: where a killed attempt left finished parts.
        shard: number of the shard, from 0.
    """
    from soundgate.audio.config.sec import load_sec
    from soundgate.audio.embedding import journal
    from soundgate.audio.embedding.embeddings import embed_shard
    from soundgate.audio.embedding.encoder import load
    from soundgate.audio.embedding.shards import Unit
    from soundgate.audio.formats.embeddings.segments import read_records

    settings = load_sec(config)
    unit = Unit(
        records=read_records(records),
        shard=shard,
        audio=clips,
        config=settings,
        checkpoints=checkpoints,
        workers=cpus(),
    )
    encoder = load(settings, weights)
    done = embed_shard(unit, encoder, embeddings)
    journal.write_unit(log, done, shard, [each.class_name for each in unit.segments])
    print(f"{len(unit.segments)} segments embedded by {encoder.name}: {journal.rate(done)}")


if __name__ == "__main__":
    main(embed)
