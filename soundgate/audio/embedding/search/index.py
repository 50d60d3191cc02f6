"""An index of embeddings: a folder that finds the nearest of millions in milliseconds.

    index.faiss    cells of neighbouring embeddings (an inverted file), each number in 8 bits
    index.json     of which embeddings, and how it is searched

It is read from disk as far as a search needs it (memory-mapped). What it finds are the nearest but
for a share that ``benchmarks/search.py`` measures.
"""

from __future__ import annotations

import hashlib
import importlib
import math
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from soundgate.audio.embedding.search.scanning import Near, unit
from soundgate.audio.files.digests import sha256_of
from soundgate.audio.formats.embeddings.vectors import ABOUT, TABLE
from soundgate.audio.formats.record import Record, read_record, write_record
from soundgate.errors import DataError, MissingExtra, unreadable

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from soundgate.audio.formats.embeddings.vectors import Embeddings

FORMAT: Final = "soundgate.search_index/1"
FILE: Final = "index.faiss"
DESCRIPTION: Final = "index.json"
REMEDY: Final = "delete the folder, so that the index is made again"

LEARNT_FROM: Final = 40
"""Embeddings a cell that cells are learnt from."""
PROBES: Final = 16
"""Cells that are searched."""


class IndexFile(Record):
    """``index.json``."""

    format: Literal["soundgate.search_index/1"] = FORMAT
    embeddings: str
    """SHA-256 of the embeddings' files."""
    touched_ns: int
    """When their table was last written."""
    count: int
    cells: int
    probes: int


def library() -> Any:
    """Faiss.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        return importlib.import_module("faiss")
    except ModuleNotFoundError as error:
        raise MissingExtra(
            "an index of embeddings needs faiss: pip install 'soundgate[search]'"
        ) from error


def digest(embeddings: Embeddings) -> str:
    """SHA-256 of the files of embeddings.

    Raises:
        DataError: one is missing.
    """
    parts = [sha256_of(embeddings.folder / name) for name in (ABOUT, TABLE)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def touched(embeddings: Embeddings) -> int:
    """When the table was last written, ns: where that is as it was, gigabytes are not read again.

    Raises:
        DataError: it is missing.
    """
    table = embeddings.folder / TABLE
    try:
        return table.stat().st_mtime_ns
    except OSError as error:
        raise unreadable(table, error) from error


def build(embeddings: Embeddings, folder: Path, *, threads: int = 1) -> IndexFile:
    """Write an index; memory holds its numbers of 8 bits.

    Args:
        embeddings: of a corpus.
        folder: to write; ``index.json`` appears last.
        threads: that cells are learnt and filled with.

    Raises:
        MissingExtra: faiss is not installed.
        DataError: the embeddings are damaged.
    """
    faiss = library()
    faiss.omp_set_num_threads(threads)
    count = sum(sum(by_class.values()) for by_class in embeddings.about.counts.values())
    size, cells = embeddings.about.encoder.embedding_size, max(1, round(2 * math.sqrt(count)))
    made = faiss.index_factory(size, f"IVF{cells},SQ8", faiss.METRIC_INNER_PRODUCT)
    made.cp.seed = 1
    made.train(_sample(embeddings, count, LEARNT_FROM * cells))
    for vectors in embeddings.vectors():
        made.add(unit(vectors))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / DESCRIPTION).unlink(missing_ok=True)
    faiss.write_index(made, str(folder / FILE))
    about = IndexFile(
        embeddings=digest(embeddings),
        touched_ns=touched(embeddings),
        count=count,
        cells=cells,
        probes=min(PROBES, cells),
    )
    write_record(folder / DESCRIPTION, about)
    return about


class Index:
    """An index that was read."""

    def __init__(self, folder: Path, embeddings: Embeddings) -> None:
        """Open it.

        Raises:
            DataError: it is damaged, or of other embeddings.
            MissingExtra: faiss is not installed.
        """
        about = read_record(folder / DESCRIPTION, IndexFile, remedy=REMEDY)
        same = about.touched_ns == touched(embeddings) or about.embeddings == digest(embeddings)
        if not same:
            raise DataError(f"{folder}: is an index of other embeddings; {REMEDY}")
        faiss = library()
        try:
            self._index = faiss.read_index(str(folder / FILE), faiss.IO_FLAG_MMAP)
        except RuntimeError as error:
            raise DataError(f"{folder / FILE}: is damaged; {REMEDY}") from error
        self._index.nprobe = about.probes
        self.count = about.count

    def near(self, wanted: NDArray[np.float32], most: int) -> Near:
        """About the ``most`` nearest embeddings to ``wanted`` float32 (size,).

        Cosines are those of numbers in 8 bits.
        """
        cosines, places = self._index.search(unit(wanted)[None], min(most, self.count))
        there = places[0] >= 0
        return Near(places[0][there].astype(np.int64), cosines[0][there])


def _sample(embeddings: Embeddings, count: int, wanted: int) -> NDArray[np.float32]:
    """Every so manyth embedding: rows are in the order of hashes, so that is a random sample."""
    step = max(1, count // wanted)
    parts, first = [], 0
    for vectors in embeddings.vectors():
        parts.append(unit(vectors[-first % step :: step]))
        first += len(vectors)
    return np.concatenate(parts)
