"""Which clips to predict: those of a folder, of a file, of a manifest or of a table.

A table is a CSV (or TSV) file with a header; of its columns these count, in any order:

    path | filename | file    the audio file, relative to the audio folder or to ``audio/`` in it
    start_s, end_s            optional: the segment of the file, in seconds
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from soundgate.audio.clips.manifest import read_manifest, seconds
from soundgate.audio.clips.tables import read_table
from soundgate.audio.files import reading
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_PATH: Final = ("path", "filename", "file")
_TIMES: Final = ("start_s", "end_s")
_TABLES: Final = (".csv", ".tsv")


@dataclass(frozen=True, slots=True)
class Segment:
    """A file, or a part of it, before it is cut into clips."""

    path: str
    """POSIX path below the audio folder."""
    start_s: float | None = None
    """None is the beginning of the file."""
    end_s: float | None = None
    """None is the end of the file."""


def listing(audio: Path, manifest: Path | None) -> tuple[Path, Callable[[], Iterator[Segment]]]:
    """The folder that paths are relative to, and a function that lists what is asked for.

    The list is sorted by path and time, and free of repetitions; it can be gone through again.

    Raises:
        DataError: the folder is not there, or the table is wrong.
    """
    if not audio.exists():
        raise DataError(f"{audio}: no such file or folder: check the path")
    if manifest is None:
        if audio.is_dir():
            return audio, lambda: _in_folder(audio)
        return audio.parent, lambda: iter([Segment(audio.name)])
    if not audio.is_dir():
        raise DataError(f"{audio}: is not a folder: give the folder that {manifest} is relative to")
    if manifest.suffix.lower() in _TABLES:
        rows = sorted(set(_in_table(manifest, audio)), key=_key)
        return audio, lambda: iter(rows)
    return audio, lambda: _in_manifest(manifest)


def _in_folder(folder: Path) -> Iterator[Segment]:
    return (Segment(file.relative_to(folder).as_posix()) for file in reading.find(folder))


def _in_manifest(manifest: Path) -> Iterator[Segment]:
    for clip in read_manifest(manifest, allow_unlabelled=True):
        yield Segment(clip.path, clip.start_s, clip.end_s)


def _key(row: Segment) -> tuple[str, float, float]:
    return row.path, row.start_s or 0.0, math.inf if row.end_s is None else row.end_s


def _in_table(table: Path, folder: Path) -> Iterator[Segment]:
    rows = read_table(table)
    _, columns = next(rows)
    names = [name for name in _PATH if name in columns]
    if len(names) != 1:
        raise DataError(
            f"{table}:1: expected one column {' or '.join(_PATH)} in the header "
            f"({', '.join(columns)}): rename one of them"
        )
    for number, cells in rows:
        where = f"{table}:{number}"
        if len(cells) != len(columns):
            raise DataError(
                f"{where}: {len(cells)} cells for {len(columns)} columns: quote cells that "
                "contain commas"
            )
        row = dict(zip(columns, cells, strict=True))
        start_s, end_s = (_seconds(where, name, row.get(name, "")) for name in _TIMES)
        if end_s is not None and end_s <= (start_s or 0.0):
            raise DataError(f"{where}: end_s {end_s:g} is not after start_s {start_s or 0.0:g}")
        yield Segment(_located(where, row[names[0]].strip(), folder), start_s, end_s)


def _seconds(where: str, name: str, text: str) -> float | None:
    if not text.strip():
        return None
    try:
        value = seconds(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < math.inf:
        raise DataError(
            f"{where}: {name} {text!r} is not a time in the file: write seconds, at least 0"
        )
    return value


def _located(where: str, name: str, folder: Path) -> str:
    """The path as the listing has it; a file that is nowhere is reported when it is read."""
    if not name:
        raise DataError(f"{where}: no file name: fill in the cell or drop the row")
    path = PurePosixPath(name)
    if path.is_absolute() and path.is_relative_to(folder.absolute()):
        path = path.relative_to(folder.absolute())
    if path.is_absolute() or ".." in path.parts:
        raise DataError(f"{where}: {name!r} is outside {folder}: write a path relative to it")
    below = folder / "audio" / path
    return path.as_posix() if (folder / path).exists() or not below.exists() else f"audio/{path}"
