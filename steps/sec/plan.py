"""Plan which segments of a data set are embedded, and on which side each is.

Reads   clips/      manifest.jsonl and the audio it lists
        config      the user config: classes, sizes, splits, noise, seed
Writes  records/    records.parquet, records.json

Recordings on two sides end the task; where sides are filled by counts, they are told.
"""

from __future__ import annotations

from soundgate.step import InputPath, OutputPath, cpus, main


def plan(
    clips: InputPath,
    config: InputPath,
    records: OutputPath,
    *,
    cut_s: float,
    shards: int = 16,
    audio_format: str = "",
    test_fold: int = 1,
) -> None:
    """Write the plan; say how many segments of how many classes there are.

    Args:
        clips: the data set.
        config: the user config.
        records: the plan.
        cut_s: length of segments, seconds.
        shards: units of work.
        audio_format: extension of the files that are used; empty: all.
        test_fold: fold that is tested on, where the data set's folds divide it.
    """
    from soundgate.audio.config.sec import load_sec
    from soundgate.audio.embedding.planning import plan as planning

    asked = planning.Asked(
        cut_s=cut_s, shards=shards, audio_format=audio_format, test_fold=test_fold, workers=cpus()
    )
    about = planning.plan(clips, load_sec(config), asked, records)
    sides = {split: sum(found.values()) for split, found in about.counts.items()}
    print(
        f"{sum(sides.values())} segments of {cut_s:g} s in {len(about.classes)} classes: "
        + ", ".join(f"{count} {split}" for split, count in sides.items())
    )


if __name__ == "__main__":
    main(plan)
