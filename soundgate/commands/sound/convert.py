"""The command that converts annotation files."""

from __future__ import annotations

import importlib
from argparse import ArgumentTypeError
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

CONVERSION = "soundgate.audio.clips.annotations.conversion"
"""Loaded by name: the commands of a submitting host do without the libraries of sound."""


def convert_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``convert-annotations``."""
    parser.add_argument(
        "sources", nargs="+", type=Path, help="annotation files, or folders of them"
    )
    parser.add_argument("target", type=Path, help="the file to write; a folder for a file each")
    parser.add_argument("--from", dest="from_format", help="format of the sources (default: seen)")
    parser.add_argument("--to", dest="to_format", help="format of the target (default: its ending)")
    parser.add_argument(
        "--column",
        dest="columns",
        action="append",
        default=[],
        type=column,
        metavar="FIELD=COLUMN",
        help="column of a field, such as label=Species, where its name does not tell; repeatable",
    )
    parser.add_argument("--recording", default="", help="the recording of files that name none")
    parser.add_argument(
        "--audio", type=Path, help="folder of the recordings, whose lengths are then checked"
    )


def column(text: str) -> tuple[str, str]:
    """Read ``FIELD=COLUMN``."""
    field, equals, name = text.partition("=")
    if not (field and equals and name):
        raise ArgumentTypeError(f"expected FIELD=COLUMN, got {text!r}")
    return field, name


def convert_annotations(args: argparse.Namespace) -> int:
    """Convert annotation files of many programs into one another."""
    conversion = importlib.import_module(CONVERSION)
    sources = conversion.Sources(args.sources, args.from_format, dict(args.columns), args.recording)
    for line in conversion.convert(
        sources, args.target, to_format=args.to_format, audio=args.audio
    ):
        print(line)
    return 0
