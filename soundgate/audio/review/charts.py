"""Geometry of the page's diagrams; the template draws them as SVG."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from soundgate.audio.formats.reports.report import CalibrationBin

WIDTH = 380
HEIGHT = 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 12, 12, 32
_MOST_TICKS = 6
_STYLES = ("one", "two", "three")
# The number of a row, and what a training sets rather than reaches.
_NOT_DRAWN = {"epoch", "round", "learning_rate"}


@dataclass(frozen=True)
class Tick:
    """A mark on an axis."""

    at: float
    """Pixels from left or top."""
    text: str


@dataclass(frozen=True)
class Line:
    """A curve."""

    label: str
    style: str
    """Name of its CSS class."""
    path: str
    kept: float | None
    """Its value at the epoch that was kept."""


@dataclass(frozen=True)
class Curves:
    """Curves over epochs, with their axes."""

    title: str
    lines: tuple[Line, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    kept_epoch: int | None
    kept_at: float
    unit: str = "epoch"
    """What a row of the history is: a linear probe has rounds."""
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    top: int = _TOP
    bottom: int = HEIGHT - _BOTTOM


@dataclass(frozen=True)
class Bar:
    """A bin of the reliability diagram, in shares of the diagram's side."""

    left: float
    width: float
    accuracy: float
    confidence: float
    clips: int
    share: float
    """Of the clips of the fullest bin."""
    label: str


def all_curves(history: Sequence[Mapping[str, float]], kept_epoch: int | None) -> list[Curves]:
    """A diagram for each kind of figure in a history: losses, accuracies, whatever it logs.

    The kind is the last word of a figure's name: ``loss`` and ``validation_loss`` share axes.
    """
    kinds: dict[str, list[str]] = {}
    for key in dict.fromkeys(key for row in history for key in row):
        if key not in _NOT_DRAWN:
            kinds.setdefault(key.rpartition("_")[2], []).append(key)
    drawn = [_curves(kind, history, keys, kept_epoch) for kind, keys in kinds.items()]
    return [chart for chart in drawn if chart is not None]


def _curves(
    kind: str, history: Sequence[Mapping[str, float]], keys: Sequence[str], kept_epoch: int | None
) -> Curves | None:
    """The curves of one kind of figure; None where no row has a number of them."""
    series = {key: _finite(history, key) for key in keys}
    series = {key: points for key, points in series.items() if points}
    if not series:
        return None
    epochs = [x for points in series.values() for x, _ in points]
    first, last = min(epochs), max(*epochs, min(epochs) + 1)
    values = [y for points in series.values() for _, y in points]
    lowest = min(0.0, *values)
    # A loss has no end; other figures that stay within 0 to 1 are shares.
    is_share = kind != "loss" and max(values) <= 1
    high = 1.0 if is_share else max(max(values) * 1.05, lowest + 1e-9)

    def x_at(epoch: float) -> float:
        span = WIDTH - _RIGHT - _LEFT
        return round(_LEFT + span * (epoch - first) / (last - first), 1)

    def y_at(value: float) -> float:
        span = HEIGHT - _BOTTOM - _TOP
        return round(HEIGHT - _BOTTOM - span * (value - lowest) / (high - lowest), 1)

    lines = tuple(
        Line(
            _label(key, kind),
            _STYLES[number % len(_STYLES)],
            path="M" + "L".join(f"{x_at(x)},{y_at(y)}" for x, y in points),
            kept=dict(points).get(kept_epoch) if kept_epoch is not None else None,
        )
        for number, (key, points) in enumerate(series.items())
    )
    return Curves(
        kind.upper() if kind.isupper() else kind.capitalize(),
        lines,
        tuple(Tick(x_at(x), f"{x:g}") for x in ticks(first, last, whole=True)),
        tuple(Tick(y_at(y), f"{y:g}") for y in ticks(lowest, high)),
        kept_epoch if kept_epoch is not None and first <= kept_epoch <= last else None,
        x_at(kept_epoch) if kept_epoch is not None else 0.0,
        _unit(history[0]),
    )


def _label(key: str, kind: str) -> str:
    """What tells a figure from others of its kind: "validation clip" of an accuracy."""
    return key.removesuffix(kind).rstrip("_").replace("_", " ") or "training"


def ticks(low: float, high: float, *, whole: bool = False) -> list[float]:
    """Round numbers from ``low`` to ``high``, at most six, 1, 2 or 5 times a power of ten apart.

    >>> ticks(0.0, 2.5), ticks(1, 20, whole=True)
    ([0.0, 0.5, 1.0, 1.5, 2.0, 2.5], [5, 10, 15, 20])
    """
    rough = (high - low) / (_MOST_TICKS - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9))
    if whole:
        step = max(1, round(step))
    begin, end = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(k * step, 10) for k in range(begin, end + 1)]


def reliability(bins: Sequence[CalibrationBin]) -> list[Bar]:
    """Bars of the bins that have clips."""
    fullest = max((part.clips for part in bins), default=0)
    return [
        Bar(
            left=part.low,
            width=part.high - part.low,
            accuracy=part.accuracy,
            confidence=part.confidence,
            clips=part.clips,
            share=part.clips / fullest,
            label=f"{part.low:.2f} to {part.high:.2f}",
        )
        for part in bins
        if part.clips
    ]


def _unit(row: Mapping[str, float]) -> str:
    return "round" if "round" in row else "epoch"


def _finite(history: Sequence[Mapping[str, float]], key: str) -> list[tuple[int, float]]:
    points = [(int(row[_unit(row)]), row.get(key)) for row in history]
    return [(x, float(y)) for x, y in points if isinstance(y, (int, float)) and math.isfinite(y)]
