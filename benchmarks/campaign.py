"""A campaign of 100,000 segments: its memory must not grow, and going on must begin at once.

    python -m benchmarks.campaign [--segments 100000] [--size 1024] [--seconds 120]

Prints, for a tenth of the segments and for all of them: seconds to plan, seconds until all units
of work know what an earlier attempt finished (every part of theirs is there), seconds to unite the
shards, and how much the peak memory of the process that unites them grew. Then the speed of
measuring 1/3 octave bands with 1, 2 and 4 threads.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile

from benchmarks.peak import peak_mb
from soundgate.audio.clips.manifest import Clip, write_manifest
from soundgate.audio.config.sec import parse_sec
from soundgate.audio.embedding import bands, embeddings
from soundgate.audio.embedding.planning import filling, leakage
from soundgate.audio.embedding.planning.plan import Asked, plan
from soundgate.audio.embedding.planning.tracks import Track
from soundgate.audio.embedding.shards import Parts, Unit
from soundgate.audio.formats.embeddings import keyed_rows, vectors
from soundgate.audio.formats.embeddings.segments import RecordsFile, read_records, write_records

if TYPE_CHECKING:
    from soundgate.audio.config.sec import SecConfig

SHARDS = 16
PART = 256


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--segments", type=int, default=100_000)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--seconds", type=float, default=120.0, help="sound to measure bands of")
    parser.add_argument("--unite", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.unite:
        unite(args.unite)
        return
    print("segments  plan s  resume scan s  unite s  memory grew MB")
    for count in (args.segments // 10, args.segments):
        with tempfile.TemporaryDirectory() as name:
            print(f"{count:8d}  {'  '.join(campaign(Path(name), count, args.size))}", flush=True)
    scaling(args.seconds)


def campaign(folder: Path, count: int, size: int) -> list[str]:
    """Plan, write the parts of every shard, look for them again, and unite the shards."""
    begun = time.perf_counter()
    _plan(folder, count)
    planned_s = time.perf_counter() - begun
    records = read_records(folder / "records")
    used = vectors.EncoderUsed(
        name="random", digest="0" * 64, sample_rate_hz=44_100, embedding_size=size
    )
    random = np.random.default_rng(0)
    for shard in range(SHARDS):
        parts = Parts(folder / f"parts-{shard}", {"shard": shard}, PART)
        rows = records.shard(shard)
        for n in range(0, len(rows), PART):
            drawn = random.standard_normal((len(rows[n : n + PART]), size), np.float32)
            table = vectors.to_table(rows[n : n + PART], drawn)
            keyed_rows.write_sorted(parts.path(n // PART), table)
        sources = parts.paths(len(rows))
        vectors.merge_embeddings(sources, folder / f"shard-{shard}", used, records.about.classes)
    begun = time.perf_counter()
    for shard in range(SHARDS):
        rows = read_records(folder / "records").shard(shard)
        found = Parts(folder / f"parts-{shard}", {"shard": shard}, PART).finished
        assert found == -(-len(rows) // PART)
    scanned_s = time.perf_counter() - begun
    program = [sys.executable, "-m", "benchmarks.campaign", "--unite", str(folder)]
    done = subprocess.run(program, capture_output=True, text=True, check=True)
    return [f"{planned_s:6.1f}", f"{scanned_s:13.2f}", done.stdout.strip()]


def _plan(folder: Path, count: int) -> None:
    """A plan of tracks that need no files: 70 s each, 20 classes."""
    config = parse_sec("every_segment: true\nnoise_perc: 0.3", "benchmark")
    tracks = [
        Track(
            f"{n}", f"c{n % 20:02d}/{n}.wav", f"c{n % 20:02d}", "", 0, 70_000, None, None, n // 20
        )
        for n in range(count // 10)
    ]
    rows = list(filling.by_side(tracks, ["train"] * len(tracks), 7000, config))
    about = RecordsFile(
        classes=tuple(f"c{n:02d}" for n in range(20)),
        counts={},
        shards=SHARDS,
        window_s=7.0,
        split_by="track",
        noise_perc=0.3,
        seed=1,
        leakage=leakage.leakage_of(rows),
    )
    write_records(folder / "records", about, filling.shard_of(rows, SHARDS))


def unite(folder: Path) -> None:
    """Unite the shards; print the seconds, and what the peak of memory grew by, MB."""
    records = read_records(folder / "records")
    shards = [folder / f"shard-{n}" for n in range(SHARDS)]
    for _ in vectors.read_embeddings(shards[0]).batches(rows=1):
        break  # libraries are loaded now
    before = peak_mb()
    begun = time.perf_counter()
    embeddings.merge_shards(shards, records, folder / "all")
    seconds = time.perf_counter() - begun
    after = peak_mb()
    print(f"{seconds:7.1f}  {after - before:14.0f}")


def scaling(seconds: float) -> None:
    """Print segments a second of one shard with 1, 2 and 4 threads."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        listed = []
        for n in range(4):
            samples = np.random.default_rng(n).normal(0, 0.1, int(44_100 * seconds / 4))
            soundfile.write(folder / f"{n}.wav", samples, 44_100)
            listed.append(Clip(f"{n}.wav", ("noise",)))
        write_manifest(folder / "manifest.jsonl", listed)
        config = parse_sec("every_segment: true", "benchmark")
        plan(folder, config, Asked(cut_s=7.0, shards=1), folder / "records")
        _measure(folder, config, 1)  # compiles
        alone = 0.0
        for workers in (1, 2, 4):
            speed = _measure(folder, config, workers)
            alone = alone or speed
            print(f"1/3 octave, {workers} threads: {speed:.1f} segments/s, {speed / alone:.2f}x")


def _measure(folder: Path, config: SecConfig, workers: int) -> float:
    records = read_records(folder / "records")
    work = Unit(records=records, shard=0, audio=folder, config=config, workers=workers)
    begun = time.perf_counter()
    bands.measure_shard(work, 3, folder / f"bands-{workers}")
    return len(work.segments) / (time.perf_counter() - begun)


if __name__ == "__main__":
    main()
