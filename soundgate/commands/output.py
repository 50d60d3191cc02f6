"""Shared by the commands: where runs are kept and how results are printed."""

from __future__ import annotations

import os
import unicodedata
from argparse import ArgumentTypeError
from pathlib import Path
from typing import TYPE_CHECKING

from soundgate.errors import ParameterError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

RUNS_VARIABLE = "SOUNDGATE_RUNS"


def runs_root() -> Path:
    """Return the folder of all runs: ``SOUNDGATE_RUNS`` if set, otherwise ``runs``.

    Raises:
        ParameterError: a line break or another control character would end the comment of a printed
            script, and be a command.
    """
    named = os.environ.get(RUNS_VARIABLE) or "runs"
    if any(unicodedata.category(letter) == "Cc" for letter in named):
        raise ParameterError(f"{RUNS_VARIABLE}: {named!r} holds a control character: rename it")
    return Path(named)


def output_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--output``."""
    parser.add_argument(
        "--output", choices=("text", "json"), default="text", help="text (default) or json"
    )


def count(text: str) -> int:
    """Parse a number of rows, at least 1."""
    if not text.isdecimal() or not int(text):
        raise ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return int(text)


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns; the first row is the header."""
    for line in table_lines(rows):
        print(line)


def table_lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return one line of aligned columns per row."""
    widths = [max(len(str(row[i])) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(f"{cell!s:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
