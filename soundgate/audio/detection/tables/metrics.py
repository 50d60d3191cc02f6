"""``metrics.csv`` and ``metrics_per_tape.csv``: a row a model, window and threshold.

The columns up to ``layer`` are those of ``evaluate_benchmark.py`` in their order; notebooks that
read them keep working. Further columns follow. An empty cell is a figure that is undefined.

- ``mean_dstart_ms``, ``mean_dend_ms``: mean absolute distance of the boundaries of hits.
- ``recall_q1``: of the calls of quality 1. ``f1_q1``: of that recall and the precision of all
  detections, because a false alarm has no quality.
- ``pearson_calls``, ``spearman_calls``: over tapes, of calls and detections.
"""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from soundgate.audio.clips.annotations.text import write_text
from soundgate.audio.detection.evaluation import tallies
from soundgate.audio.detection.evaluation.outcome import correlations
from soundgate.audio.metrics.rounding import rounded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from soundgate.audio.detection.evaluation.outcome import Outcome
    from soundgate.audio.detection.tables.prediction_index import Kept
    from soundgate.audio.metrics.events.intervals import Bools, Ints

METRICS, PER_TAPE = "metrics.csv", "metrics_per_tape.csv"
QUALITIES: Final = (1, 2, 3)
"""Qualities that always have columns; others have some where there are such calls."""
Cell = str | int | float
Row = dict[str, Cell]


@dataclass(frozen=True, slots=True)
class Named:
    """An outcome and what it is called in the tables."""

    model: str
    variant: str
    """``len400_hop050_th90``."""
    layer: str
    outcome: Outcome
    more: Mapping[str, Cell] = field(default_factory=dict)
    """Further cells of its row."""
    kept: Kept | None = None
    """Of a second stage: what it says of its detections."""


def tag(window_s: float, hop_s: float, threshold: float | None = None) -> str:
    """Name of a window and threshold, as folders and tables have it.

    >>> tag(0.4, 0.05, 0.9), tag(0.4, 0.05, 0.995), tag(2.0, 1.0)
    ('len400_hop050_th90', 'len400_hop050_th995', 'len2000_hop1000')
    """
    window = f"len{round(1000 * window_s):03d}_hop{round(1000 * hop_s):03d}"
    if threshold is None:
        return window
    digits = f"{threshold:.6f}".rstrip("0").partition(".")[2].ljust(2, "0")
    return f"{window}_th{digits if threshold < 1 else '100'}"


def metrics_row(named: Named) -> Row:
    """A row of ``metrics.csv``."""
    outcome = named.outcome
    everything = np.ones(len(outcome.truth.tape_names), bool)
    pearson, spearman = correlations(outcome.counts)
    return {
        **_figures(outcome, everything),
        "pearson_calls": pearson,
        "spearman_calls": spearman,
        **_names(named),
        **named.more,
    }


def tape_rows(named: Named) -> list[Row]:
    """Rows of ``metrics_per_tape.csv``, one a tape, in the order of the recordings."""
    tapes = named.outcome.truth.tape_names
    return [
        {**_figures(named.outcome, np.arange(len(tapes)) == number), **_names(named), "tape": tape}
        for number, tape in enumerate(tapes)
    ]


def _names(named: Named) -> Row:
    return {"model": named.model, "variant": named.variant, "layer": named.layer}


def _figures(outcome: Outcome, tapes: Bools) -> Row:
    """Counts and figures of some tapes together."""
    total = outcome.counts[tapes].sum(axis=0)
    hits, calls, detections = (int(value) for value in total)
    right = float(tallies.precision(total))
    of_tapes = tapes[outcome.truth.tape_numbers[outcome.truth.events.clip[outcome.matches.left]]]
    row: Row = {
        "n_gt": calls,
        "n_pred": detections,
        "tp": hits,
        "fp": detections - hits,
        "fn": calls - hits,
        "precision": right,
        "recall": float(tallies.recall(total)),
        "f1": float(tallies.f1(total)),
        "mean_dstart_ms": _mean(np.abs(outcome.start_errors_ms()[of_tapes])),
        "mean_dend_ms": _mean(np.abs(outcome.end_errors_ms()[of_tapes])),
    }
    for quality in qualities_of(outcome):
        found, wanted = outcome.quality_counts(quality)[tapes].sum(axis=0)
        recall = float(found / wanted) if wanted else math.nan
        row |= {f"recall_q{quality}": recall, f"f1_q{quality}": harmonic(right, recall)}
    return row


def qualities_of(outcome: Outcome) -> list[int]:
    """Those that tables have, ascending."""
    present = set(outcome.truth.qualities.tolist()) - {0}
    return sorted({*QUALITIES, *present})


def harmonic(precision: float, recall: float) -> float:
    """F1 of precision and recall; NaN where the recall is."""
    if math.isnan(recall):
        return math.nan
    total = precision + recall
    return 2 * precision * recall / total if total else 0.0


def _mean(values: Ints | np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
    return float(values.mean()) if len(values) else math.nan


def write_table(path: Path, rows: Sequence[Row]) -> None:
    """Write rows as CSV; the file is whole or not there.

    Columns that only some rows have stand where those rows have them, empty in the others.
    """
    lines = io.StringIO()
    table = csv.DictWriter(lines, columns_of(rows), restval="", lineterminator="\n")
    table.writeheader()
    table.writerows({name: _text(value) for name, value in row.items()} for row in rows)
    write_text(path, lines.getvalue())


def columns_of(rows: Sequence[Row]) -> list[str]:
    """Every column once, each after those that stand before it in its row."""
    columns: list[str] = []
    for row in rows:
        at = 0
        for name in row:
            if name in columns:
                at = columns.index(name) + 1
            else:
                columns.insert(at, name)
                at += 1
    return columns


def read_table(path: Path) -> list[Row]:
    """Rows of a table that :func:`write_table` wrote; cells stay texts."""
    with path.open(encoding="utf-8", newline="") as file:
        return [dict(row) for row in csv.DictReader(file)]


def _text(value: Cell) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{rounded(value)!r}"
    return str(value)
