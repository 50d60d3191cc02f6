"""The ``embeddings/`` folder: what an encoder makes of each segment.

    embeddings.parquet    a row a segment, sorted by record_id: the columns of Segment, and
                          embedding, fixed_size_list<float32>; zstd
    embeddings.json       encoder, its windows, classes, counts

A shard's embeddings are a folder of the same format; :func:`merge_embeddings` unites them. A corpus
may be larger than the memory: :meth:`Embeddings.batches` holds some rows at a time.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, Literal

import numpy as np
from pydantic import Field

from soundgate.audio.formats.embeddings import keyed_rows, segments
from soundgate.audio.formats.record import Record, read_record, write_record
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray

    from soundgate.audio.formats.embeddings.segments import Segment

FORMAT: Final = "soundgate.embeddings/1"
ABOUT: Final = "embeddings.json"
TABLE: Final = "embeddings.parquet"
EMBEDDING: Final = "embedding"
REMEDY: Final = "embed again"

Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(gt=0)]


class EncoderUsed(Record):
    """The encoder, and how it heard the segments: what the numbers depend on."""

    name: str
    """``clap-2023`` say."""
    digest: str
    """SHA-256 over its weights and all that changes its numbers."""
    sample_rate_hz: Annotated[int, Field(ge=1)]
    embedding_size: Annotated[int, Field(ge=1)]
    window_s: Seconds | None = None
    """Window that the encoder hears at once; None: any length."""
    hop_s: Seconds | None = None
    """From the start of a window to the next one's, where a segment has several."""
    pooling: Literal["mean", "max"] = "mean"
    """How the windows of a segment become one embedding."""
    fill: Literal["repeat", "repeatpad", "zeros"] = "zeros"
    """How a segment that is shorter than its window is filled up."""
    precision: Literal["fp32", "bf16", "int8"] = "fp32"
    segment_s: Seconds | None = None
    """Length of a segment, to which the last one of a track is filled up; None: not known."""


class EmbeddingsFile(Record):
    """``embeddings.json``."""

    format: Literal["soundgate.embeddings/1"] = FORMAT
    encoder: EncoderUsed
    classes: tuple[str, ...]
    """All classes of the plan, in its order; a shard may hold some of them."""
    counts: dict[str, dict[str, Count]]
    """Segments by split and class."""


@dataclass(frozen=True, slots=True)
class Embeddings:
    """A folder of embeddings; rows are read when they are asked for."""

    folder: Path
    about: EmbeddingsFile

    @property
    def segment_s(self) -> float:
        """Length that other sound has to be cut into, to be heard as the segments were, seconds.

        Where it is not known: that of most segments among the first; of equally many, the longest.

        Raises:
            DataError: the table is missing, damaged or empty.
        """
        known = self.about.encoder.segment_s
        if known is not None:
            return known
        first, _ = next(self.batches(), ([], None))
        if not first:
            raise DataError(f"{self.folder / TABLE}: holds no segment; {REMEDY}")
        counts = Counter(each.duration_s for each in first)
        return max(counts, key=lambda length: (counts[length], length))

    def batches(
        self, split: str | None = None, *, rows: int = keyed_rows.BLOCK_ROWS
    ) -> Iterator[tuple[list[Segment], NDArray[np.float32]]]:
        """Yield segments and their embeddings, float32 (segment, size), some rows at a time.

        Args:
            split: one of ``SPLITS``; None: all.
            rows: at most, in a batch.

        Raises:
            DataError: the table is missing or damaged.
        """
        for table in self._tables(split, rows):
            yield segments.from_table(table), vectors_of(table)

    def segments(self, split: str | None = None) -> list[Segment]:
        """The segments of a split, or all, by record_id."""
        return [each for table in self._tables(split) for each in segments.from_table(table)]

    def matrix(self, split: str | None = None) -> NDArray[np.float32]:
        """The embeddings of a split, or all, float32 (segment, size), as ``segments`` has them."""
        found = [vectors_of(table) for table in self._tables(split)]
        size = self.about.encoder.embedding_size
        return np.concatenate(found) if found else np.empty((0, size), np.float32)

    def vectors(self, *, rows: int = keyed_rows.GROUP_ROWS) -> Iterator[NDArray[np.float32]]:
        """Yield all embeddings, float32 (segment, size), some rows at a time; nothing else is read.

        Raises:
            DataError: the table is missing or damaged.
        """
        path, wanted = self.folder / TABLE, schema(self.about.encoder.embedding_size)
        for table in keyed_rows.blocks(path, rows=rows, columns=[EMBEDDING], remedy=REMEDY):
            if table.schema.field(EMBEDDING) != wanted.field(EMBEDDING):
                raise DataError(f"{path}: does not fit {ABOUT}; {REMEDY}")
            yield vectors_of(table)

    def at(self, places: Sequence[int]) -> list[Segment]:
        """The segments in some rows of the table, in the order asked for.

        Raises:
            DataError: the table is missing or damaged, or has no such row.
        """
        names = segments.schema().names
        found = keyed_rows.rows_at(self.folder / TABLE, places, names, remedy=REMEDY)
        return segments.from_table(found)

    def of(self, record_ids: Collection[str]) -> tuple[list[Segment], NDArray[np.float32]]:
        """Segments with these ids and their embeddings, float32 (segment, size), by id.

        Ids that the table does not have are left out.

        Raises:
            DataError: the table is missing or damaged.
        """
        path = self.folder / TABLE
        places = keyed_rows.places_of(path, record_ids, remedy=REMEDY)
        names = schema(self.about.encoder.embedding_size).names
        found = keyed_rows.rows_at(path, places, names, remedy=REMEDY)
        return segments.from_table(found), vectors_of(found)

    def _tables(self, split: str | None, rows: int = keyed_rows.BLOCK_ROWS) -> Iterator[pa.Table]:
        import pyarrow.compute as pc

        expected = schema(self.about.encoder.embedding_size)
        for table in keyed_rows.blocks(self.folder / TABLE, rows=rows, remedy=REMEDY):
            if not table.schema.equals(expected):
                raise DataError(f"{self.folder / TABLE}: does not fit {ABOUT}; {REMEDY}")
            chosen = table if split is None else table.filter(pc.equal(table["split"], split))
            if chosen.num_rows:
                yield chosen


def schema(size: int) -> pa.Schema:
    """Columns of a table of embeddings."""
    import pyarrow as pa

    kind = pa.list_(pa.field("element", pa.float32(), nullable=False), size)
    return segments.schema().append(pa.field(EMBEDDING, kind, nullable=False))


def to_table(rows: Sequence[Segment], vectors: NDArray[np.float32]) -> pa.Table:
    """A table of segments and their embeddings, float32 (segment, size).

    Raises:
        DataError: an embedding holds NaN or infinite numbers; names the segment.
    """
    import pyarrow as pa

    assert vectors.dtype == np.float32
    assert len(rows) == len(vectors)
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        wrong = rows[int(np.argmin(finite))]
        raise DataError(
            f"{wrong.path}: the embedding at {wrong.start_s:g} s holds NaN or infinite numbers: "
            "check the audio and the encoder's weights"
        )
    wanted = schema(vectors.shape[1])
    flat = pa.array(np.ascontiguousarray(vectors).reshape(-1), pa.float32())
    column = pa.FixedSizeListArray.from_arrays(flat, type=wanted.field(EMBEDDING).type)
    return segments.to_table(rows).append_column(wanted.field(EMBEDDING), column)


def vectors_of(table: pa.Table) -> NDArray[np.float32]:
    """The embeddings in a table, float32 (segment, size)."""
    column = table.column(EMBEDDING)
    flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    made: NDArray[np.float32] = flat.reshape(table.num_rows, column.type.list_size)
    return made


def write_embeddings(
    folder: Path,
    encoder: EncoderUsed,
    classes: Sequence[str],
    rows: Sequence[Segment],
    vectors: NDArray[np.float32],
) -> None:
    """Write the folder of segments that fit into memory; any order gives the same bytes."""
    keyed_rows.write_sorted(folder / TABLE, to_table(rows, vectors))
    write_about(folder, encoder, classes)


def merge_embeddings(
    sources: Sequence[Path], into: Path, encoder: EncoderUsed, classes: Sequence[str]
) -> int:
    """Write the union of tables of embeddings as a folder; return its number of segments.

    Args:
        sources: Parquet files sorted by record_id.
        into: the folder.
        encoder: by which all of them were made.
        classes: of the plan.

    Raises:
        DataError: as ``keyed_rows.merge``.
    """
    wanted = schema(encoder.embedding_size)
    count = keyed_rows.merge(sources, wanted, into / TABLE, remedy=REMEDY)
    write_about(into, encoder, classes)
    return count


def write_about(folder: Path, encoder: EncoderUsed, classes: Sequence[str]) -> None:
    """Write ``embeddings.json`` beside a table that is there."""
    counts: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    named = ("split", "class_name")
    for table in keyed_rows.blocks(folder / TABLE, columns=named, remedy=REMEDY):
        names = zip(table["split"].to_pylist(), table["class_name"].to_pylist(), strict=True)
        for split, class_name in names:
            counts[split][class_name] += 1
    ordered = {
        split: {name: counts[split][name] for name in classes if counts[split][name]}
        for split in segments.SPLITS
        if split in counts
    }
    about = EmbeddingsFile(encoder=encoder, classes=tuple(classes), counts=ordered)
    partial = folder / f".{ABOUT}.partial"
    write_record(partial, about)
    partial.replace(folder / ABOUT)


def read_embeddings(folder: Path) -> Embeddings:
    """The embeddings in ``folder``.

    Raises:
        DataError: ``embeddings.json`` is missing, damaged or of another format.
    """
    return Embeddings(folder, read_record(folder / ABOUT, EmbeddingsFile, remedy=REMEDY))
