"""Decisions as ``preds_*.json``, metrics as ``metrics_*.yaml``, and the pictures beside them."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

import yaml

from soundgate.audio.formats.reports.clip_results import PREDICTIONS, read_results
from soundgate.audio.formats.reports.tags import read_tag_report
from soundgate.audio.review.tag_export import counts
from soundgate.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from soundgate.audio.formats.reports.clip_results import ClipResult
    from soundgate.audio.formats.reports.tags import TagReport

INSTRUMENTS: Final = {
    "cel": "cello",
    "cla": "clarinet",
    "flu": "flute",
    "gac": "acoustic_guitar",
    "gel": "electric_guitar",
    "org": "organ",
    "pia": "piano",
    "sax": "saxophone",
    "tru": "trumpet",
    "vio": "violin",
    "voi": "voice",
}
"""Names of IRMAS' labels; other labels stand under their own."""


@dataclass(frozen=True)
class Wanted:
    """What is written besides decisions and metrics."""

    suffix: str = ""
    """At the end of the files' names."""
    instruments: bool = False
    """Metrics of each label in the YAML file."""
    histograms: bool = False
    confusion: bool = False
    roc: bool = False


def export(report: Path, target: Path, wanted: Wanted) -> list[Path]:
    """Write the files of a report.

    Args:
        report: folder that ``evaluate`` wrote.
        target: folder to write into.
        wanted: which of them.

    Returns:
        What was written: files, and folders of pictures.

    Raises:
        DataError: the report is damaged or not a tagger's.
        ParameterError: the folder to write into is not empty, or the suffix is a path.
        MissingExtra: pictures are wanted, and matplotlib is not installed.
    """
    if set(wanted.suffix) & set("/\\"):
        raise ParameterError(f"--suffix: {wanted.suffix!r} is no part of a file's name")
    figures, clips = read_tag_report(report), list(read_results(report / PREDICTIONS))
    if target.is_dir() and any(target.iterdir()):
        raise ParameterError(f"{target}: the folder is not empty; choose another one")
    target.mkdir(parents=True, exist_ok=True)
    labels = list(figures.labels)
    end = f"_{wanted.suffix}" if wanted.suffix else ""
    decisions, metrics = target / f"preds{end}.json", target / f"metrics_files{end}.yaml"
    text = json.dumps(decided(clips, labels), indent=1, ensure_ascii=False)
    decisions.write_text(text + "\n", "utf-8")
    found = metrics_of(figures, instruments=wanted.instruments)
    metrics.write_text(yaml.safe_dump(found, allow_unicode=True), "utf-8")
    return [decisions, metrics, *_pictures(target, figures, clips, wanted, end)]


def decided(clips: Sequence[ClipResult], labels: Sequence[str]) -> dict[str, dict[str, int]]:
    """0 or 1 of each label, by the name of the clip without its ending.

    Where two clips have one name, folders and times tell them apart.
    """
    short = [PurePosixPath(clip.path).stem for clip in clips]
    long = [str(PurePosixPath(clip.path).with_suffix("")) for clip in clips]
    found = {}
    for clip, brief, whole in zip(clips, short, long, strict=True):
        name = brief if short.count(brief) == 1 else whole
        if long.count(whole) > 1:
            name = f"{whole} {clip.start_s} {clip.end_s}"
        found[name] = {label: int(label in clip.predicted) for label in labels}
    return found


def metrics_of(report: TagReport, *, instruments: bool) -> dict[str, float]:
    """Means over labels, and of each label ``instruments/violin_f1`` and the like."""
    overall = {
        "f1": "macro_f1",
        "precision": "macro_precision",
        "recall": "macro_recall",
        "hamming_distance": "hamming_distance",
        "mean_average_precision": "mean_average_precision",
    }
    found = {
        name: float(report.metrics[own].value)
        for name, own in overall.items()
        if own in report.metrics
    }
    if "hamming_distance" in found:
        found["accuracy"] = 1 - found["hamming_distance"]
    if instruments:
        for label, own in report.labels.items():
            for name in ("f1", "precision", "recall"):
                title = INSTRUMENTS.get(label, label)
                found[f"instruments/{title}_{name}"] = float(getattr(own, name).value)
    return found


def _pictures(
    target: Path, report: TagReport, clips: Sequence[ClipResult], wanted: Wanted, end: str
) -> list[Path]:
    if not (wanted.histograms or wanted.confusion or wanted.roc):
        return []
    from soundgate.audio.review.tag_export import plots

    plots.require()
    made = []
    labels = list(report.labels)
    if wanted.histograms:
        figures = [counts.of_clip(clip, labels) for clip in clips]
        made += plots.histograms(target / f"metrics_hist{end}.png", target / "metric_hist", figures)
    if wanted.confusion:
        found = list(counts.pairs(clips, labels))
        made += [_write_pairs(target / f"conf_matrix{end}.csv", found)]
        made += [plots.confusion(target / "conf_matrix", found)]
    if wanted.roc:
        areas = {label: own.roc_auc.value for label, own in report.labels.items() if own.roc_auc}
        curves = {label: report.curves[label].roc for label in areas}
        made += [plots.roc(target / "roc", curves, areas)]
    return made


def _write_pairs(path: Path, found: Sequence[tuple[str, str, counts.Matrix]]) -> Path:
    """A row a pair and a truth; a column a decision."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["first", "second", "truth", "neither", "first", "second", "both"])
        for first, second, matrix in found:
            for truth, row in zip(("neither", "first", "second", "both"), matrix, strict=True):
                table.writerow([first, second, truth, *row])
    return path
