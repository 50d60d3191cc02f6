"""Figures of every clip, gathered while features are extracted: no clip is decoded for them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from soundgate.errors import printable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from soundgate.audio.clips.manifest import Clip
    from soundgate.audio.clips.selection import Member
    from soundgate.audio.files.levels import Levels
    from soundgate.errors import DataError


@dataclass(frozen=True, slots=True)
class MeasuredClip:
    """A clip that was decoded."""

    name: str
    """Path, and the segment where it is one."""
    labels: tuple[str, ...]
    side: str
    """Its split; "fold 1" where the data set brings no split."""
    duration_s: float
    levels: Levels
    content: bytes
    """Digest of its samples: equal for clips that sound exactly alike, whatever their files are."""


@dataclass(frozen=True, slots=True)
class Unread:
    """A clip that was left out."""

    labels: tuple[str, ...]
    reason: str
    """The error, which names the file."""


@dataclass(slots=True)
class Collection:
    """Clips in the order of their manifest."""

    measured: list[MeasuredClip] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)

    def decoded(
        self, clip: Clip, member: Member, samples: NDArray[np.float32], levels: Levels
    ) -> None:
        """Add a clip as it was decoded: samples float32 (sample,), and its levels."""
        digest = hashlib.blake2b(samples.tobytes(), digest_size=16).digest()
        duration_s = levels.frames / levels.rate_hz
        side = clip.split or f"fold {member.fold}"
        self.measured.append(
            MeasuredClip(_name(clip), member.labels, side, duration_s, levels, digest)
        )

    def failed(self, clip: Clip, member: Member, error: DataError) -> None:
        """Add a clip that cannot be used."""
        del clip  # the error names it
        self.unread.append(Unread(member.labels, str(error)))


def _name(clip: Clip) -> str:
    path = printable(clip.path)
    if clip.start_s is None and clip.end_s is None:
        return path
    end = "" if clip.end_s is None else f"{clip.end_s:g}"
    return f"{path} [{clip.start_s or 0:g}..{end} s]"
