"""The folder of waveforms: the samples of all clips in one array, and a row for each clip.

    waveforms.npy     float32 (sample,), mono, the samples of all clips one after another
    clips.jsonl       a row a clip: its samples, labels, split, recording, what is not annotated
    waveforms.json    sample rate and labels

Systems that compute their front end on the device that trains read waveforms; the array is mapped,
so a data set may be larger than the memory.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Final, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from soundgate.audio.formats.record import Record, read_lines, read_record
from soundgate.audio.formats.streamed import StreamedFolder, map_array
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    from soundgate.audio.clips.manifest import Clip
    from soundgate.audio.formats.record import JsonObject

Waveform: TypeAlias = NDArray[np.float32]
"""Samples (sample,), full scale 1."""

WAVEFORMS: Final = "waveforms.npy"
CLIPS: Final = "clips.jsonl"
INFO: Final = "waveforms.json"
FORMAT: Final = "soundgate.waveforms/1"
POSITIVE: Final = 0.5
"""Probability from which a label counts as present, as OpenMIC's authors count it."""

_REMEDY = "prepare the clips again"


@dataclass(frozen=True, slots=True)
class Row:
    """A clip and where its samples lie."""

    path: str
    """POSIX path of the audio file, relative to the folder of clips."""
    labels: tuple[str, ...]
    """Labels of the clip, each of them one of ``WaveformSet.labels``; there may be none."""
    split: str
    """"training", "validation" or "test"; "" where the clips are only to be predicted."""
    group: str
    """The original recording: clips that share it are never split apart."""
    first_sample: int
    """Index of the clip's first sample."""
    samples: int
    """Number of the clip's samples."""
    start_s: float | None = None
    """First second in the file, where the clip is a segment of it."""
    end_s: float | None = None
    """Last second in the file, where the clip is a segment of it."""
    judged: dict[str, float] | None = field(default=None, hash=False)
    """Probability of each label that was looked for; None: all labels were, and are certain."""
    columns: dict[str, str] = field(default_factory=dict, hash=False)
    """What else the data set says of the clip, "genre" say."""


class WaveformsFile(Record):
    """``waveforms.json``."""

    format: Literal["soundgate.waveforms/1"] = FORMAT
    sample_rate_hz: int
    labels: tuple[str, ...]
    """All labels, in the order of a network's outputs."""


class Writer:
    """Write a folder of waveforms clip by clip; its files appear when all of it is written.

    Used as a context manager; an exception inside leaves no file behind.
    """

    def __init__(self, folder: Path, *, sample_rate_hz: int, labels: Sequence[str]) -> None:
        """Prepare to write into ``folder``, which is made if missing."""
        info = WaveformsFile(sample_rate_hz=sample_rate_hz, labels=tuple(labels))
        names = (WAVEFORMS, CLIPS, INFO)
        self._folder = StreamedFolder(folder, names, info.as_json(), np.dtype("<f4"))

    def __enter__(self) -> Self:
        """Open the files under temporary names."""
        self._folder.__enter__()
        return self

    def add(self, waveform: Waveform, clip: Clip) -> None:
        """Append a clip with its samples, float32 (sample,)."""
        row = Row(
            *(clip.path, clip.labels, clip.split or "", recording(clip), self._folder.count),
            *(waveform.size, clip.start_s, clip.end_s, clip.judged, clip.columns),
        )
        self._folder.add(waveform, asdict(row))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Complete the files and give them their names, or remove them after an error."""
        self._folder.__exit__(kind, error, traceback)


def recording(clip: Clip) -> str:
    """Name of a clip's original recording, equal for clips that must stay together."""
    return ":".join(clip.recording)


@dataclass(frozen=True, slots=True)
class WaveformSet:
    """The clips of a data set."""

    sample_rate_hz: int
    labels: tuple[str, ...]
    """In the order of a network's outputs."""
    rows: tuple[Row, ...]
    """In the order of the manifest."""
    samples: Waveform
    """The samples of all clips one after another, float32 (sample,), mapped from the file."""

    def of(self, split: str) -> tuple[Row, ...]:
        """The rows of a split, "training", "validation" or "test", in their order."""
        return tuple(row for row in self.rows if row.split == split)

    def waveform(self, row: Row) -> Waveform:
        """Samples of a clip, float32 (sample,); a view that cannot be written to."""
        return self.samples[row.first_sample : row.first_sample + row.samples]

    def targets(self, rows: Sequence[Row]) -> NDArray[np.float32]:
        """What is to be predicted, 0 or 1, float32 (clip, label); 0 where nothing is known."""
        found = np.zeros((len(rows), len(self.labels)), np.float32)
        for at, row in enumerate(rows):
            present = frozenset(row.labels)
            found[at] = [label in present for label in self.labels]
        return found

    def probabilities(self, rows: Sequence[Row]) -> NDArray[np.float32]:
        """How sure the annotators are, 0 to 1, float32 (clip, label); 0 where nothing is known."""
        found = self.targets(rows)
        for at, row in enumerate(rows):
            if row.judged is not None:
                found[at] = [row.judged.get(label, 0.0) for label in self.labels]
        return found

    def mask(self, rows: Sequence[Row]) -> NDArray[np.bool_]:
        """Which labels were looked for in each clip, bool (clip, label)."""
        found = np.ones((len(rows), len(self.labels)), np.bool_)
        for at, row in enumerate(rows):
            if row.judged is not None:
                found[at] = [label in row.judged for label in self.labels]
        return found

    def groups(self, rows: Sequence[Row]) -> tuple[str, ...]:
        """The recording of each clip, for figures that are drawn over recordings."""
        return tuple(row.group for row in rows)


def read_waveforms(folder: Path) -> WaveformSet:
    """The waveforms in ``folder``; its samples are mapped rather than loaded.

    Raises:
        DataError: a file is missing, damaged, of another format, or does not fit the others.
    """
    info = read_record(folder / INFO, WaveformsFile, remedy=_REMEDY)
    samples: Waveform = map_array(folder / WAVEFORMS, remedy=_REMEDY)
    if samples.dtype != np.float32 or samples.ndim != 1:
        raise DataError(f"{folder / WAVEFORMS}: expected float32 (sample,); {_REMEDY}")
    rows = tuple(_checked(folder / CLIPS, read_rows(folder), info.labels))
    end = rows[-1].first_sample + rows[-1].samples if rows else 0
    if end != samples.size:
        raise DataError(
            f"{folder / WAVEFORMS}: holds {samples.size} samples, but {CLIPS} lists {end}; "
            f"{_REMEDY}"
        )
    return WaveformSet(info.sample_rate_hz, info.labels, rows, samples)


def read_rows(folder: Path) -> Iterator[Row]:
    """The rows of all clips, in their order.

    Raises:
        DataError: the file is missing or damaged.
    """
    return read_lines(folder / CLIPS, _row, remedy=_REMEDY)


def _row(fields: JsonObject) -> Row:
    return Row(**(fields | {"labels": tuple(fields["labels"])}))


def _checked(path: Path, rows: Iterable[Row], labels: Sequence[str]) -> Iterator[Row]:
    expected, known = 0, frozenset(labels)
    for number, row in enumerate(rows, 1):
        if row.first_sample != expected:
            raise DataError(
                f"{path}:{number}: first_sample {row.first_sample} should be {expected}; {_REMEDY}"
            )
        if unknown := sorted({*row.labels, *(row.judged or ())} - known):
            raise DataError(f"{path}:{number}: label {unknown[0]!r} is not in {INFO}; {_REMEDY}")
        expected += row.samples
        yield row
