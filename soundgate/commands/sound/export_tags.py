"""The command that writes a tagger's report in the files that users of ``run_test.py`` know."""

from __future__ import annotations

import importlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from soundgate.commands.look import collect_output

if TYPE_CHECKING:
    import argparse

FILES = "soundgate.audio.review.tag_export.files"
"""Loaded by name: the commands of a submitting host do without the libraries of sound."""


def export_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``export-tags``."""
    parser.add_argument("run", help="id of the run, or last; or a report/ folder")
    parser.add_argument("target", type=Path, help="empty or new folder to write into")
    parser.add_argument("--task", default="evaluate", help="task that wrote the report")
    parser.add_argument("--suffix", default="", help="at the end of the files' names")
    for flag, what in (
        ("--save-instrument-metrics", "metrics of each label"),
        ("--save-metric-hist", "histograms of the figures of clips"),
        ("--save-confusion", "confusion of each pair of labels"),
        ("--save-roc", "ROC curve of each label"),
    ):
        parser.add_argument(flag, action="store_true", help=f"write the {what} too")


def export_tags(args: argparse.Namespace) -> int:
    """Write a tagger's decisions, metrics and plots as preds_*.json, metrics_*.yaml and PNG."""
    files = importlib.import_module(FILES)
    wanted = files.Wanted(
        suffix=args.suffix,
        instruments=args.save_instrument_metrics,
        histograms=args.save_metric_hist,
        confusion=args.save_confusion,
        roc=args.save_roc,
    )
    if (Path(args.run) / "evaluation.json").is_file():
        made = files.export(Path(args.run), args.target, wanted)
    else:
        with tempfile.TemporaryDirectory(prefix="soundgate-") as folder:
            collect_output(args.run, args.task, "report", Path(folder))
            made = files.export(Path(folder), args.target, wanted)
    for path in made:
        print(path)
    return 0
