"""``predictions.jsonl`` of a report: a row a test clip, with its truth and what a model decided."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping  # noqa: TC003 - the schema is made of the fields' types
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from soundgate.audio.formats.record import read_lines, write_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from soundgate.audio.clips.manifest import Identity
    from soundgate.audio.formats.record import JsonObject
    from soundgate.audio.formats.reports.report import Report

FORMAT: Final = "soundgate.clip_results/1"
PREDICTIONS: Final = "predictions.jsonl"

_OPTIONAL = ("start_s", "end_s")


@dataclass(frozen=True, slots=True)
class ClipResult:
    """What a model decided on a test clip."""

    path: str
    """Path below the ``clips/`` folder."""
    truth: tuple[str, ...]
    predicted: tuple[str, ...]
    scores: Mapping[str, float]
    """Means over patches, by class."""
    patches: int
    patches_correct: int
    source: str | None
    """The recording it was cut from."""
    correct: bool
    """Whether every label is given and no other."""
    start_s: float | None = None
    """First second in the file, where the clip is a segment."""
    end_s: float | None = None
    """Last second in the file, where the clip is a segment."""
    judged: tuple[str, ...] | None = None
    """Labels looked for in the clip, the others are neither right nor wrong; None: all."""

    @property
    def missed(self) -> tuple[str, ...]:
        """Labels that are there and were not given."""
        return tuple(k for k in self.truth if k not in self.predicted and self.is_judged(k))

    @property
    def false_alarms(self) -> tuple[str, ...]:
        """Labels that were given and are not there."""
        return tuple(k for k in self.predicted if k not in self.truth and self.is_judged(k))

    def is_judged(self, label: str) -> bool:
        """Whether it is known if the clip carries a label."""
        return self.judged is None or label in self.judged

    @property
    def identity(self) -> Identity:
        """What the clip is found by in other lists."""
        return self.path, self.start_s, self.end_s

    @property
    def recording(self) -> tuple[str, str]:
        """Equal for clips of one recording; a clip without a source is as its file."""
        return ("file", self.path) if self.source is None else ("source", self.source)


def read_results(path: Path) -> Iterator[ClipResult]:
    """Yield the rows of a ``predictions.jsonl`` in their order.

    Raises:
        DataError: the file is missing or damaged.
    """
    return read_lines(path, _result, remedy="evaluate the model again")


def write_results(path: Path, results: Iterable[ClipResult]) -> None:
    """Write rows as a stream; times only of clips that are segments."""
    write_lines(path, map(_fields, results))


def clips_digest(folder: Path, report: Report) -> str:
    """SHA-256 of the test clips of a report, their paths, segments and true labels, in any order.

    Empty where the report has no rows of clips, so that nothing is known of what was tested.

    Raises:
        DataError: the rows are missing or damaged.
    """
    if report.results is None or report.results.format != FORMAT:
        return ""
    rows = read_results(folder / report.results.file)
    clips = sorted(json.dumps([*row.identity, sorted(row.truth)]) for row in rows)
    return hashlib.sha256("\n".join(clips).encode()).hexdigest()


def _result(row: JsonObject) -> ClipResult:
    names = ("truth", "predicted", "judged")
    lists: JsonObject = {name: tuple(row[name]) for name in names if name in row}
    return ClipResult(**(row | lists))


def _fields(result: ClipResult) -> JsonObject:
    times = {name: getattr(result, name) for name in _OPTIONAL}
    judged = {} if result.judged is None else {"judged": list(result.judged)}
    return {
        "path": result.path,
        "truth": list(result.truth),
        "predicted": list(result.predicted),
        "scores": dict(result.scores),
        "patches": result.patches,
        "patches_correct": result.patches_correct,
        "source": result.source,
        "correct": result.correct,
        **(times if any(value is not None for value in times.values()) else {}),
        **judged,
    }
