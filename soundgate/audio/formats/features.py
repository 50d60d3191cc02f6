"""The folder of features: log-mel frames of all clips in one array, and a row for each clip.

    frames.npy      float16 (frame, mel), the frames of all clips one after another
    clips.jsonl     a row a clip: which frames are its own, labels, fold, split, source
    features.json   classes, and how to compute the same features again

Both large files are written as streams and read without loading them.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from soundgate.audio.config.sections.sound import FeatureExtraction, Preprocessing
from soundgate.audio.formats.front_end import FrontEnd
from soundgate.audio.formats.record import Record, read_lines, read_record
from soundgate.audio.formats.streamed import StreamedFolder, map_array
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from soundgate.audio.clips.manifest import Clip
    from soundgate.audio.formats.record import JsonObject

Frames: TypeAlias = NDArray[np.float16]

FRAMES = "frames.npy"
CLIPS = "clips.jsonl"
INFO = "features.json"
FORMAT: Final = "soundgate.features/1"

_REMEDY = "extract the features again"


@dataclass(frozen=True, slots=True)
class Row:
    """A clip and where its frames lie."""

    path: str
    """POSIX path of the audio file, relative to the folder of clips."""
    labels: tuple[str, ...]
    """Classes, each of them one of ``Info.classes``."""
    fold: int
    """Cross-validation fold, from 1."""
    split: str | None
    """"training", "validation" or "test", where the data set prescribes it."""
    source: str | None
    """The original recording: clips that share it are never split apart."""
    first_frame: int
    """Index of the clip's first frame."""
    frames: int
    """Number of the clip's frames."""
    duration_s: float
    """Length of the clip in seconds, before silence was removed."""
    start_s: float | None = None
    """First second in the file, where the clip is a segment of it."""
    end_s: float | None = None
    """Last second in the file, where the clip is a segment of it."""


@dataclass(frozen=True, slots=True)
class Info:
    """What the features are."""

    classes: tuple[str, ...]
    """Sorted; "other" among them where a garbage class is used."""
    multi_label: bool
    preprocessing: Preprocessing
    feature_extraction: FeatureExtraction

    @property
    def front_end(self) -> FrontEnd:
        """How the features were made of the audio."""
        return FrontEnd(self.preprocessing, self.feature_extraction)


class InfoFile(Record):
    """``features.json``."""

    format: Literal["soundgate.features/1"] = FORMAT
    classes: tuple[str, ...]
    multi_label: bool
    sample_rate_hz: int | None = None
    """Of ``preprocessing``, for readers that know no sections."""
    preprocessing: Preprocessing
    feature_extraction: FeatureExtraction


class Writer:
    """Write a folder of features clip by clip; its files appear when all of it is written.

    Used as a context manager; an exception inside leaves no file behind.
    """

    def __init__(self, folder: Path, info: Info) -> None:
        """Prepare to write ``info`` and its clips into ``folder``, which is made if missing."""
        self._bands = info.feature_extraction.n_mels
        self._folder = StreamedFolder(
            folder, (FRAMES, CLIPS, INFO), _as_json(info), np.dtype("<f2"), (self._bands,)
        )

    def __enter__(self) -> Self:
        """Open the files under temporary names."""
        self._folder.__enter__()
        return self

    def add(
        self,
        frames: Frames,
        clip: Clip,
        *,
        labels: tuple[str, ...],
        fold: int,
        source: str | None,
        duration_s: float,
    ) -> None:
        """Append a clip with its ``frames``, float16 (frame, mel), its classes and source here."""
        assert frames.dtype == np.float16
        assert frames.shape[1] == self._bands
        row = Row(
            *(clip.path, labels, fold, clip.split, source),
            *(self._folder.count, len(frames), round(duration_s, 6), clip.start_s, clip.end_s),
        )
        self._folder.add(frames, asdict(row))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Complete the files and give them their names, or remove them after an error."""
        self._folder.__exit__(kind, error, traceback)


def read_frames(folder: Path) -> Frames:
    """All frames, float16 (frame, mel), mapped from the file rather than loaded.

    Raises:
        DataError: the file is missing or damaged.
    """
    frames: Frames = map_array(folder / FRAMES, remedy=_REMEDY)
    if frames.dtype != np.float16 or frames.ndim != 2:
        raise DataError(f"{folder / FRAMES}: expected float16 (frame, mel); {_REMEDY}")
    return frames


def read_rows(folder: Path) -> Iterator[Row]:
    """The rows of all clips, in the order of their frames.

    Raises:
        DataError: the file is missing, damaged, or its frames do not follow one another.
    """
    path = folder / CLIPS
    expected = 0
    for number, row in enumerate(read_lines(path, _row, remedy=_REMEDY), 1):
        if row.first_frame != expected:
            raise DataError(
                f"{path}:{number}: first_frame {row.first_frame} should be {expected}; {_REMEDY}"
            )
        expected += row.frames
        yield row


def _row(fields: JsonObject) -> Row:
    return Row(**(fields | {"labels": tuple(fields["labels"])}))


def read_info(folder: Path) -> Info:
    """What the features in ``folder`` are.

    Raises:
        DataError: the file is missing, damaged or of another format.
    """
    found = read_record(folder / INFO, InfoFile, remedy=_REMEDY)
    return Info(found.classes, found.multi_label, found.preprocessing, found.feature_extraction)


def _as_json(info: Info) -> JsonObject:
    return InfoFile(
        classes=info.classes,
        multi_label=info.multi_label,
        sample_rate_hz=info.preprocessing.target_rate,
        preprocessing=info.preprocessing,
        feature_extraction=info.feature_extraction,
    ).as_json()
