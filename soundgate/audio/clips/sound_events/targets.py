"""Events of a clip as what a network should say: a value for each frame and class.

A frame counts as active where an event touches any part of it. Where events of one class overlap,
the larger confidence counts, whichever row stands first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from soundgate.audio.clips.sound_events.label_space import LabelSpace

_SLACK: Final = 1e-6
"""Of a frame: 0.576 / 0.064 is a little more than 9."""


@dataclass(frozen=True, slots=True)
class LabelledEvent:
    """An event of a clip."""

    label: str
    onset_s: float
    offset_s: float
    confidence: float = 1.0
    """0 to 1: the share of annotators who heard it."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The frames of a network's output."""

    frames: int
    frame_s: float

    def covered(self, onset_s: float, offset_s: float) -> range:
        """Frames that a stretch touches; none where it lies behind the last one."""
        if offset_s <= onset_s:
            return range(0)
        first = math.floor(onset_s / self.frame_s + _SLACK)
        end = math.ceil(offset_s / self.frame_s - _SLACK)
        return range(min(max(first, 0), self.frames), min(max(end, 0), self.frames))

    @property
    def edges_s(self) -> NDArray[np.float64]:
        """Where frames begin and the last one ends, float64 (frame + 1,)."""
        return np.arange(self.frames + 1, dtype=np.float64) * self.frame_s


def strong(
    events: Iterable[LabelledEvent], space: LabelSpace, dataset: str, grid: Grid
) -> NDArray[np.float32]:
    """Targets of each frame, float32 (frame, class): 0 to 1.

    Args:
        events: of the clip, of the data set's own classes; aliases are added.
        space: all classes.
        dataset: the clip's.
        grid: the frames.

    Raises:
        DataError: the data set is unknown.
    """
    places = {name: at for at, name in enumerate(space.classes)}
    found = np.zeros((grid.frames, len(places)), np.float32)
    for event in events:
        frames = grid.covered(event.onset_s, event.offset_s)
        for name in space.implied(dataset, event.label):
            part = found[frames.start : frames.stop, places[name]]
            np.maximum(part, np.float32(event.confidence), out=part)
    return found


def weak(labels: Sequence[str], space: LabelSpace, dataset: str) -> NDArray[np.float32]:
    """Targets of a clip, float32 (class,): 1 for its labels and their aliases.

    Raises:
        DataError: the data set is unknown.
    """
    present = {name for label in labels for name in space.implied(dataset, label)}
    return np.array([name in present for name in space.classes], np.float32)
