"""Memory of preprocessing must not grow with the number of clips.

    python -m benchmarks.memory

Peak resident memory of a process that computes the features of N clips of one second, above what
its imports take.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.peak import peak_mb

RATE_HZ = 16_000


def make_clips(folder: Path, count: int) -> None:
    """Write ``count`` clips of two classes; only ten of them differ, the rest are links."""
    from soundgate.audio.datasets import prepare
    from soundgate.audio.datasets.base import Source

    raw = folder / "raw"
    for k in range(count):
        path = raw / ("dog", "rain")[k % 2] / f"{k:06d}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        if k < 10:
            wave = 0.1 * np.random.default_rng(k).standard_normal(RATE_HZ)
            soundfile.write(path, wave, RATE_HZ)
        else:
            os.link(raw / ("dog", "rain")[k % 2] / f"{k % 10:06d}.wav", path)
    prepare("folder", [Source(raw)], folder / "clips")


def extract(folder: Path) -> None:
    """Compute the features; print the growth of the peak in MB. Run in a process of its own."""
    from soundgate.audio.config import UserConfig
    from soundgate.audio.extraction.log_mel import extract

    before = peak_mb()
    extract(folder / "clips", folder / "features", UserConfig(), workers=2)
    after = peak_mb()
    print(f"grew {after - before:.1f}")


def main(argv: list[str] | None = None) -> None:
    """Compare a set with one ten times as large."""
    parser = argparse.ArgumentParser(description="memory of preprocessing")
    parser.add_argument("--counts", type=int, nargs="+", default=[500, 5000])
    parser.add_argument("--extract", type=Path, help="used by the benchmark itself")
    arguments = parser.parse_args(argv)
    if arguments.extract:
        extract(arguments.extract)
        return
    print("\npreprocessing: peak memory above the imports")
    for count in arguments.counts:
        with tempfile.TemporaryDirectory() as place:
            make_clips(Path(place), count)
            command = [sys.executable, "-m", "benchmarks.memory", "--extract", place]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            print(f"{count:6d} clips {done.stdout.split()[-1]:>8} MB")


if __name__ == "__main__":
    main()
