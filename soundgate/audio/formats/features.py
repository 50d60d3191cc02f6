"""The folder of features: log-mel frames of all clips in one array, and a row for each clip.

    frames.npy      float16 (frame, mel), the frames of all clips one after another
    clips.jsonl     a row a clip: which frames are its own, labels, fold, split, source
    features.json   classes, and how to compute the same features again

Both large files are written as streams and read without loading them.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, BinaryIO, Final, Literal, Self, TextIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

from soundgate.audio.config.sections.sound import FeatureExtraction, Preprocessing
from soundgate.audio.formats.front_end import FrontEnd
from soundgate.audio.formats.record import Record, read_lines, read_record, write_object
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
        self._folder, self._info = folder, info
        self._bands = info.feature_extraction.n_mels
        self._count = 0

    def __enter__(self) -> Self:
        """Open the files under temporary names."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._frames: BinaryIO = self._temporary(FRAMES).open("wb")
        self._rows: TextIO = self._temporary(CLIPS).open("w", encoding="utf-8", newline="\n")
        self._head = self._write_header()
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
            *(self._count, len(frames), round(duration_s, 6), clip.start_s, clip.end_s),
        )
        self._frames.write(np.ascontiguousarray(frames).data)
        self._rows.write(json.dumps(asdict(row), ensure_ascii=False) + "\n")
        self._count += len(frames)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Complete the files and give them their names, or remove them after an error."""
        try:
            if kind is None:
                self._frames.seek(0)
                length = self._write_header()
                assert length == self._head, "the header leaves room for the number of frames"
        finally:
            self._frames.close()
            self._rows.close()
        if kind is None:
            write_object(self._temporary(INFO), _as_json(self._info))
        for name in (FRAMES, CLIPS, INFO):
            if kind is None:
                self._temporary(name).replace(self._folder / name)
            else:
                self._temporary(name).unlink(missing_ok=True)

    def _temporary(self, name: str) -> Path:
        return self._folder / f".{name}.partial"

    def _write_header(self) -> int:
        """Write the .npy header; numpy pads it so that the number of rows may grow."""
        np.lib.format.write_array_header_1_0(
            self._frames,
            {
                "descr": np.lib.format.dtype_to_descr(np.dtype("<f2")),
                "fortran_order": False,
                "shape": (self._count, self._bands),
            },
        )
        return self._frames.tell()


def read_frames(folder: Path) -> Frames:
    """All frames, float16 (frame, mel), mapped from the file rather than loaded.

    Raises:
        DataError: the file is missing or damaged.
    """
    path = folder / FRAMES
    try:
        frames: Frames = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: cannot be read; {_REMEDY}: {error}") from error
    if frames.dtype != np.float16 or frames.ndim != 2:
        raise DataError(f"{path}: expected float16 (frame, mel); {_REMEDY}")
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
