"""Files of evsonganaly: ``<recording>.not.mat``, the syllables of one song; read by crowsetta."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from soundgate.audio.clips.annotations.event import Event, checked
from soundgate.audio.clips.annotations.programs.textgrid import crowsetta_read
from soundgate.errors import unreadable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SUFFIX: Final = ".not.mat"


def read(path: Path, columns: Mapping[str, str] | None = None) -> list[Event]:
    """Read the syllables of one recording.

    Raises:
        DataError: it cannot be read or is damaged.
        MissingExtra: crowsetta is not installed.
    """
    del columns
    try:
        path.open("rb").close()
    except OSError as error:
        raise unreadable(path, error) from error
    found = crowsetta_read("notmat", path)
    file = path.name.removesuffix(SUFFIX)
    rows = zip(found.onsets, found.offsets, found.labels, strict=True)
    return [
        checked(
            Event(file=file, start_s=float(start), end_s=float(end), label=str(label)),
            f"{path}: syllable {number}",
        )
        for number, (start, end, label) in enumerate(rows, 1)
    ]
