"""Reading and writing the text of annotation files."""

from __future__ import annotations

import csv
import io
import os
from typing import TYPE_CHECKING

from soundgate.audio.clips.labels import bare
from soundgate.errors import DataError, unreadable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

LARGEST_BYTES = 1 << 28
"""No table of annotations is larger; a recording that was given by mistake is not read whole."""


def read_text(path: Path) -> str:
    """The text of a file, UTF-8 or UTF-16 with a byte order mark, line ends as ``\\n``.

    Raises:
        DataError: it cannot be read, is too large, or is no text.
    """
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise DataError(f"{path}: has more than {LARGEST_BYTES >> 20} MB: is it a recording?")
        data = path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from error
    utf16 = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    try:
        text = data.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{path}: is not UTF-8 text: save it as UTF-8") from None
    if "\0" in text:
        raise DataError(f"{path}: is not a text file")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_rows(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a table with the number of their line, from 1; the header first.

    Tables of tabs have no quotes: a quote in a comment is a quote.

    Raises:
        DataError: the file cannot be read or is no such table.
    """
    text = read_text(path)
    if delimiter == "\t":
        for number, line in enumerate(text.split("\n"), 1):
            if line:
                yield number, _bare(line.split("\t")) if number == 1 else line.split("\t")
        return
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    try:
        for cells in reader:
            if cells:
                yield reader.line_num, _bare(cells) if reader.line_num == 1 else cells
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: is not CSV ({error})") from None


def _bare(cells: Sequence[str]) -> list[str]:
    return [bare(cell) for cell in cells]


def write_rows(path: Path, rows: Iterable[Sequence[str]], delimiter: str) -> None:
    """Write rows, of tabs without quotes, otherwise as CSV; the file is whole or not there.

    Raises:
        DataError: a cell holds a tab or a line break, which a table of tabs cannot.
    """
    if delimiter != "\t":
        lines = io.StringIO()
        csv.writer(lines, delimiter=delimiter, lineterminator="\n").writerows(rows)
        write_text(path, lines.getvalue())
        return
    text = []
    for row in rows:
        for cell in row:
            if "\t" in cell or "\n" in cell or "\r" in cell:
                raise DataError(f"{path}: {cell!r} has a tab or a line break, which a cell cannot")
        text.append("\t".join(row) + "\n")
    write_text(path, "".join(text))


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file, whole or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, "utf-8", newline="")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise DataError(f"{path}: cannot be written: {error.strerror}") from error


def shortest(number: float) -> str:
    """The shortest decimal text that reads back as the same number, never with an exponent.

    Some readers take "4000" for another type than "4000.5", so that a point is always there.

    >>> shortest(4000), shortest(0.1), shortest(1e-7)
    ('4000.0', '0.1', '0.0000001')
    """
    text = repr(float(number))
    if "e" not in text:
        return text
    from decimal import Decimal

    plain = format(Decimal(text), "f")
    return plain if "." in plain else f"{plain}.0"
