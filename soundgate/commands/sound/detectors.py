"""The command that takes over detectors of other tools."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

CONVERSION = "soundgate.audio.detection.conversion"
"""Loaded by name: the commands of a submitting host do without the libraries of sound."""


def import_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``import-detector``."""
    parser.add_argument("model", type=Path, help="the .pk file of ANIMAL-SPOT")
    parser.add_argument("folder", type=Path, help="the model folder to write")
    parser.add_argument(
        "--sequence-len",
        type=float,
        default=400.0,
        help="length of its windows in milliseconds (default: 400)",
    )
    parser.add_argument(
        "--normalisation",
        choices=("min_max", "reference"),
        required=True,
        help="min_max for a model trained with min_max_norm, otherwise reference",
    )


def import_detector(args: argparse.Namespace) -> int:
    """Make a model folder of a model that ANIMAL-SPOT saved; no code in it is run."""
    importlib.import_module(CONVERSION).convert(
        args.model,
        args.folder,
        window_s=args.sequence_len / 1000,
        normalisation=args.normalisation,
    )
    print(f"wrote {args.folder}")
    return 0
