"""Figures of sound events as text, and as a stored record."""

from __future__ import annotations

import json
import math
from itertools import zip_longest
from typing import TYPE_CHECKING

from soundgate.audio.clips.annotations.text import write_text
from soundgate.audio.formats.reports.event_scores import (
    ClassFigure,
    EventScores,
    FigureRow,
    Varied,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from soundgate.audio.detection.sound_events.scoring import Answer
    from soundgate.audio.metrics.events.samples import Spread


def record_of(answer: Answer) -> EventScores:
    """The record of an answer."""
    return EventScores(
        clips=len(answer.truth.clips),
        clips_left_out=answer.truth.clips_left_out,
        seconds=float(answer.truth.clips_s.sum()),
        events=len(answer.truth.events),
        rows=answer.truth.rows,
        events_past_the_end=answer.truth.events_past_the_end,
        tuned_on=answer.tuned_on,
        classes=answer.truth.classes,
        classes_without_events=answer.truth.silent,
        figures={name: _row(answer, name) for name in answer.figures},
    )


def _row(answer: Answer, name: str) -> FigureRow:
    figure, spread = answer.figures[name], answer.spreads.get(name)
    other, difference = answer.other.get(name), answer.differences.get(name)
    classes = {
        label: ClassFigure(
            ours=_varied(float(figure.by_class[at]), spread, 1 + at),
            other=None if other is None else _number(float(other.by_class[at])),
            difference=None
            if other is None
            else _varied(float(figure.by_class[at] - other.by_class[at]), difference, 1 + at),
        )
        for at, label in enumerate(answer.truth.classes[: len(figure.by_class)])
    }
    return FigureRow(
        ours=_varied(figure.value, spread, 0),
        other=None if other is None else _number(other.value),
        difference=None if other is None else _varied(figure.value - other.value, difference, 0),
        by_class=classes,
    )


def _number(value: float) -> float | None:
    """JSON has no word for NaN."""
    return None if math.isnan(value) else value


def _varied(value: float, spread: Spread | None, at: int) -> Varied:
    if spread is None:
        return Varied(value=_number(value))
    return Varied(
        value=_number(value),
        standard_error=_number(float(spread.standard_error[at])),
        low=_number(float(spread.low[at])),
        high=_number(float(spread.high[at])),
    )


def lines(scores: EventScores) -> Iterator[str]:
    """The record as a table for people."""
    merged = scores.rows - scores.events
    yield (
        f"{scores.clips} clips, {scores.seconds:.1f} s, {scores.events} events of "
        f"{len(scores.classes) - len(scores.classes_without_events)} classes"
    )
    if merged:
        yield f"{merged} events overlapped others of their class and were merged with them"
    if scores.events_past_the_end:
        yield f"{scores.events_past_the_end} events end after their clip; they count as they are"
    if scores.clips_left_out:
        yield f"{scores.clips_left_out} clips of the ground truth are not scored and do not count"
    if scores.tuned_on:
        yield f"oracle: the post-processing was tuned on {scores.tuned_on} of these clips"
    if scores.classes_without_events:
        names = ", ".join(scores.classes_without_events)
        yield f"without events, and in no mean: {names}"
    yield ""
    yield from _aligned(_overall(scores))
    yield ""
    yield from _aligned(_classes(scores))


def _overall(scores: EventScores) -> list[tuple[str, ...]]:
    compared = any(row.other is not None for row in scores.figures.values())
    further = ("other", "difference", "SE", "95 % interval") if compared else ()
    rows: list[tuple[str, ...]] = [("figure", "value", "SE", "95 % interval", *further)]
    for name, row in scores.figures.items():
        cells = [name, _text(row.ours.value), *_spread(row.ours)]
        if compared and row.difference is not None:
            cells += [_text(row.other), _text(row.difference.value), *_spread(row.difference)]
        rows.append(tuple(cells))
    return rows


def _classes(scores: EventScores) -> list[tuple[str, ...]]:
    figures = {name: row.by_class for name, row in scores.figures.items() if row.by_class}
    return [("class", *figures)] + [
        (label, *(_text(by_class[label].ours.value) for by_class in figures.values()))
        for label in scores.classes
    ]


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows with columns below one another, two blanks apart."""
    widths = [max(map(len, column)) for column in zip_longest(*rows, fillvalue="")]
    for row in rows:
        yield "  ".join(
            cell.ljust(width) for cell, width in zip(row, widths, strict=False)
        ).rstrip()


def _spread(varied: Varied) -> tuple[str, str]:
    if varied.low is None or varied.high is None:
        return _text(varied.standard_error), "-"
    return _text(varied.standard_error), f"{varied.low:.4f} to {varied.high:.4f}"


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def write(path: Path, scores: EventScores) -> None:
    """Write the record, whole or not at all."""
    text = json.dumps(scores.as_json(), indent=1, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")
