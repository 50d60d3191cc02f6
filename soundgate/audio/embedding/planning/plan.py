"""A data set to a plan: tracks are put on sides, cut, counted out, and divided into shards."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from soundgate.audio.embedding.planning import filling, leakage, sides
from soundgate.audio.embedding.planning.tracks import read_tracks
from soundgate.audio.formats.embeddings.segments import SPLITS, RecordsFile, write_records

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from soundgate.audio.config.sec import SecConfig
    from soundgate.audio.embedding.planning.tracks import Track
    from soundgate.audio.formats.embeddings.segments import Segment


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What of a data set is planned, beside what the user config says."""

    cut_s: float
    """Length of segments, seconds."""
    shards: int
    audio_format: str = ""
    """Extension of the files that are used; empty: all."""
    test_fold: int = 1
    workers: int = 1


def plan(clips: Path, config: SecConfig, asked: Asked, into: Path) -> RecordsFile:
    """Plan the segments of a data set, and write them as a ``records/`` folder.

    The same data set, config and ``asked`` give the same bytes on every machine; more tracks leave
    the ids of the others as they are.

    Raises:
        DataError: the data set lacks a class or recordings for a side, a file cannot be read, or
            splits share recordings.
    """
    tracks = read_tracks(
        clips, config.classes, audio_format=asked.audio_format, workers=asked.workers
    )
    planned = list(_segments(tracks, config, asked))
    found = leakage.leakage_of(planned)
    print(leakage.check(found, config.split_by))
    about = RecordsFile(
        classes=config.classes or tuple(sorted({track.class_name for track in tracks})),
        counts=_counts(planned),
        shards=asked.shards,
        window_s=asked.cut_s,
        split_by=config.split_by,
        noise_perc=config.noise_perc,
        seed=config.seed,
        leakage=found,
    )
    write_records(into, about, filling.shard_of(planned, asked.shards))
    return about


def _segments(tracks: Sequence[Track], config: SecConfig, asked: Asked) -> list[Segment]:
    window_ms = round(asked.cut_s * 1000)
    if config.split_by == "count":
        return list(filling.by_count(tracks, window_ms, config))
    if config.split_by == "track":
        put = sides.by_recording(tracks, config.sizes, window_ms, config.seed)
    else:
        put = sides.by_data_set(tracks, config.sizes, window_ms, config.seed, asked.test_fold)
    return list(filling.by_side(tracks, put, window_ms, config))


def _counts(segments: Sequence[Segment]) -> dict[str, dict[str, int]]:
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for segment in segments:
        counts[segment.split][segment.class_name] += 1
    return {split: dict(sorted(counts[split].items())) for split in SPLITS if split in counts}
