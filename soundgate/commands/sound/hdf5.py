"""The command that takes over HDF5 files of SEC_pipeline."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

IMPORTING = "soundgate.audio.embedding.importing"
"""Loaded by name: the commands of a submitting host do without the libraries of sound."""


def import_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``import-hdf5``."""
    parser.add_argument("sources", nargs="+", type=Path, help=".h5 files, or folders of them")
    parser.add_argument("--to", type=Path, required=True, metavar="DIR", help="the folder to write")
    parser.add_argument(
        "--encoder", default="clap-2023", help="what made the embeddings (default: clap-2023)"
    )


def import_hdf5(args: argparse.Namespace) -> int:
    """Make a corpus of SEC_pipeline's raw HDF5 files, or an embeddings folder of its results."""
    for line in importlib.import_module(IMPORTING).import_files(
        args.sources, args.to, args.encoder
    ):
        print(line)
    return 0
