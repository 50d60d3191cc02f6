"""The commands on corpora of long recordings."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from soundgate.commands.convert import column

if TYPE_CHECKING:
    import argparse

BUILDING = "soundgate.audio.datasets.corpora.building"
"""Loaded by name: the commands of a submitting host do without the libraries of sound."""


def index_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``build-corpus-index``."""
    parser.add_argument("corpus", type=Path, help="folder of the recordings")
    parser.add_argument(
        "--annotations",
        nargs="+",
        default=[],
        type=Path,
        help="annotation files of any known format (default: annotations/, or beside recordings)",
    )
    parser.add_argument(
        "--column",
        dest="columns",
        action="append",
        default=[],
        type=column,
        metavar="FIELD=COLUMN",
        help="column of a field, such as label=Species, where its name does not tell; repeatable",
    )


def build_corpus_index(args: argparse.Namespace) -> int:
    """Write corpus_index.json: the recordings of a corpus and the calls in them."""
    building = importlib.import_module(BUILDING)
    for line in building.build(args.corpus, args.annotations, dict(args.columns)):
        print(line)
    return 0
