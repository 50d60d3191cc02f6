"""Files to clips, within limits; called from threads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final, Literal

from soundgate.audio.files import reading
from soundgate.audio.formats.predictions import Failure
from soundgate.audio.prediction.listing import Segment
from soundgate.audio.prediction.reading import DecodedClip, Part, clips
from soundgate.errors import DataError, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from soundgate.audio.prediction.settings import Lengths
    from soundgate.audio.serving.settings import ServiceSettings

MEBIBYTE: Final = 1 << 20
_FLOAT32_BYTES: Final = 4

Reason = Literal["unsupported", "damaged", "too_large"]


class Refused(Exception):
    """A recording that is not scored; the text is for the client, without paths of this machine."""

    def __init__(self, reason: Reason, text: str) -> None:
        """Take why, in a word and in a line."""
        super().__init__(printable(text))
        self.reason: Reason = reason


@dataclass(frozen=True, slots=True)
class Recording:
    """A file that was looked at, not yet decoded."""

    path: Path
    name: str
    """What the client calls it."""
    duration_s: float


def look(path: Path, name: str, settings: ServiceSettings) -> Recording:
    """Read a file's header, and refuse what is longer or larger than allowed.

    Raises:
        Refused: it is no audio, damaged, or too large.
    """
    try:
        info = reading.info(path)
    except DataError as error:
        raise _refused(path, name, error) from error
    if info.duration_s > settings.max_duration_s:
        raise Refused(
            "too_large",
            f"{name}: {info.duration_s:.0f} s exceed the {settings.max_duration_s:g} s that this "
            "service takes; cut the recording",
        )
    decoded = info.frames * info.channels * _FLOAT32_BYTES
    if decoded > settings.max_decoded_mb * MEBIBYTE:
        raise Refused(
            "too_large",
            f"{name}: {info.channels} channels at {info.rate_hz} Hz are "
            f"{decoded // MEBIBYTE} MiB once decoded, more than {settings.max_decoded_mb} MiB; "
            "cut the recording",
        )
    return Recording(path, name, info.duration_s)


def decoded(
    recording: Recording, lengths: Lengths, stopped: Callable[[], bool]
) -> Iterator[DecodedClip]:
    """Yield the clips of a recording, as ``predict`` cuts them, until ``stopped`` says so.

    Raises:
        Refused: it is damaged.
    """
    path = recording.path
    part = Part(Segment(path.name), None)
    for clip in clips(path.parent, part, lengths):
        if stopped():
            return
        if isinstance(clip, Failure):
            raise Refused("damaged", f"{recording.name}: {clip.reason}")
        yield clip


def stem(name: str) -> str:
    """A file's name without folders and ending, as answers of older services have it."""
    return PurePosixPath(name).stem


def _refused(path: Path, name: str, error: DataError) -> Refused:
    text = str(error).removeprefix(f"{path}: ")
    return Refused("unsupported" if "is not audio" in text else "damaged", f"{name}: {text}")
