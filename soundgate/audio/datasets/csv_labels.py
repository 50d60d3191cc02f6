"""A table of one's own: a CSV (or TSV) file with a header, a row a clip.

Columns, in any order; others are passed over:

    filename | file | path | fname      the audio file, relative to the audio folder
    category | label | labels | class   the class; several, separated by commas or semicolons, make
                                        the set multi-label
    fold                                optional: whole number from 1
    split                               optional: training, validation or test (train, val, dev)
    start_s, end_s                      optional: the segment of the file, in seconds
    source | src_file                   optional: the original recording; clips of one stay together

Other names are given by ``dataset.columns``. The tables of ESC-50 and of the STM32 model zoo work
as they are. Tables as people export them are read for what they mean: a blank around quotes,
decimal commas, back-slashes between folders, and names in another Unicode form than on the disk.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from dataclasses import dataclass, field
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Final

from soundgate.audio.clips import labels
from soundgate.audio.clips.manifest import SPLITS, Clip, seconds
from soundgate.audio.clips.tables import read_table
from soundgate.audio.datasets import esc_names
from soundgate.audio.datasets.base import (
    Dataset,
    Source,
    check_class,
    check_folder,
    option,
)
from soundgate.errors import DataError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

_COLUMNS: Final = {
    "file": ("filename", "file", "path", "fname"),
    "label": ("category", "label", "labels", "class"),
    "source": ("source", "src_file"),
    "fold": ("fold",),
    "split": ("split",),
    "start_s": ("start_s",),
    "end_s": ("end_s",),
}
_MEANINGS: Final = {"labels": "label"}
_SPLITS: Final = {
    **{split: split for split in SPLITS},
    "train": "training",
    "dev": "training",
    "val": "validation",
    "valid": "validation",
    "eval": "test",
}


@dataclass(frozen=True, slots=True)
class Options:
    """How a table and the files that it names are read."""

    classes: tuple[str, ...] = option((), key="dataset.class_names")
    """The only class names allowed; empty: any."""
    file_extension: str = option("", key="dataset.file_extension")
    """Appended to names without an audio extension, such as ".wav"; "": nothing is."""
    columns: dict[str, str] | None = option(None, key="dataset.columns")  # noqa: RUF009
    """What the table calls its columns: file, label, source, fold, split, start_s, end_s."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How a table is read, where it is not one of the usual ones."""

    columns: Mapping[str, str] = field(default_factory=dict)
    """What is called otherwise: file, label, source, fold, split, start_s or end_s, and the name of
    its column, which then must be there."""
    delimiter: str | None = None
    """Between cells; None: whichever the header has most of, of comma, semicolon and tab."""
    label_separators: str = ",;"
    """Characters between the labels of a cell; "": the whole cell is one label."""
    splits: Mapping[str, str] = field(default_factory=dict)
    """What the table calls a split, beside the usual words."""
    folds: Mapping[str, int] = field(default_factory=dict)
    """What the table calls a fold, where that is no number."""


_USUAL: Final = Reading()


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table, not yet compared with the disk."""

    where: str
    """File and line, for errors."""
    name: str
    labels: tuple[str, ...]
    fold: int | None
    split: str | None
    start_s: float | None
    end_s: float | None
    source: str | None


def list_clips(source: Source, options: Options) -> Iterator[Clip]:
    """Yield the clips of a table in its order; paths are relative to ``source.audio``.

    Raises:
        DataError: the table is wrong, or names a file that is not there.
    """
    check_folder(source)
    table, own = source.labels or source.audio, options.columns or {}
    if table.is_dir():
        table = find_table(table)
    columns = {_MEANINGS.get(key.lower(), key.lower()): name for key, name in own.items()}
    return to_clips(read_rows(table, Reading(columns=columns)), source.audio, options)


def find_table(folder: Path) -> Path:
    """The only CSV or TSV file under ``folder``.

    Raises:
        DataError: there is none, or more than one.
    """
    tables = sorted(path for path in folder.rglob("*.[ct]sv") if path.is_file())
    if len(tables) != 1:
        found = ", ".join(str(path.relative_to(folder)) for path in tables[:5]) or "none"
        raise DataError(
            f"{folder}: expected exactly one .csv file, found {found}: name the table of labels, "
            "or use dataset 'folder' if each class has a folder"
        )
    return tables[0]


def read_rows(table: Path, reading: Reading = _USUAL) -> Iterator[Row]:
    """Yield the rows of a table.

    Raises:
        DataError: naming the line and the column that is wrong.
    """
    rows = read_table(table, reading.delimiter)
    _, columns = next(rows)
    parser = _RowParser(table, columns, reading)
    for line, cells in rows:
        yield parser.parse(line, cells)


def to_clips(rows: Iterable[Row], folder: Path, options: Options) -> Iterator[Clip]:
    """Find the file of every row under ``folder``, or under its ``audio`` folder.

    Raises:
        DataError: a file is missing or outside of the folder, a class is unknown, a clip is twice.
    """
    extension, disk = _extension(options), _Disk(folder)
    first: dict[tuple[str, float | None, float | None], str] = {}
    for row in rows:
        for label in row.labels:
            check_class(row.where, label, options.classes)
        path = _locate(row, disk, extension)
        twin = first.setdefault((path, row.start_s, row.end_s), row.where)
        if twin != row.where:
            raise DataError(
                f"{row.where}: {row.name} is already listed at {twin}: write all its labels "
                'into one cell ("dog,rain") or drop the row'
            )
        named = esc_names.parse((folder / path).stem)
        source = row.source or (named.source if named else None)
        yield Clip(path, row.labels, row.fold, row.split, row.start_s, row.end_s, source)


def _extension(options: Options) -> str:
    extension = options.file_extension
    return extension if extension.startswith(".") or not extension else f".{extension}"


class _Disk:
    """The files under a folder, found by names that may be in another Unicode form than theirs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, name: str) -> str | None:
        """The path below the folder of the file of that name; None where there is none."""
        for path in (name, f"audio/{name}"):
            if (self.folder / path).is_file():
                return path
        if name.isascii():
            return None
        composed = unicodedata.normalize("NFC", name)
        return self._composed.get(composed) or self._composed.get(f"audio/{composed}")

    @functools.cached_property
    def _composed(self) -> dict[str, str]:
        """Paths by their composed form: macOS writes names decomposed, tables rarely are."""
        found = (path for path in self.folder.rglob("*") if not path.name.isascii())
        files = (path.relative_to(self.folder).as_posix() for path in found if path.is_file())
        return {unicodedata.normalize("NFC", path): path for path in files}


def _locate(row: Row, disk: _Disk, extension: str) -> str:
    from soundgate.audio.files import reading

    name = row.name
    if extension and not name.lower().endswith(tuple(reading.EXTENSIONS)):
        name += extension
    if "\\" in name and not (disk.folder / name).is_file():
        name = PureWindowsPath(name).as_posix()  # as tables made on Windows have it
    if PurePosixPath(name).is_absolute() or PureWindowsPath(name).drive or ".." in name.split("/"):
        raise DataError(
            f"{row.where}: {row.name!r} is outside {disk.folder}: write a path relative to it"
        )
    name = PurePosixPath(name).as_posix()
    if path := disk.find(name):
        return path
    hint = "" if extension or "." in name else ", or set file_extension"
    raise DataError(f"{row.where}: {name} is not in {disk.folder}: correct the name{hint}")


class _RowParser:
    """Reads rows by the header's columns."""

    def __init__(self, table: Path, columns: Sequence[str], reading: Reading) -> None:
        self._table = table
        self._columns = columns
        self._reading = reading
        self._at = {meaning: self._find(meaning) for meaning in _COLUMNS}

    def _find(self, meaning: str) -> int | None:
        own = self._reading.columns.get(meaning)
        names = (own.lower(),) if own else _COLUMNS[meaning]
        required = own is not None or meaning in ("file", "label")
        found = [self._columns.index(name) for name in names if name in self._columns]
        if len(found) > 1 and required:
            pair = " and ".join(self._columns[index] for index in found[:2])
            raise DataError(f"{self._table}:1: columns {pair} have the same meaning: rename one")
        if not found and required:
            raise DataError(
                f"{self._table}:1: no column {' or '.join(names)} in the header "
                f"({', '.join(self._columns)}): rename one of them, or name it in dataset.columns"
            )
        return found[0] if found else None

    def parse(self, line: int, cells: Sequence[str]) -> Row:
        where = f"{self._table}:{line}"
        if len(cells) != len(self._columns):
            raise DataError(
                f"{where}: {len(cells)} cells for {len(self._columns)} columns: "
                "add the missing ones, quote cells that hold commas"
            )

        given = {
            meaning: labels.bare(cells[index])
            for meaning, index in self._at.items()
            if index is not None
        }
        if not given["file"]:
            raise DataError(f"{where}: no file name: fill in the cell or drop the row")
        return to_row(where, given, self._reading)


def to_row(where: str, given: Mapping[str, str], reading: Reading) -> Row:
    """A row of texts by their meaning, such as "file", "label" and "fold"; "" is none.

    Raises:
        DataError: a text is no label, fold, split or time; ``where`` stands in front.
    """
    start_s, end_s = _times(where, given.get("start_s", ""), given.get("end_s", ""))
    return Row(
        where,
        given["file"],
        _split_labels(where, given["label"], reading.label_separators),
        _fold(where, given.get("fold", ""), reading.folds),
        _split(where, given.get("split", ""), reading.splits),
        start_s,
        end_s,
        given.get("source") or None,
    )


def _split_labels(where: str, text: str, separators: str) -> tuple[str, ...]:
    parts = re.split(f"[{re.escape(separators)}]", text) if separators else [text]
    found = tuple(dict.fromkeys(labels.bare(label) for label in parts))
    if not all(found):
        raise DataError(f"{where}: empty label in {text!r}: label the clip or drop the row")
    return found


def _fold(where: str, text: str, folds: Mapping[str, int]) -> int | None:
    if not text:
        return None
    if text in folds:
        return folds[text]
    if not text.isdecimal() or int(text) < 1:
        raise DataError(f"{where}: fold {text!r} is not a whole number from 1: correct it")
    return int(text)


def _split(where: str, text: str, splits: Mapping[str, str]) -> str | None:
    if not text:
        return None
    split = splits.get(text) or _SPLITS.get(text.lower())
    if split is None:
        raise DataError(f"{where}: split {text!r} is unknown{nearest(text, (*splits, *SPLITS))}")
    return split


def _times(where: str, start: str, end: str) -> tuple[float | None, float | None]:
    try:
        start_s, end_s = (seconds(text) if text else None for text in (start, end))
    except ValueError:
        raise DataError(
            f"{where}: start_s {start!r}, end_s {end!r}: write seconds, such as 0.5"
        ) from None
    if not 0 <= (start_s or 0.0) < (float("inf") if end_s is None else end_s):
        raise DataError(f"{where}: end_s {end} is not after start_s {start}: correct them")
    return start_s, end_s


DATASET: Final = Dataset(
    size="yours",
    name="csv",
    title="A table of labels",
    licence="not stated",
    citation="",
    homepage="",
    labels="The classes that the table gives the clip.",
    list_clips=list_clips,
    options=Options,
    folds=lambda _options: None,
    brought_by_user=True,
)
