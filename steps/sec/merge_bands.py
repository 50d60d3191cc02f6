"""Unite the levels of all shards in bands of one fraction of an octave.

Reads   records/      the plan
        shards/       levels of each shard
        embeddings/   of every segment (optional: for the HDF5 files)
Writes  bands/        bands.parquet, bands.json: every planned segment once
        hdf5/         one file a class and split, and one a split, in the layout of SEC_pipeline;
                      empty where there are no embeddings
"""

from __future__ import annotations

from soundgate.step import InputPath, InputPaths, OutputPath, main


def merge_bands(
    records: InputPath,
    shards: InputPaths,
    bands: OutputPath,
    hdf5: OutputPath,
    embeddings: InputPath | None = None,
    *,
    octave: int,
    audio_format: str = "wav",
) -> None:
    """Write the levels of the corpus; say how many there are.

    Args:
        records: the plan.
        shards: levels of each shard.
        config: the user config.
        bands: the corpus's.
        hdf5: files of both.
        embeddings: the corpus's; None: no such files.
        octave: bands an octave, as the shards have them.
        audio_format: what the files' names say of the audio.
    """
    from soundgate.audio.embedding.bands import merge_shards
    from soundgate.audio.formats.embeddings import hdf5 as files
    from soundgate.audio.formats.embeddings.levels import read_levels
    from soundgate.audio.formats.embeddings.segments import read_records
    from soundgate.audio.formats.embeddings.vectors import read_embeddings

    read = read_records(records)
    count = merge_shards(shards, read, octave, bands)
    if embeddings is not None:
        files.write(hdf5, read_embeddings(embeddings), read_levels(bands), read.about, audio_format)
    found = read_levels(bands).about
    print(f"{count} segments in {len(found.mid_hz)} bands of 1/{found.bands_per_octave} octave")


if __name__ == "__main__":
    main(merge_bands)
