"""The ``bands/`` folder: levels of each segment in fractional-octave bands.

    bands.parquet    a row a segment, sorted by record_id: record_id, and levels,
                     fixed_size_list<float32>, dB, blocks of all bands one after another; zstd
    bands.json       bands of an octave, centres, blocks, reference

A shard's levels are a folder of the same format; :func:`merge_levels` unites them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, Literal

import numpy as np
from pydantic import Field

from soundgate.audio.formats.embeddings import keyed_rows
from soundgate.audio.formats.record import Record, read_record, write_record
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray

FORMAT: Final = "soundgate.bands/1"
ABOUT: Final = "bands.json"
TABLE: Final = "bands.parquet"
LEVELS: Final = "levels"
REMEDY: Final = "measure the bands again"

Above = Annotated[float, Field(gt=0)]


class BandsFile(Record):
    """``bands.json``."""

    format: Literal["soundgate.bands/1"] = FORMAT
    bands_per_octave: Annotated[int, Field(ge=1)]
    mid_hz: tuple[Above, ...]
    """Centres, in the order of the columns."""
    blocks: Annotated[int, Field(ge=1)]
    """Of a segment."""
    block_s: Above
    reference: Above
    """Root mean square of 0 dB."""
    sample_rate_hz: Annotated[int, Field(ge=1)]

    @property
    def shape(self) -> tuple[int, int]:
        """Blocks and bands of a segment."""
        return self.blocks, len(self.mid_hz)


@dataclass(frozen=True, slots=True)
class BandLevels:
    """A folder of levels; rows are read when they are asked for."""

    folder: Path
    about: BandsFile

    def batches(
        self, *, rows: int = keyed_rows.BLOCK_ROWS
    ) -> Iterator[tuple[list[str], NDArray[np.float32]]]:
        """Yield record_ids and levels in dB, float32 (segment, block, band), in order of the ids.

        Raises:
            DataError: the table is missing or damaged.
        """
        for table in keyed_rows.blocks(self.folder / TABLE, rows=rows, remedy=REMEDY):
            if not table.schema.equals(schema(self.about)):
                raise DataError(f"{self.folder / TABLE}: does not fit {ABOUT}; {REMEDY}")
            flat = table.column(LEVELS).combine_chunks().flatten().to_numpy(zero_copy_only=False)
            yield (
                table.column(keyed_rows.KEY).to_pylist(),
                flat.reshape(table.num_rows, *self.about.shape),
            )


def schema(about: BandsFile) -> pa.Schema:
    """Columns of a table of levels."""
    import pyarrow as pa

    size = about.blocks * len(about.mid_hz)
    kind = pa.list_(pa.field("element", pa.float32(), nullable=False), size)
    return pa.schema(
        [
            pa.field(keyed_rows.KEY, pa.string(), nullable=False),
            pa.field(LEVELS, kind, nullable=False),
        ]
    )


def to_table(record_ids: Sequence[str], levels: NDArray[np.float32], about: BandsFile) -> pa.Table:
    """A table of ids and their levels, float32 (segment, block, band)."""
    import pyarrow as pa

    assert levels.dtype == np.float32
    assert levels.shape == (len(record_ids), *about.shape)
    wanted = schema(about)
    flat = pa.array(np.ascontiguousarray(levels).reshape(-1), pa.float32())
    column = pa.FixedSizeListArray.from_arrays(flat, type=wanted.field(LEVELS).type)
    return pa.table([pa.array(list(record_ids), pa.string()), column], schema=wanted)


def write_levels(
    folder: Path, about: BandsFile, record_ids: Sequence[str], levels: NDArray[np.float32]
) -> None:
    """Write the folder of segments that fit into memory; any order gives the same bytes."""
    keyed_rows.write_sorted(folder / TABLE, to_table(record_ids, levels, about))
    write_record(folder / ABOUT, about)


def merge_levels(sources: Sequence[Path], into: Path, about: BandsFile) -> int:
    """Write the union of tables of levels as a folder; return its number of segments.

    Raises:
        DataError: as ``keyed_rows.merge``.
    """
    count = keyed_rows.merge(sources, schema(about), into / TABLE, remedy=REMEDY)
    write_record(into / ABOUT, about)
    return count


def read_levels(folder: Path) -> BandLevels:
    """The levels in ``folder``.

    Raises:
        DataError: ``bands.json`` is missing, damaged or of another format.
    """
    return BandLevels(folder, read_record(folder / ABOUT, BandsFile, remedy=REMEDY))
