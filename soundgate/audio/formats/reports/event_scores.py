"""``soundgate.event_scores/1``: figures of a system for sound events, with their spread."""

from __future__ import annotations

from typing import Final, Literal

from soundgate.audio.formats.record import Record

FORMAT: Final = "soundgate.event_scores/1"


class Varied(Record):
    """A figure and its spread over samples of the clips; null where it is undefined."""

    value: float | None
    standard_error: float | None = None
    low: float | None = None
    """Lower end of the 95 % percentile interval."""
    high: float | None = None


class ClassFigure(Record):
    """A figure of one class."""

    ours: Varied
    other: float | None = None
    """The other system's; null without one, too."""
    difference: Varied | None = None
    """Ours less the other's, on the same samples of the clips."""


class FigureRow(Record):
    """A figure of all classes, and of each."""

    ours: Varied
    other: float | None = None
    """The other system's; null without one, too."""
    difference: Varied | None = None
    """Ours less the other's, on the same samples of the clips."""
    by_class: dict[str, ClassFigure]
    """Empty for figures that count all classes together."""


class EventScores(Record):
    """What ``soundgate score-events`` writes."""

    format: Literal["soundgate.event_scores/1"] = FORMAT
    clips: int
    clips_left_out: int
    """Clips of the ground truth that the system says nothing about; they do not count."""
    seconds: float
    events: int
    """After events that overlap others of their class were merged with them."""
    rows: int
    """Before."""
    events_past_the_end: int = 0
    """Events that end after their clip; they count as they are."""
    tuned_on: int = 0
    """Clips that the post-processing was tuned on; above 0, figures are those of an oracle."""
    classes: tuple[str, ...]
    classes_without_events: tuple[str, ...]
    """They are in no mean."""
    figures: dict[str, FigureRow]
