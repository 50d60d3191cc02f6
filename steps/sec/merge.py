"""Unite the embeddings of all shards.

Reads   records/      the plan
        shards/       embeddings of each shard
        logs/         unit.json of each shard
        config        the user config
Writes  embeddings/   embeddings.parquet, embeddings.json: every planned segment once
        log/          log.json, perf.txt: seconds and segments by class

A union of sets: a shard that was made twice adds nothing. A segment that is missing, or rows of one
segment that differ, end the task.
"""

from __future__ import annotations

from soundgate.step import InputPath, InputPaths, OutputPath, main


def merge(
    records: InputPath,
    shards: InputPaths,
    logs: InputPaths,
    config: InputPath,
    embeddings: OutputPath,
    log: OutputPath,
    *,
    audio_format: str = "",
) -> None:
    """Write the embeddings of the corpus; say how many there are.

    Args:
        records: the plan.
        shards: embeddings of each shard.
        logs: of each shard.
        config: the user config.
        embeddings: the corpus's.
        log: of all shards.
        audio_format: extension of the files that were embedded; empty: all.
    """
    from soundgate.audio.config.sec import load_sec
    from soundgate.audio.embedding import journal
    from soundgate.audio.embedding.embeddings import merge_shards
    from soundgate.audio.formats.embeddings.segments import read_records

    read = read_records(records)
    count = merge_shards(shards, read, embeddings)
    journal.write_log(logs, read.about, load_sec(config), log, audio_format)
    print(f"{count} embeddings of {len(read.about.classes)} classes")


if __name__ == "__main__":
    main(merge)
