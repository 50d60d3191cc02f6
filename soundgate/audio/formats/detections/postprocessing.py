"""``soundgate.postprocessing/1``: how scores of frames become events, for each class.

The clips that it was tuned on are part of it: figures of the same clips are those of an oracle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import Field, model_validator

from soundgate.audio.formats.record import Record, read_record, write_record

if TYPE_CHECKING:
    from pathlib import Path

FORMAT: Final = "soundgate.postprocessing/1"
FILE: Final = "postprocessing.json"
Method = Literal["none", "median", "csebbs"]
Seconds = Annotated[float, Field(gt=0)]
_FIELDS: Final = {
    "none": frozenset[str](),
    "median": frozenset({"median_s"}),
    "csebbs": frozenset({"step_s"}),
}


class ClassPostProcessing(Record):
    """What is done with the scores of a class."""

    method: Method
    median_s: Seconds | None = None
    """Length of the median filter."""
    step_s: Seconds | None = None
    """Length of the step filter that finds boxes."""
    most_fall: Seconds | None = None
    """Boxes are merged where the score falls less between them; null: however much."""
    most_ratio: Seconds | None = None
    """Boxes are merged where their scores are fewer times that of the gap; null: however many."""
    score: float | None = None
    """The objective on the clips that it was tuned on; null for a class without events there."""
    raw_score: float | None = None
    """The objective there without post-processing."""

    @model_validator(mode="after")
    def _check_lengths(self) -> ClassPostProcessing:
        given = {name for name in ("median_s", "step_s") if getattr(self, name) is not None}
        if given != _FIELDS[self.method]:
            needed = ", ".join(sorted(_FIELDS[self.method])) or "no length"
            raise ValueError(f"method {self.method!r} takes {needed}")
        return self


class PostProcessing(Record):
    """Post-processing of all classes, and what it was tuned on."""

    format: Literal["soundgate.postprocessing/1"] = FORMAT
    objective: str = "psds1"
    clips: tuple[str, ...] = ()
    """That it was tuned on; empty where somebody wrote it."""
    truth_sha256: str | None = None
    """Of the list of events that it was tuned on."""
    classes: dict[str, ClassPostProcessing]


def read(path: Path) -> PostProcessing:
    """Read ``postprocessing.json``, or the one in a folder.

    Raises:
        DataError: it is missing or damaged.
    """
    path = path / FILE if path.is_dir() else path
    return read_record(path, PostProcessing, remedy="tune it again with tune-events")


def write(path: Path, record: PostProcessing) -> None:
    """Write ``postprocessing.json``."""
    write_record(path, record)
