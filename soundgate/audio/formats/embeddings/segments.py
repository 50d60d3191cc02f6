"""The ``records/`` folder: which windows of which tracks are embedded.

    records.parquet    a row a segment, sorted by shard, path, start and round; a row group a shard
    records.json       classes, windows, splits, noise and seed; which recordings splits share

A *record* is a segment of a track: its id is made of the file, of where the segment starts and of
the round over the tracks that cut it, so that it stays the same whatever else is planned.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import Field

from soundgate.audio.formats.record import Record, read_record, write_record
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import pyarrow as pa

FORMAT: Final = "soundgate.records/1"
RECORDS: Final = "records.json"
TABLE: Final = "records.parquet"
REMEDY: Final = "plan the segments again"
SPLITS: Final = ("train", "es", "valid", "test")
"""To train on, to stop early by, to choose by, and to report."""

Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, slots=True)
class Segment:
    """A window of a track."""

    record_id: str
    """24 hexadecimal digits; see :func:`record_id`."""
    track_id: str
    """The recording: segments that share it belong to one split."""
    class_name: str
    subclass: str
    """Empty where there is none."""
    path: str
    """POSIX path of the audio file relative to the corpus."""
    split: str
    """One of ``SPLITS``."""
    start_s: float
    """Where it begins in the file, seconds."""
    duration_s: float
    """Length of its sound: less than the plan's ``window_s`` where the track ends."""
    round: int
    """From 1; later rounds cut the same tracks at random offsets."""
    noise: bool
    """Whether noise is added."""
    track: int
    """Place of the track among those of its class, sorted by path."""
    bucket: int
    """Place of the segment in its track and round."""
    number: int
    """Place of the segment among those of its class."""


class SharedTrack(Record):
    """A track that lies on several sides."""

    track_id: str
    splits: tuple[str, ...]


class Leakage(Record):
    """Which recordings two splits share."""

    tracks: Count
    """Of all splits together."""
    shared: Count
    """Of them, those that lie in several splits."""
    examples: tuple[SharedTrack, ...] = ()
    """The first of them, by name."""


class RecordsFile(Record):
    """``records.json``."""

    format: Literal["soundgate.records/1"] = FORMAT
    classes: tuple[str, ...]
    """In the order of the user config."""
    counts: dict[str, dict[str, Count]]
    """Segments by split and class."""
    shards: Annotated[int, Field(ge=1)]
    """Into how many units of work the segments are divided; some may be empty."""
    window_s: Annotated[float, Field(gt=0)]
    split_by: Literal["track", "count", "data set"]
    """What the sides were made of: whole tracks, or numbers of segments."""
    noise_perc: Share
    """Share of noise in segments that have some."""
    seed: int
    leakage: Leakage


@dataclass(frozen=True, slots=True)
class Records:
    """A folder of planned segments."""

    folder: Path
    about: RecordsFile

    def shard(self, number: int) -> list[Segment]:
        """The segments of one unit of work, by path, start and round.

        Raises:
            DataError: the table is missing or damaged, or there is no such shard.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not 0 <= number < self.about.shards:
            raise DataError(f"{self.folder}: has shards 0 to {self.about.shards - 1}, not {number}")
        path = self.folder / TABLE
        try:
            with pq.ParquetFile(path) as file:
                return from_table(file.read_row_group(number))
        except (OSError, pa.ArrowInvalid) as error:
            raise DataError(f"{path}: cannot be read; {REMEDY}: {error}") from error

    def segments(self) -> list[Segment]:
        """All segments, shard by shard."""
        return [each for shard in range(self.about.shards) for each in self.shard(shard)]


def record_id(path: str, start_ms: int, round_: int) -> str:
    """Name of a segment: a hash of its file, first millisecond and round.

    >>> record_id("rain/1.wav", 0, 1) == record_id("rain/1.wav", 0, 1)
    True
    """
    text = f"{path}\n{start_ms}\n{round_}"
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def schema() -> pa.Schema:
    """Columns of a segment in a table."""
    import pyarrow as pa

    kinds = {"str": pa.string(), "float": pa.float64(), "int": pa.int32(), "bool": pa.bool_()}
    return pa.schema(
        [pa.field(field.name, kinds[str(field.type)], nullable=False) for field in fields(Segment)]
    )


def to_table(segments: Sequence[Segment]) -> pa.Table:
    """A table with a row a segment."""
    import pyarrow as pa

    columns = {
        field.name: [getattr(each, field.name) for each in segments] for field in fields(Segment)
    }
    return pa.table(columns, schema=schema())


def from_table(table: pa.Table | pa.RecordBatch) -> list[Segment]:
    """The segments in the rows of a table, which may have further columns."""
    columns = [table.column(field.name).to_pylist() for field in fields(Segment)]
    return [Segment(*row) for row in zip(*columns, strict=True)]


def write_records(folder: Path, about: RecordsFile, shards: Iterable[Sequence[Segment]]) -> None:
    """Write the folder; the same segments give the same bytes.

    Args:
        folder: made if missing.
        about: what ``records.json`` says; as many ``shards`` as are given.
        shards: the segments of each.
    """
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{TABLE}.partial"
    with pq.ParquetWriter(partial, schema(), compression="zstd") as out:
        for shard in shards:
            ordered = sorted(shard, key=lambda each: (each.path, each.start_s, each.round))
            out.write_table(to_table(ordered), row_group_size=max(len(ordered), 1))
    partial.replace(folder / TABLE)
    write_record(folder / RECORDS, about)


def read_records(folder: Path) -> Records:
    """The plan in ``folder``.

    Raises:
        DataError: ``records.json`` is missing, damaged or of another format.
    """
    return Records(folder, read_record(folder / RECORDS, RecordsFile, remedy=REMEDY))
