"""What cutting a data set for detectors costs, beside writing the same bytes from memory.

    python -m benchmarks.preparing [--clips N] [--rounds N]

Both write the same files into fresh folders, in turns; figures are medians. Only the ratio should
be compared between machines.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from soundgate.audio.datasets.corpora.preparing import prepare
from soundgate.audio.datasets.corpora.strategies import Strategy
from soundgate.audio.datasets.synthetic.tapes import rendering
from soundgate.audio.datasets.synthetic.tapes.options import TapeOptions

if TYPE_CHECKING:
    from collections.abc import Callable

TAPES = 10
CALLS_PER_MINUTE = 12.0


def timed(work: Callable[[Path], object], folder: Path) -> float:
    """Seconds of one go into an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    start = time.perf_counter()
    work(folder)
    return time.perf_counter() - start


def copies(contents: dict[str, bytes], folder: Path) -> None:
    """Write files that are in memory."""
    folder.mkdir()
    for name, content in contents.items():
        (folder / name).write_bytes(content)


def main() -> None:
    """Render a corpus, and print the two times and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    strategy = Strategy(clip_s=0.5)
    tape_s = args.clips / 2 / TAPES / CALLS_PER_MINUTE * 60
    with tempfile.TemporaryDirectory() as scratch:
        corpus, out = Path(scratch) / "corpus", Path(scratch) / "dataset"
        rendering.render(corpus, TapeOptions(tapes=TAPES, tape_s=tape_s))
        cut, plain = [], []
        for _ in range(args.rounds):
            cut.append(timed(lambda folder: prepare(corpus, folder, "a", strategy), out))
            contents = {path.name: path.read_bytes() for path in out.glob("*.wav")}
            plain.append(
                timed(lambda folder, held=contents: copies(held, folder), Path(scratch) / "plain")  # type: ignore[misc]
            )
    ours, least = statistics.median(cut), statistics.median(plain)
    print(
        f"preparing: {len(contents)} files cut, indexed and checked in {ours:.2f} s; the same "
        f"bytes written from memory in {least:.2f} s: {ours / least:.1f} times as long"
    )


if __name__ == "__main__":
    main()
