"""Tables that people make: CSV or TSV with a header, as spreadsheets export them."""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING

from soundgate.audio.clips import labels
from soundgate.errors import DataError, unreadable

if TYPE_CHECKING:
    import _csv
    from collections.abc import Iterable, Iterator
    from pathlib import Path


def read_table(
    table: Path, delimiter: str | None = None, *, keep_case: bool = False
) -> Iterator[tuple[int, list[str]]]:
    """Yield the header, its names in lower case, and then the rows; empty ones are left out.

    Args:
        table: the file, UTF-8 with or without a byte order mark.
        delimiter: between cells; None: whichever the header has most of, of comma, semicolon, tab.
        keep_case: leave the header's names as they are, where they are labels.

    Yields:
        The number of the line on which a row ends, from 1, and its cells.

    Raises:
        DataError: the file cannot be read, or is no such table.
    """
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
            delimiter = delimiter or max(",;\t", key=header.count)
            names = [labels.bare(name) for name in next(_cells([header], delimiter), [])]
            yield 1, names if keep_case else [name.lower() for name in names]
            reader = _cells(file, delimiter)
            for cells in reader:
                if cells:
                    yield reader.line_num + 1, cells
    except OSError as error:
        raise unreadable(table, error) from error
    except UnicodeDecodeError:
        raise DataError(f"{table}: is not UTF-8 text: save the table as CSV in UTF-8") from None
    except csv.Error as error:
        raise DataError(f"{table}: is not CSV ({error}): quote the cells again") from None


def _cells(lines: Iterable[str], delimiter: str) -> _csv.Reader:
    """Read cells whose quotes may have blanks before and behind them."""
    behind = re.compile(f'" +(?={re.escape(delimiter)}|\r?\n?$)')
    tidy = (behind.sub('"', line) for line in lines)
    return csv.reader(tidy, delimiter=delimiter, strict=True, skipinitialspace=True)
