"""The ``scores/`` folder: what a detector says of every window of some recordings.

    scores.json                     model, window, hop, classes, and a row a recording
    arrays/<path>[@<start>].npz     of each recording, or of a region of it:
        starts_s    float64 (window,)        where windows begin, on the axis of the file
        scores      float32 (window, class)  probabilities
        logits      float32 (window, class)  log(p / (1 - p)) of them, also where p rounds to 1

Scores know no threshold: windows become events afterwards, as often as wanted. A recording's arrays
appear whole or not at all, ``scores.json`` comes last. Class "noise" has no column.
"""

from __future__ import annotations

import shutil
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, Literal

import numpy as np
from pydantic import Field, ValidationError

from soundgate.audio.formats.record import (
    Record,
    read_record,
    write_record,
)
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

FORMAT: Final = "soundgate.scores/1"
SCORES: Final = "scores.json"
ARRAYS: Final = "arrays"
REMEDY: Final = "predict again"

_UNFINISHED: Final = "unfinished.json"

Seconds = Annotated[float, Field(gt=0)]
Moment = Annotated[float, Field(ge=0)]


class ScoredBy(Record):
    """The model; its name where it has one."""

    digest: str
    """SHA-256, of its files."""
    name: str | None = None


class ScoredRecording(Record):
    """A recording, or a region of one, whose windows were scored."""

    path: str
    """POSIX path of the audio file, as the corpus names it."""
    file: str
    """Of the arrays, relative to the folder of scores."""
    duration_s: Seconds
    """Of the whole file."""
    sample_rate_hz: int
    """Of the file; the model may have heard it at another rate."""
    region_start_s: Moment = 0.0
    """Where the first window begins."""
    region_end_s: Seconds
    """Where the last window ends; what it lacks up to its length is silence."""
    windows: Annotated[int, Field(ge=1)]


class ScoresFile(Record):
    """``scores.json``."""

    format: Literal["soundgate.scores/1"] = FORMAT
    model: ScoredBy
    window_s: Seconds
    hop_s: Seconds
    """From the start of a window to the next one's."""
    class_names: tuple[str, ...]
    """In the order of the columns."""
    recordings: tuple[ScoredRecording, ...] = ()
    """In the order in which they were asked for."""


@dataclass(frozen=True, slots=True)
class Windows:
    """The windows of a recording, in their order."""

    starts_s: NDArray[np.float64]
    """(window,), seconds from the start of the file."""
    scores: NDArray[np.float32]
    """(window, class), 0 to 1."""
    logits: NDArray[np.float32]
    """(window, class), the logarithms of the odds."""


@dataclass(frozen=True, slots=True)
class Scores:
    """A folder of scores; the arrays of a recording are read when they are asked for."""

    folder: Path
    about: ScoresFile

    def windows(self, row: ScoredRecording) -> Windows:
        """The arrays of a recording.

        Raises:
            DataError: its file is missing, damaged or does not fit ``scores.json``.
        """
        path = self.folder / row.file
        found = _read_arrays(path)
        shape = (row.windows, len(self.about.class_names))
        if found.starts_s.shape != shape[:1] or not (
            found.scores.shape == found.logits.shape == shape
        ):
            raise DataError(f"{path}: expected {shape[0]} windows of {shape[1]} classes; {REMEDY}")
        return found

    def __iter__(self) -> Iterator[tuple[ScoredRecording, Windows]]:
        """Yield every recording with its windows; memory holds one of them."""
        for row in self.about.recordings:
            yield row, self.windows(row)


def read_scores(folder: Path) -> Scores:
    """The scores in ``folder``.

    Raises:
        DataError: ``scores.json`` is missing, damaged or of another format.
    """
    return Scores(folder, read_record(folder / SCORES, ScoresFile, remedy=REMEDY))


def arrays_name(path: str, region_start_s: float = 0.0) -> str:
    """Where the arrays of a recording go: other recordings and regions never share it."""
    at = f"@{region_start_s:.17g}" if region_start_s else ""
    return f"{ARRAYS}/{path}{at}.npz"


class Writer:
    """Write a folder of scores, a recording at a time; what was written before is kept.

    A folder that was left unfinished is continued where ``about`` is the same, and emptied where it
    is another: ``finished`` says which recordings need not be scored again.
    """

    def __init__(self, folder: Path, about: ScoresFile) -> None:
        """Prepare to write into ``folder``, which is made if missing."""
        self._folder, self._about = folder, about
        mark = folder / _UNFINISHED
        folder.mkdir(parents=True, exist_ok=True)
        if _same(mark, about):
            return
        shutil.rmtree(folder / ARRAYS, ignore_errors=True)
        _write_whole(mark, about)

    def finished(self, path: str, region_start_s: float = 0.0) -> ScoredRecording | None:
        """The row of a recording whose arrays are there already."""
        file = self._folder / arrays_name(path, region_start_s)
        try:
            with np.load(file, allow_pickle=False) as arrays:
                return ScoredRecording.model_validate_json(str(arrays["row"]))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None

    def add(self, row: ScoredRecording, windows: Windows) -> None:
        """Write the arrays of a recording; they appear whole."""
        file = self._folder / row.file
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_name(f".{file.name}.partial")
        with partial.open("wb") as out:
            np.savez(
                out,
                starts_s=windows.starts_s,
                scores=windows.scores,
                logits=windows.logits,
                row=np.array(row.model_dump_json()),
            )
        partial.replace(file)

    def finish(self, rows: tuple[ScoredRecording, ...], into: Path | None = None) -> None:
        """Write ``scores.json``; ``into`` moves everything to another folder before."""
        folder = into or self._folder
        if into:
            into.mkdir(parents=True, exist_ok=True)
            for row in rows:
                (into / row.file).parent.mkdir(parents=True, exist_ok=True)
                shutil.move(self._folder / row.file, into / row.file)
        (self._folder / _UNFINISHED).unlink(missing_ok=True)
        _write_whole(folder / SCORES, self._about.model_copy(update={"recordings": rows}))


def _read_arrays(path: Path) -> Windows:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return Windows(
                arrays["starts_s"].astype(np.float64, copy=False),
                arrays["scores"].astype(np.float32, copy=False),
                arrays["logits"].astype(np.float32, copy=False),
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: cannot be read; {REMEDY}: {error}") from error


def _same(mark: Path, about: ScoresFile) -> bool:
    try:
        return ScoresFile.model_validate_json(mark.read_bytes()) == about
    except (OSError, ValidationError):
        return False


def _write_whole(path: Path, record: ScoresFile) -> None:
    partial = path.with_name(f".{path.name}.partial")
    write_record(partial, record)
    partial.replace(path)
