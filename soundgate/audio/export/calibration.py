"""The clips, and their patches, from which the ranges of an int8 network are learnt."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from soundgate.audio.clips.manifest import read_manifest
from soundgate.audio.clips.splits import TRAINING
from soundgate.audio.files import reading
from soundgate.audio.formats.model import rows_of
from soundgate.audio.signal.log_mel import clip_frames
from soundgate.errors import ConfigError, DataError
from soundgate.text.progress import track

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt
    from torch import Tensor

    from soundgate.audio.formats.feature_set import FeatureSet
    from soundgate.audio.formats.model import Description

    Array = npt.NDArray[Any]

BATCH_SIZE = 32


class SplitRow(Protocol):
    """A clip of a data set, of features or of waveforms."""

    @property
    def path(self) -> str:
        """Of its file."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Its classes."""

    @property
    def start_s(self) -> float | None:
        """Where it begins in its file."""

    @property
    def end_s(self) -> float | None:
        """Where it ends."""


RowT = TypeVar("RowT", bound=SplitRow)


class Feed(Protocol):
    """From a clip to what a network takes."""

    def patches(self, frames: Array, *, at_most: int) -> Iterator[Array]:
        """Cut a clip, (frame, mel) or (sample,), into groups of patches (patch, ...)."""

    def standardised(self, patches: Array) -> Tensor:
        """What the network takes of patches (patch, ...)."""


@dataclass
class Calibration:
    """Clips to calibrate with; ``patches`` counts what was read of them."""

    source: str
    """"training" or "folder"."""
    clips: Sequence[str]
    frames: Iterator[Array]
    """Of each clip the log-mel frames (frame, mel), or the samples (sample,)."""
    patches: int = 0

    def batches(self, feed: Feed) -> Iterator[Array]:
        """What the network takes of patches, float32 (batch, ...)."""
        frames = track(self.frames, total=len(self.clips), label="calibrating")
        pieces = (piece for one in frames for piece in feed.patches(one, at_most=BATCH_SIZE))
        for group in _grouped(pieces):
            self.patches += len(group)
            yield feed.standardised(group).cpu().numpy()


def of_training(clips: FeatureSet, model: Path, share: float | None, seed: int) -> Calibration:
    """A share of the clips that the model was trained with, of every class alike.

    Which clips depends on the seed and their own names alone.

    Args:
        clips: the features of the data set.
        model: folder with ``split.jsonl``.
        share: 0 to 1; None: all.
        seed: of the choice.

    Raises:
        ConfigError: the share leaves no clip.
    """
    rows = share_of(rows_of(model, clips.rows, TRAINING), share, seed)
    names = [row.path for row in rows]
    return Calibration("training", names, (clips.clip_frames(row) for row in rows))


def of_folder(folder: Path, description: Description) -> Calibration:
    """All clips of a ``clips/`` folder, or of any folder with audio files below it.

    Raises:
        DataError: there is no audio, or, later, a file cannot be decoded.
    """
    segments = segments_of(folder)
    settings = (description.preprocessing, description.feature_extraction)
    frames = (
        clip_frames(folder / name, *settings, start_s=start_s, end_s=end_s)
        for name, start_s, end_s in segments
    )
    return Calibration("folder", [name for name, _, _ in segments], frames)


def segments_of(folder: Path) -> list[tuple[str, float | None, float | None]]:
    """Path, begin and end (seconds; None: of the file) of each clip of a folder.

    Raises:
        DataError: there is no audio.
    """
    if (folder / "manifest.jsonl").is_file():
        segments = [
            (clip.path, clip.start_s, clip.end_s)
            for clip in read_manifest(folder, allow_unlabelled=True)
        ]
    else:
        segments = [
            (path.relative_to(folder).as_posix(), None, None) for path in reading.find(folder)
        ]
    if not segments:
        raise DataError(f"{folder}: contains no audio for calibration; give another folder")
    return segments


def share_of(rows: Sequence[RowT], share: float | None, seed: int) -> list[RowT]:
    """At least one clip of every class; one of several classes stands for its first.

    Args:
        rows: training clips.
        share: 0 to 1; None: all.
        seed: of the choice.

    Raises:
        ConfigError: the share leaves no clip.
    """
    if share is None:
        return list(rows)
    if share == 0:
        raise ConfigError(
            "dataset.quantization_split: 0 leaves no clips for calibration; give a share above 0, "
            "or null for all training clips"
        )
    order = sorted(range(len(rows)), key=lambda k: _rank(rows[k], seed))
    kept: set[int] = set()
    for label in {row.labels[:1] for row in rows}:
        alike = [k for k in order if rows[k].labels[:1] == label]
        kept.update(alike[: max(1, round(share * len(alike)))])
    return [row for k, row in enumerate(rows) if k in kept]


def _rank(row: SplitRow, seed: int) -> bytes:
    return hashlib.sha256(f"{seed} {row.path} {row.start_s} {row.end_s}".encode()).digest()


def _grouped(pieces: Iterator[Array]) -> Iterator[Array]:
    """Batches of one size from pieces of a few patches each; patches of a batch are of one shape.

    The last one is smaller, and so is one before patches of another shape.
    """
    single = (patch for piece in pieces for patch in piece)
    for _, alike in itertools.groupby(single, key=lambda patch: patch.shape):
        while group := list(itertools.islice(alike, BATCH_SIZE)):
            yield np.stack(group)
