"""The commands on folders of detections."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

DETECTION = "soundgate.audio.detection"
"""Loaded by name: the commands of a submitting host do without the libraries of sound."""


def evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``evaluate-benchmark``."""
    parser.add_argument(
        "--gt", type=Path, required=True, help="corpus_index.json of the benchmark, or its folder"
    )
    parser.add_argument(
        "--runs", type=Path, required=True, help="folder of MODEL/VARIANT/evaluation/index.json"
    )
    parser.add_argument(
        "--iou", type=float, default=0.4, help="least intersection over union (default: 0.4)"
    )
    parser.add_argument(
        "--layer",
        choices=("evaluation", "postrf", "both"),
        default="evaluation",
        help="detections of the network, of the random forest behind it, or both",
    )
    parser.add_argument("--out", type=Path, default=Path("metrics.csv"), help="table to write")
    parser.add_argument(
        "--per-tape-out",
        type=Path,
        default=Path("metrics_per_tape.csv"),
        help="table to write, a row a tape",
    )


def evaluate_benchmark(args: argparse.Namespace) -> int:
    """Write metrics.csv of the detections of many models, against the calls of a corpus."""
    benchmark = importlib.import_module(f"{DETECTION}.tables.benchmark")
    layers = ("evaluation", "postrf") if args.layer == "both" else (args.layer,)
    tables = {"out": args.out, "per_tape": args.per_tape_out}
    print(benchmark.evaluate_runs(args.gt, args.runs, iou=args.iou, layers=layers, **tables))
    return 0


def index_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``build-pred-index``."""
    parser.add_argument("run", type=Path, help="folder with evaluation/, tables of detections")


def build_pred_index(args: argparse.Namespace) -> int:
    """Write evaluation/index.json of a run from its tables of detections."""
    benchmark = importlib.import_module(f"{DETECTION}.tables.benchmark")
    print(benchmark.build_index(args.run))
    return 0


def review_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``review-detections``."""
    parser.add_argument("report", type=Path, help="report of a detector")
    parser.add_argument("target", type=Path, help="folder to write tables into")
    parser.add_argument(
        "--most", type=int, default=50, help="of each kind: unexpected, uncertain, missed (50)"
    )


def review_detections(args: argparse.Namespace) -> int:
    """Write doubtful detections and missed calls as Raven and Audacity tables to correct."""
    asking = importlib.import_module(f"{DETECTION}.corrections.asking")
    print(asking.ask(args.report, args.target, most=args.most))
    return 0


def correction_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``apply-corrections``."""
    parser.add_argument("review", type=Path, help="folder of review-detections, corrected")
    parser.add_argument("corpus", type=Path, help="folder of the corpus that was reviewed")
    parser.add_argument("target", type=Path, help="folder for the new version of its annotations")


def apply_corrections(args: argparse.Namespace) -> int:
    """Make a new version of a corpus' annotations of corrected tables; list what changed."""
    applying = importlib.import_module(f"{DETECTION}.corrections.applying")
    print(applying.apply(args.review, args.corpus, args.target))
    return 0
