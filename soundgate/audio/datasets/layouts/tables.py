"""A table of audio files: a column ``file``, and one of 0 and 1 for each label (``csv``).

A column ``source`` names the original recording: clips that share it are never split apart. Names
are relative to the table or to the working directory; an extension may be left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from soundgate.audio.clips.manifest import Clip
from soundgate.audio.clips.tables import read_table
from soundgate.audio.datasets.layouts.declaration import FILE, normal
from soundgate.audio.datasets.layouts.irmas import recording_of
from soundgate.audio.datasets.layouts.listing import Listing, check_label
from soundgate.audio.files import reading
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

SOURCE: Final = "source"
_TRUTH: Final = {"0": False, "1": True}


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table."""

    where: str
    """File and line, for errors."""
    name: str
    source: str | None
    labels: dict[str, bool]
    """Whether each label is present."""

    @property
    def present(self) -> tuple[str, ...]:
        """The labels that are."""
        return tuple(label for label, here in self.labels.items() if here)


def read_rows(table: Path, *, file: str = FILE) -> list[Row]:
    """The rows of a table; ``file`` is the column that names the audio.

    Raises:
        DataError: naming the line and the column that is wrong.
    """
    rows = read_table(table, keep_case=True)
    _, header = next(rows)
    names = [name.lower() if name.lower() in (file, SOURCE) else name for name in header]
    _check_header(table, names, file)
    return [_row(table, line, names, cells, file) for line, cells in rows]


def list_labelled(table: Path, folders: Mapping[str, Path]) -> dict[str, Listing]:
    """The clips of a table, by the key of the folder that holds them.

    Args:
        table: with a column ``file`` and one for each label.
        folders: where audio lies, by the path that names in the table begin with.

    Raises:
        DataError: naming the line and the column that is wrong.
    """
    rows = read_rows(table)
    if not rows:
        raise DataError(f"{table}: lists no clip: add a row a clip")
    judged = frozenset(rows[0].labels)
    found: dict[str, Listing] = {key: Listing([], judged) for key in folders}
    for row, key, path in _located(rows, folders):
        source = row.source or recording_of((folders[key] / path).stem)
        found[key].clips.append(Clip(path, row.present, source=source))
    return found


def list_unlabelled(table: Path, folders: Mapping[str, Path]) -> dict[str, Listing]:
    """The clips of a table of which only the column ``file`` is read; as ``list_labelled``."""
    found: dict[str, Listing] = {key: Listing([]) for key in folders}
    lines = read_table(table)
    _, header = next(lines)
    at = header.index(FILE)
    rows = [Row(f"{table}:{line}", cells[at].strip(), None, {}) for line, cells in lines]
    for _, key, path in _located(rows, folders):
        found[key].clips.append(Clip(path, ()))
    return found


def _check_header(table: Path, names: Sequence[str], file: str) -> None:
    where = f"{table}:1"
    if file not in names:
        raise DataError(f"{where}: no column {file!r} in the header: name the audio files in it")
    for name in names:
        check_label(f"{where}: column", name)
        if names.count(name) > 1:
            raise DataError(f"{where}: column {name!r} stands twice: keep one")
    if not set(names) - {file, SOURCE}:
        raise DataError(f"{where}: no column of a label: add one of 0 and 1 for each label")


def _row(table: Path, line: int, names: Sequence[str], cells: Sequence[str], file: str) -> Row:
    where = f"{table}:{line}"
    if len(cells) != len(names):
        raise DataError(f"{where}: {len(cells)} cells for {len(names)} columns: correct the row")
    given = {name: cell.strip() for name, cell in zip(names, cells, strict=True)}
    name, source = given.pop(file), given.pop(SOURCE, "")
    if not name:
        raise DataError(f"{where}: column {file!r}: is empty: name the audio file")
    for label, text in given.items():
        if text not in _TRUTH:
            raise DataError(f"{where}: column {label!r}: {text!r} is not 0 or 1: correct the cell")
    return Row(where, name, source or None, {label: _TRUTH[text] for label, text in given.items()})


def _located(rows: Sequence[Row], folders: Mapping[str, Path]) -> Iterator[tuple[Row, str, str]]:
    """Each row, the key of its folder, and the path of its file in it."""
    first: dict[tuple[str, str], str] = {}
    for row in rows:
        name = normal(row.name)
        for key in sorted(folders, key=len, reverse=True):
            inside = name if not key else name.removeprefix(f"{key.rstrip('/')}/")
            if (not key or inside != name) and (path := _find(folders[key], inside)):
                break
        else:
            raise DataError(f"{row.where}: column {FILE!r}: {row.name!r} is missing: correct it")
        twin = first.setdefault((key, path), row.where)
        if twin != row.where:
            raise DataError(f"{row.where}: {row.name!r} is already listed at {twin}: keep one row")
        yield row, key, path


def _find(folder: Path, name: str) -> str | None:
    """The path below ``folder`` of a file, whose extension may be left out."""
    if (folder / name).is_file():
        return name
    endings = sorted(reading.EXTENSIONS)
    return next((name + end for end in endings if (folder / (name + end)).is_file()), None)
