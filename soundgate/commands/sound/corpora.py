"""The commands on corpora of long recordings."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from soundgate.commands.sound.convert import column

if TYPE_CHECKING:
    import argparse

CORPORA = "soundgate.audio.datasets.corpora"
"""Loaded by name: the commands of a submitting host do without the libraries of sound."""


def index_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``build-corpus-index``."""
    parser.add_argument("corpus", type=Path, help="folder of the recordings")
    parser.add_argument(
        "--annotations",
        nargs="+",
        default=[],
        type=Path,
        help="annotation files or folders of them (default: annotations/, or beside recordings)",
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
    building = importlib.import_module(f"{CORPORA}.indexing.building")
    for line in building.build(args.corpus, args.annotations, dict(args.columns)):
        print(line)
    return 0


def prepare_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``prepare-datasets``."""
    parser.add_argument("corpus", type=Path, help="folder of a corpus with its corpus_index.json")
    parser.add_argument(
        "--config",
        type=Path,
        help="strategies (default: dataset_prep_configs.json of the corpus, else of this folder)",
    )
    parser.add_argument(
        "--strategy",
        dest="names",
        action="append",
        default=[],
        metavar="NAME",
        help="prepare this one instead of the active ones; repeatable",
    )
    parser.add_argument("--out", type=Path, help="folder of the data sets (default: the corpus)")
    parser.add_argument(
        "--generate-spectrograms",
        "--generate_spectrograms",
        dest="spectrograms",
        action="store_true",
        help="write a PNG for every file, too",
    )


def prepare_datasets(args: argparse.Namespace) -> int:
    """Cut data sets for detectors from a corpus: dataset_NAME/ for each strategy."""
    variants = importlib.import_module(f"{CORPORA}.variants")
    for line in variants.prepare_all(
        args.corpus, args.config, args.names, args.out, spectrograms=args.spectrograms
    ):
        print(line)
    return 0


def table_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``make-selection-tables``."""
    parser.add_argument(
        "--index", type=Path, required=True, help="corpus_index.json, or its folder"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the tables")
    parser.add_argument(
        "--group-by",
        choices=("raw", "clip"),
        default="clip",
        help="a table a tape or an annotated recording, with its times (default: clip)",
    )
    parser.add_argument(
        "--qualities", nargs="+", type=int, default=[], help="only calls of these (default: all)"
    )
    parser.add_argument("--path-filter", default="", help="only recordings whose path has this")
    parser.add_argument(
        "--regex", action="store_true", help="take --path-filter as a regular expression"
    )


def make_selection_tables(args: argparse.Namespace) -> int:
    """Write the calls of a corpus as selection tables for Raven."""
    selections = importlib.import_module(f"{CORPORA}.selections")
    selected = selections.Selected(
        by_tape=args.group_by == "raw",
        qualities=tuple(args.qualities),
        path_filter=args.path_filter,
        is_regex=args.regex,
    )
    for line in selections.write_tables(args.index, args.out, selected):
        print(line)
    return 0
