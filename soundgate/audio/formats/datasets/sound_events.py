"""``soundgate.sound_events/1``: clips of several data sets with strong, weak, soft or no labels.

    sound_events.json   classes, what each data set annotates, and how much of it there is
    clips.jsonl         a clip a line, by part and name
    events.jsonl        an event a line, in the order of the clips, by class and time
    audio/              the files, a folder a part

Several clips may be windows of one file. Times of events are seconds from the start of their clip.
Labels are a data set's own: aliases and masks follow from ``datasets``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import Field

from soundgate.audio.clips.sound_events import label_space
from soundgate.audio.formats.record import (
    Record,
    read_lines,
    read_record,
    write_lines,
    write_record,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

FORMAT: Final = "soundgate.sound_events/1"
FILE: Final = "sound_events.json"
CLIPS: Final = "clips.jsonl"
EVENTS: Final = "events.jsonl"
AUDIO: Final = "audio"
REMEDY: Final = "collect the data again"
Kind = Literal["strong", "weak", "soft", "unlabelled"]
Split = Literal["training", "validation", "tune", "test"]
Seconds = Annotated[float, Field(ge=0)]


class ClipRow(Record):
    """A clip."""

    id: str
    """``PART/NAME``."""
    path: str
    """POSIX path of its file below the folder."""
    start_s: Seconds | None = None
    """Where a window begins in its file; null: the whole file."""
    duration_s: Seconds
    rate_hz: int
    dataset: str
    """Says what is annotated."""
    part: str
    split: Split
    kind: Kind
    labels: tuple[str, ...] = ()
    """Of a weak clip."""
    recording: str
    """Clips of one recording are never on two sides of a division."""


class EventRow(Record):
    """An event of a clip."""

    clip: str
    label: str
    onset_s: Seconds
    offset_s: Seconds
    confidence: Annotated[float, Field(ge=0, le=1)] | None = None
    """The share of annotators who heard it; null: it is certain."""


class Coverage(Record):
    """A part of a data set: how much of its lists is there."""

    part: str
    dataset: str
    split: Split
    kind: Kind
    listed: int
    """Files that the lists name."""
    found: int
    missing: tuple[str, ...] = ()
    """The first of those that are not there."""
    left_out: int = 0
    """Files that a list of exclusions names, or that are also in a split that is judged."""
    clips: int
    seconds: float
    events: int
    merged: int
    """Rows that were merged with others of their class, which they overlap."""
    past_the_end: int
    """Events that were cut off at the end of their clip."""
    labels_left_out: dict[str, int] = Field(default_factory=dict)
    """Rows by label that is no class."""
    resampled: int = 0
    """Files that had another sampling rate."""


class DatasetLabels(Record):
    """What a data set annotates."""

    classes: tuple[str, ...]
    aliases: dict[str, str]
    """Class of another data set that a class implies."""


class SoundEventSet(Record):
    """``sound_events.json``."""

    format: Literal["soundgate.sound_events/1"] = FORMAT
    classes: tuple[str, ...]
    datasets: dict[str, DatasetLabels]
    parts: tuple[Coverage, ...]

    def space(self) -> label_space.LabelSpace:
        """Classes, aliases and masks."""
        datasets = {
            name: label_space.Annotated(each.classes, each.aliases)
            for name, each in self.datasets.items()
        }
        return label_space.LabelSpace(self.classes, datasets)


def read_set(folder: Path) -> SoundEventSet:
    """Read what a folder holds.

    Raises:
        DataError: the file is missing or damaged.
    """
    return read_record(folder / FILE, SoundEventSet, remedy=REMEDY)


def read_clips(folder: Path) -> Iterator[ClipRow]:
    """Yield the clips.

    Raises:
        DataError: the file is missing, or a line is damaged.
    """
    return read_lines(folder / CLIPS, ClipRow.model_validate, remedy=REMEDY)


def read_events(folder: Path) -> Iterator[EventRow]:
    """Yield the events, in the order of the clips.

    Raises:
        DataError: the file is missing, or a line is damaged.
    """
    return read_lines(folder / EVENTS, EventRow.model_validate, remedy=REMEDY)


def write_set(
    folder: Path, described: SoundEventSet, clips: Iterable[ClipRow], events: Iterable[EventRow]
) -> None:
    """Write all but the audio, ``sound_events.json`` last."""
    write_lines(folder / CLIPS, (row.as_json() for row in clips))
    write_lines(folder / EVENTS, (row.as_json() for row in events))
    write_record(folder / FILE, described)
