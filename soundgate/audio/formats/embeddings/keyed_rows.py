"""Parquet files of rows sorted by ``record_id``, and the union of several of them.

A union is one of sets: a row that stands in several files is kept once, and two rows of one id that
differ are an error. Files are read and written in blocks, so that their length does not matter.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from typing import TYPE_CHECKING, Final, Self

from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    import pyarrow as pa

KEY: Final = "record_id"
BLOCK_ROWS: Final = 512
"""Rows that are read at once of each file."""
GROUP_ROWS: Final = 1024
"""Rows of a row group, the last one excepted: files do not depend on what was merged. A reader
holds one of each file."""


class SortedWriter:
    """Write rows in the order of their ids; the file appears when all of it is written.

    Used as a context manager; an exception inside leaves no file behind.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        """Prepare to write ``path``, whose folder is made if missing."""
        self._path, self._schema = path, schema
        self._partial = path.with_name(f".{path.name}.partial")
        self._held: list[pa.Table] = []
        self._count = 0

    def __enter__(self) -> Self:
        """Open the file under a temporary name."""
        import pyarrow.parquet as pq

        self._path.parent.mkdir(parents=True, exist_ok=True)
        floats = [name for name in _leaves(self._schema) if name.endswith(".element")]
        self._out = pq.ParquetWriter(
            self._partial,
            self._schema,
            compression="zstd",
            use_dictionary=[name for name in _leaves(self._schema) if name not in (*floats, KEY)],
            use_byte_stream_split=floats,
        )
        return self

    def add(self, table: pa.Table) -> None:
        """Append rows, sorted by id and after all before them."""
        self._held.append(table)
        self._count += table.num_rows
        if self._count >= GROUP_ROWS:
            self._flush(GROUP_ROWS)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Complete the file and give it its name, or remove it after an error."""
        try:
            if kind is None and self._count:
                self._flush(1)
        finally:
            self._out.close()
            if kind is not None:
                self._partial.unlink(missing_ok=True)
        if kind is None:
            self._partial.replace(self._path)

    def _flush(self, least: int) -> None:
        """Write whole row groups, as long as ``least`` rows are left."""
        import pyarrow as pa

        rows = pa.concat_tables(self._held).combine_chunks()
        while rows.num_rows >= least:
            self._out.write_table(rows.slice(0, GROUP_ROWS), row_group_size=GROUP_ROWS)
            rows = rows.slice(GROUP_ROWS)
        self._held, self._count = [rows], rows.num_rows


def is_whole(path: Path) -> bool:
    """Whether a file is there and ends as it should; its rows are not read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return bool(pq.read_metadata(path).num_rows)
    except (OSError, pa.ArrowInvalid):
        return False


def write_sorted(path: Path, table: pa.Table) -> None:
    """Write a table as a file of its own, sorted by id."""
    with SortedWriter(path, table.schema) as out:
        out.add(table.sort_by(KEY))


def blocks(
    path: Path, *, rows: int = BLOCK_ROWS, columns: Sequence[str] | None = None, remedy: str
) -> Iterator[pa.Table]:
    """Yield the rows of a file in order, a block at a time; ``columns`` None: all of them.

    Raises:
        DataError: the file is missing or damaged; ``remedy`` says what to do again.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            for batch in file.iter_batches(batch_size=rows, columns=columns, use_threads=False):
                yield pa.Table.from_batches([batch])
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"{path}: cannot be read; {remedy}: {error}") from error


def places_of(path: Path, keys: Collection[str], *, remedy: str) -> list[int]:
    """Where the rows with some ids are, in order; ids that no row has are left out.

    Raises:
        DataError: the file is missing or damaged.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted, found, first = pa.array(sorted(keys), pa.string()), [], 0
    for table in blocks(path, rows=GROUP_ROWS, columns=[KEY], remedy=remedy):
        is_wanted = pc.is_in(table.column(KEY), wanted).to_numpy(zero_copy_only=False)
        found += (first + np.flatnonzero(is_wanted)).tolist()
        first += table.num_rows
    return found


def rows_at(path: Path, places: Sequence[int], columns: Sequence[str], *, remedy: str) -> pa.Table:
    """Columns of the rows at ``places``, in that order; only their row groups are read.

    Raises:
        DataError: the file is missing or damaged, or has no such row.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    wanted = np.asarray(places, np.int64)
    try:
        with pq.ParquetFile(path) as file:
            about = file.metadata
            sizes = [about.row_group(k).num_rows for k in range(about.num_row_groups)]
            ends = np.cumsum(sizes)
            if len(wanted) and not 0 <= wanted.min() <= wanted.max() < about.num_rows:
                raise DataError(f"{path}: has no row {wanted.max()}; {remedy}")
            groups = np.searchsorted(ends, wanted, side="right")
            used = np.unique(groups)
            read = file.read_row_groups(used.tolist(), columns=list(columns))
    except (OSError, pa.ArrowInvalid) as error:
        raise DataError(f"{path}: cannot be read; {remedy}: {error}") from error
    begins = np.cumsum([0, *(sizes[group] for group in used)])[:-1]
    within = wanted - (ends[groups] - np.array(sizes)[groups])
    return read.take(begins[np.searchsorted(used, groups)] + within)


def merge(sources: Sequence[Path], schema: pa.Schema, into: Path, *, remedy: str) -> int:
    """Write the union of sorted files as one sorted file, and return its number of rows.

    Memory holds a block of each source.

    Raises:
        DataError: a file is missing, damaged, out of order or of other columns, or two rows of one
            id differ.
    """
    with SortedWriter(into, schema) as out:
        count = 0
        for table in union(sources, schema, remedy=remedy):
            out.add(table)
            count += table.num_rows
    return count


def union(sources: Sequence[Path], schema: pa.Schema, *, remedy: str) -> Iterator[pa.Table]:
    """Yield the union of sorted files in order, in tables of some rows; see :func:`merge`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    heads = [_Head(path, schema, remedy) for path in sources]
    while heads := [head for head in heads if head.fill()]:
        # every row up to the earliest end of a block is at hand
        bound = min(head.last for head in heads)
        taken = [head.take(bound) for head in heads]
        rows = pa.concat_tables(taken).combine_chunks().sort_by(KEY)
        ids = rows.column(KEY)
        new = pc.not_equal(ids.slice(1), ids.slice(0, max(rows.num_rows - 1, 0)))
        first = pa.concat_arrays([pa.array([True]), *new.chunks])
        _check_equal(rows, first.to_pylist(), [head.path for head in heads], remedy)
        yield rows.filter(first)


def _check_equal(rows: pa.Table, first: list[bool], paths: Sequence[Path], remedy: str) -> None:
    """Refuse rows of one id that differ."""
    for place, is_first in enumerate(first):
        if not is_first and not rows.slice(place, 1).equals(rows.slice(place - 1, 1)):
            names = ", ".join(str(path) for path in paths)
            found = rows.column(KEY)[place].as_py()
            raise DataError(f"{names}: hold different rows of record {found}; {remedy}")


class _Head:
    """What was read of a file, and has not been taken yet."""

    def __init__(self, path: Path, schema: pa.Schema, remedy: str) -> None:
        self.path, self._schema, self._remedy = path, schema, remedy
        self._blocks = blocks(path, remedy=remedy)
        self._rows: pa.Table | None = None
        self._ids: list[str] = []
        self._taken = 0
        self.last = ""

    def fill(self) -> bool:
        """Read the next block where nothing is left; say whether there is something."""
        while self._taken == len(self._ids):
            found = next(self._blocks, None)
            if found is None:
                return False
            if not found.schema.equals(self._schema):
                raise DataError(f"{self.path}: has other columns than expected; {self._remedy}")
            self._rows, self._ids, self._taken = found, found.column(KEY).to_pylist(), 0
            self._check_order()
        return True

    def take(self, bound: str) -> pa.Table:
        """Rows whose id is at most ``bound``."""
        assert self._rows is not None
        first, self._taken = self._taken, bisect_right(self._ids, bound, self._taken)
        return self._rows.slice(first, self._taken - first)

    def _check_order(self) -> None:
        for before, after in itertools.pairwise([self.last, *self._ids]):
            if before >= after:
                raise DataError(f"{self.path}: {after} stands after {before}; {self._remedy}")
        self.last = self._ids[-1] if self._ids else self.last


def _leaves(schema: pa.Schema) -> list[str]:
    """Paths of a schema's columns in Parquet: those of lists end in ``.element``."""
    import pyarrow as pa

    def is_list(kind: pa.DataType) -> bool:
        return bool(pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind))

    return [f"{f.name}.list.element" if is_list(f.type) else f.name for f in schema]
