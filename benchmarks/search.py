"""How fast the nearest of many embeddings are found, and how many of them are the nearest.

    python -m benchmarks.search [--count 1000000] [--size 1024] [--queries 50] [--folder DIR]

Made-up embeddings: 2000 clusters of 48 dimensions, turned into ``size`` numbers, and noise. They
are written as an ``embeddings/`` folder, of which the index is made with all cores; queries run one
after another on one thread. Recall is of the ten nearest that scanning finds. ``search-audio`` adds
the time of the encoder. Peers were compared once: docs/adr/0033-faiss-finds-neighbours.md.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.peak import peak_mb

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from soundgate.audio.formats.embeddings.segments import Segment

    Vectors = NDArray[np.float32]

CLUSTERS, DIMENSIONS, BLOCK = 2000, 48, 8192


def made_up(count: int, size: int, seed: int) -> Iterator[Vectors]:
    """Embeddings float32 (row, size), some at a time."""
    import numpy as np

    shared, random = np.random.default_rng(0), np.random.default_rng(seed)
    centres = shared.standard_normal((CLUSTERS, DIMENSIONS), np.float32)
    turned = shared.standard_normal((DIMENSIONS, size), np.float32)
    for first in range(0, count, BLOCK):
        rows = min(BLOCK, count - first)
        points = centres[random.integers(0, CLUSTERS, rows)]
        points = points + 0.5 * random.standard_normal((rows, DIMENSIONS), np.float32)
        yield points @ turned + random.standard_normal((rows, size), np.float32)


def segments(first: int, rows: int) -> list[Segment]:
    """Segments with ids in the order of their numbers, four a recording."""
    from soundgate.audio.formats.embeddings.segments import Segment

    return [
        Segment(
            record_id=f"{number:024x}",
            track_id=f"{number // 4}",
            class_name="sound",
            subclass="",
            path=f"{number // 4}.wav",
            split="train",
            start_s=float(number % 4),
            duration_s=1.0,
            round=1,
            noise=False,
            track=number // 4,
            bucket=number % 4,
            number=number,
        )
        for number in range(first, first + rows)
    ]


def write(folder: Path, count: int, size: int) -> None:
    """Write the folder of embeddings, a block at a time."""
    from soundgate.audio.formats.embeddings import keyed_rows, vectors

    used = vectors.EncoderUsed(
        name="made-up", digest="0" * 64, sample_rate_hz=16_000, embedding_size=size
    )
    with keyed_rows.SortedWriter(folder / vectors.TABLE, vectors.schema(size)) as out:
        for number, block in enumerate(made_up(count, size, 1)):
            out.add(vectors.to_table(segments(number * BLOCK, len(block)), block))
    vectors.write_about(folder, used, ["sound"])


def rss_gb() -> float:
    """Most memory that the process has held."""
    return peak_mb() / 1024


def measure(folder: Path, count: int, size: int, queries: int) -> None:
    """Print the figures."""
    from soundgate.audio.embedding.search.finding import find
    from soundgate.audio.embedding.search.index import FILE, Index, build, library
    from soundgate.audio.embedding.search.scanning import scan
    from soundgate.audio.formats.embeddings.vectors import TABLE, read_embeddings

    begun = time.perf_counter()
    write(folder / "embeddings", count, size)
    read = read_embeddings(folder / "embeddings")
    on_disk = (read.folder / TABLE).stat().st_size / 1e6
    print(f"{count} embeddings of {size}: written in {time.perf_counter() - begun:.0f} s")
    print(f"embeddings.parquet {on_disk:.0f} MB, memory so far {rss_gb():.1f} GB", flush=True)
    begun, cores = time.perf_counter(), len(os.sched_getaffinity(0))
    about = build(read, folder / "index", threads=cores)
    took, index_mb = time.perf_counter() - begun, (folder / "index" / FILE).stat().st_size / 1e6
    print(
        f"index: {took:.0f} s on {cores} cores, {about.cells} cells, {index_mb:.0f} MB", flush=True
    )
    print(f"memory so far {rss_gb():.1f} GB", flush=True)
    library().omp_set_num_threads(1)
    begun = time.perf_counter()
    index = Index(folder / "index", read)
    print(
        f"opened in {time.perf_counter() - begun:.2f} s (the digest of the embeddings is checked)"
    )
    wanted = next(made_up(queries, size, 2))
    took_ms, whole_ms, scanned_s, hits = [], [], [], 0
    for number, vector in enumerate(wanted):
        begun = time.perf_counter()
        near = index.near(vector, 10)
        took_ms.append((time.perf_counter() - begun) * 1e3)
        begun = time.perf_counter()
        find(read, vector[None], 10, index=index)
        whole_ms.append((time.perf_counter() - begun) * 1e3)
        if number < max(3, queries // 10):  # scanning takes long
            begun = time.perf_counter()
            (exact,) = scan(read, vector[None], 10)
            scanned_s.append(time.perf_counter() - begun)
            hits += len({*near.places.tolist()} & {*exact.places.tolist()})
    middle, whole = statistics.median(took_ms), statistics.median(whole_ms)
    print(f"index: first {took_ms[0]:.1f} ms, median {middle:.2f} ms", end="; ")
    print(f"with the rows of ten recordings {whole:.0f} ms", end="; ")
    print(f"recall of ten {hits / (10 * len(scanned_s)):.3f}")
    print(f"scanning: median {statistics.median(scanned_s):.2f} s; memory {rss_gb():.1f} GB")


def main() -> None:
    """Run it in a folder that is removed afterwards."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--queries", type=int, default=50)
    parser.add_argument("--folder", type=Path, help="where it is written; default: of the system")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=args.folder))
    try:
        measure(folder, args.count, args.size, args.queries)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
