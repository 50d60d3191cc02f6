"""How long units of work took: ``unit.json`` of each, and ``log.json`` and ``perf.txt`` of all.

``log.json`` has the shape that users of SEC_pipeline read: an entry ``(7, 'Birds')`` for each
class, with a number for each unit that held some of it. No result depends on it.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final, Literal

from soundgate.audio.formats.record import Record, read_record, write_object, write_record

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from soundgate.audio.config.sec import SecConfig
    from soundgate.audio.embedding.shards import Log
    from soundgate.audio.formats.embeddings.segments import RecordsFile

UNIT: Final = "unit.json"
LOG: Final = "log.json"
PERF: Final = "perf.txt"


class UnitLog(Record):
    """``unit.json``: what the last attempt of a unit did."""

    format: Literal["soundgate.unit_log/1"] = "soundgate.unit_log/1"
    shard: int
    seconds: dict[str, float]
    """By class; of the last attempt."""
    segments: dict[str, int]
    """By class, in the whole unit."""


def write_unit(folder: Path, log: Log, shard: int, classes: Sequence[str]) -> None:
    """Write ``unit.json``.

    Args:
        folder: made if missing.
        log: of the attempt that finished the unit.
        shard: number of the unit.
        classes: of every segment of the unit.
    """
    folder.mkdir(parents=True, exist_ok=True)
    counts: defaultdict[str, int] = defaultdict(int)
    for name in classes:
        counts[name] += 1
    seconds = {name: round(log.seconds[name], 3) for name in counts}
    write_record(folder / UNIT, UnitLog(shard=shard, seconds=seconds, segments=dict(counts)))


def rate(log: Log) -> str:
    """How fast an attempt was, in words."""
    count, seconds = sum(log.segments.values()), sum(log.seconds.values())
    return f"{count} now, {count / seconds:.1f} a second" if seconds else "all of them before"


def write_log(
    units: Sequence[Path],
    about: RecordsFile,
    config: SecConfig,
    into: Path,
    audio_format: str = "",
) -> None:
    """Write ``log.json`` and ``perf.txt`` of all units.

    Args:
        units: folders of ``unit.json``.
        about: the plan.
        config: the user config.
        into: made if missing.
        audio_format: of the corpus; empty: any.

    Raises:
        DataError: a unit's file is damaged.
    """
    into.mkdir(parents=True, exist_ok=True)
    read = [read_record(unit / UNIT, UnitLog, remedy="embed again") for unit in units]
    read.sort(key=lambda unit: unit.shard)
    cut = int(about.window_s) if about.window_s.is_integer() else about.window_s
    entries: dict[str, Any] = {"config": _config(config, about, audio_format)}
    lines = []
    for name in about.classes:
        own = [unit for unit in read if name in unit.segments]
        entries[str((cut, name))] = {
            "process_time": [unit.seconds[name] for unit in own],
            "n_embeddings_per_run": [unit.segments[name] for unit in own],
            "rank": [unit.shard for unit in own],
            "completed": True,
        }
        total = sum(unit.segments[name] for unit in own)
        spent = sum(unit.seconds[name] for unit in own) / max(total, 1)
        lines.append(f"{name} {cut}s | Total: {total} | Avg: {spent:.3f}s/audio\n")
    write_object(into / LOG, entries)
    (into / PERF).write_text("".join(lines), "utf-8", newline="\n")


def _config(config: SecConfig, about: RecordsFile, audio_format: str) -> dict[str, Any]:
    """The settings under the names that the file always had."""
    return {
        "rank": 0,
        "dirs": {},
        "audio": {
            "seed": config.seed,
            "noise_perc": config.noise_perc,
            "audio_format": audio_format,
        },
        "spectrogram": {"ref": config.ref, "center_freqs": None},
        "data": {**{f"{side}_size": size for side, size in config.sizes.items()}}
        | {"cut_secs": about.window_s, "classes": list(about.classes)},
    }
