"""A ``features/`` folder as training and evaluation see it: clips, classes, frames, targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from soundgate.audio.formats import features as feature_files
from soundgate.errors import DataError, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from soundgate.audio.formats.features import Frames, Info, Row


@dataclass(frozen=True)
class FeatureSet:
    """The clips of a ``features/`` folder; their frames stay on disk until they are used."""

    folder: Path
    info: Info
    rows: list[Row]
    frames: Frames
    """Memory-mapped float16 ``(frame, mel)``, the clips one after another."""

    def clip_frames(self, row: Row) -> Frames:
        """The frames ``(frame, mel)`` of one clip."""
        return self.frames[row.first_frame : row.first_frame + row.frames]

    def targets(self, rows: Sequence[Row]) -> npt.NDArray[np.bool_]:
        """Bool ``(clip, class)``: which classes each of ``rows`` carries.

        Raises:
            DataError: a label is no class, or a clip has not exactly one where it must.
        """
        index = {name: k for k, name in enumerate(self.info.classes)}
        targets = np.zeros((len(rows), len(index)), np.bool_)
        for number, row in enumerate(rows):
            for label in row.labels:
                if label not in index:
                    raise self._error(row, f"label {label!r} is not a class{nearest(label, index)}")
                targets[number, index[label]] = True
            if not self.info.multi_label and targets[number].sum() != 1:
                raise self._error(
                    row, f"has {len(row.labels)} labels; give it one, or set dataset.multi_label"
                )
        return targets

    def _error(self, row: Row, problem: str) -> DataError:
        return DataError(f"{self.folder / feature_files.CLIPS}: clip {row.path!r}: {problem}")


def read_features(folder: Path) -> FeatureSet:
    """Open a ``features/`` folder.

    Raises:
        DataError: a file is missing, of another format, or the files do not fit one another.
    """
    info = feature_files.read_info(folder)
    rows = list(feature_files.read_rows(folder))
    frames = feature_files.read_frames(folder)
    expected = (sum(row.frames for row in rows), info.feature_extraction.n_mels)
    if frames.shape != expected:
        raise DataError(
            f"{folder / feature_files.FRAMES}: shape {frames.shape} where the other files say "
            f"{expected}; extract the features again"
        )
    empty = next((row.path for row in rows if row.frames < 1), None)
    if empty is not None:
        raise DataError(
            f"{folder / feature_files.CLIPS}: clip {empty!r} has no frames; leave it out"
        )
    return FeatureSet(folder, info, rows, frames)
