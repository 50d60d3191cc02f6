"""``inspection.json``: what a data set was found to hold before it was trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from soundgate.audio.formats.record import Record, read_record, write_record

if TYPE_CHECKING:
    from pathlib import Path

INSPECTION: Final = "inspection.json"
FORMAT: Final = "soundgate.inspection/1"


class ClassCount(Record):
    """A class."""

    label: str
    clips: int
    """Readable clips that have the label."""
    seconds: float
    """Their length together."""
    by_split: dict[str, int]
    """Clips in each split, or in each fold where the data set brings no split."""


class Finding(Record):
    """What one rule found."""

    rule: str
    """Key of the section ``inspection`` that bounds it."""
    title: str
    """What was found, "silent clips"."""
    count: int
    """How many."""
    bound: float
    """What the rule allows: a share of the clips, or a number."""
    refused: bool
    """Whether it is more, or less, than the rule allows."""
    message: str
    """One sentence: what it is and what to do."""
    examples: tuple[str, ...]
    """All of them, one a line: a path and what is wrong with it."""


class Range(Record):
    """Spread of a figure over the clips."""

    low: float
    median: float
    high: float


class Inspection(Record):
    """``inspection.json``."""

    format: Literal["soundgate.inspection/1"] = FORMAT
    clips: int
    """Clips that are used, unreadable ones among them."""
    seconds: float
    """Length of the readable ones together."""
    duration_s: Range | None
    """Length of a clip; None: none is readable."""
    sample_rates_hz: dict[str, int]
    """Clips by the sample rate of their file."""
    channels: dict[str, int]
    """Clips by the number of channels of their file."""
    classes: tuple[ClassCount, ...]
    """Sorted by name."""
    findings: tuple[Finding, ...]
    """What is refused first; nothing is listed that was not found."""

    @property
    def refusals(self) -> tuple[Finding, ...]:
        """What may not be."""
        return tuple(finding for finding in self.findings if finding.refused)


def read_inspection(folder: Path) -> Inspection:
    """Read the inspection in a folder.

    Raises:
        DataError: it is missing or damaged.
    """
    return read_record(folder / INSPECTION, Inspection, remedy="run preprocess again")


def write_inspection(folder: Path, inspection: Inspection) -> None:
    """Write the inspection into a folder."""
    write_record(folder / INSPECTION, inspection)
