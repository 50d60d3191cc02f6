"""Measure the levels of one shard's segments in fractional-octave bands.

Reads   records/   the plan
        clips/     the audio it names
        config     the user config: rate, reference, filling
Writes  bands/     bands.parquet, bands.json: this shard's segments

A killed attempt continues with the part it was at, and ends with the same bytes.
"""

from __future__ import annotations

from soundgate.step import CheckpointPath, InputPath, OutputPath, cpus, main


def bands(
    records: InputPath,
    clips: InputPath,
    config: InputPath,
    bands: OutputPath,  # the folder is named like what is in it
    checkpoints: CheckpointPath | None = None,
    *,
    shard: int,
    octave: int,
) -> None:
    """Write the levels of a shard; say how many there are.

    Args:
        records: the plan.
        clips: the data set.
        config: the user config.
        bands: the shard's levels.
        checkpoints: where a killed attempt left finished parts.
        shard: number of the shard, from 0.
        octave: bands an octave.
    """
    from soundgate.audio.config.sec import load_sec
    from soundgate.audio.embedding import journal
    from soundgate.audio.embedding.bands import measure_shard
    from soundgate.audio.embedding.shards import Unit
    from soundgate.audio.formats.embeddings.segments import read_records

    unit = Unit(
        records=read_records(records),
        shard=shard,
        audio=clips,
        config=load_sec(config),
        checkpoints=checkpoints,
        workers=cpus(),
    )
    done = measure_shard(unit, octave, bands)
    print(f"1/{octave} octave bands of {len(unit.segments)} segments: {journal.rate(done)}")


if __name__ == "__main__":
    main(bands)
