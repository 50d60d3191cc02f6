"""``found.csv``: the segments that a search found, with a column to write labels into.

Spreadsheets may save it with semicolons or tabs; only ``record_id`` and ``label`` are read back.
"""

from __future__ import annotations

import csv
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Final

from soundgate.audio.clips.tables import read_table
from soundgate.errors import DataError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

FOUND: Final = "found.csv"


@dataclass(frozen=True, slots=True)
class FoundRow:
    """A segment that was found."""

    record_id: str
    rank: int
    """From 1."""
    similarity: float
    """Cosine of the angle to what was asked for, -1 to 1."""
    class_name: str
    """As the corpus has it."""
    path: str
    start_s: float
    end_s: float
    label: str = ""
    """What a listener calls it; empty: not judged."""


def write_found(path: Path, rows: Iterable[FoundRow]) -> None:
    """Write the table, whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(field.name for field in fields(FoundRow))
        for row in rows:
            values = asdict(row) | {
                "similarity": f"{row.similarity:.4f}",
                "start_s": f"{row.start_s:.3f}",
                "end_s": f"{row.end_s:.3f}",
            }
            table.writerow(values.values())
    partial.replace(path)


def read_labels(tables: Sequence[Path]) -> dict[str, str]:
    """Labels by ``record_id``, of the rows that have one.

    Raises:
        DataError: a file is no such table, or two rows call a segment differently.
    """
    found: dict[str, str] = {}
    for table in tables:
        for line, record_id, label in _rows(table):
            if found.setdefault(record_id, label) != label:
                raise DataError(
                    f"{table}:{line}: calls segment {record_id} {label!r}, and an earlier row "
                    f"{found[record_id]!r}; write one label"
                )
    return found


def _rows(table: Path) -> Iterable[tuple[int, str, str]]:
    rows = read_table(table)
    _, names = next(rows)
    for name in ("record_id", "label"):
        if name not in names:
            raise DataError(f"{table}: has no column {name}{nearest(name, names)}")
    key, value = names.index("record_id"), names.index("label")
    for line, cells in rows:
        if len(cells) > max(key, value) and cells[value].strip():
            yield line, cells[key].strip(), cells[value].strip()
