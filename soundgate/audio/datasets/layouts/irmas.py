"""IRMAS (Bosch et al., ISMIR 2012): a folder an instrument to train, a text file a clip to test.

IRMAS-TrainingData/cel/008__[cel][nod][cla]0058__1.wav    instrument, drums, genre; track 0058
IRMAS-TestingData-Part1/Part1/01 - Title-8.wav, .txt      a label a line; part 8 of a recording
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from soundgate.audio.clips.manifest import Clip
from soundgate.audio.datasets.layouts.listing import (
    INSTRUMENTS,
    LayoutFolder,
    Listing,
    check_instrument,
)
from soundgate.audio.files import reading
from soundgate.errors import DataError, unreadable

if TYPE_CHECKING:
    from pathlib import Path

LABELS: Final = ".txt"
_EXCERPT: Final = re.compile(r".*?((?:\[[^\[\]]*\])+)(?:(\d+)__\d+)?")
_PART: Final = re.compile(r"(.+)-\d+")


def list_training(root: LayoutFolder) -> Listing:
    """The clips of a folder of folders: the folder's name is the label.

    Raises:
        DataError: a clip lies in no such folder, a folder is no instrument, or there is no clip.
    """
    clips = []
    for path in reading.find(root.folder):
        name = path.relative_to(root.folder).as_posix()
        if "/" not in name:
            raise DataError(f"{path}: is not in an instrument's folder: move it into one")
        label = path.parent.name
        check_instrument(str(path.parent), label, root.labels)
        clips.append(Clip(name, (label,), source=recording_of(path.stem), columns=tags(path.stem)))
    if not clips:
        raise DataError(f"{root.folder}: contains no audio: expected a folder an instrument")
    return Listing(clips, _judged(root))


def list_test(root: LayoutFolder) -> Listing:
    """The clips of a folder, each with a text file of labels beside it.

    Raises:
        DataError: a text file is missing, empty or names an unknown label, or there is no clip.
    """
    clips = []
    for path in reading.find(root.folder):
        labels = _read_labels(root, path)
        part = _PART.fullmatch(path.stem)
        source = f"irmas-test-{part[1]}" if part else None
        clips.append(Clip(path.relative_to(root.folder).as_posix(), labels, source=source))
    if not clips:
        raise DataError(f"{root.folder}: contains no audio: expected .wav files, each with .txt")
    return Listing(clips, _judged(root))


def recording_of(stem: str) -> str | None:
    """The track that an excerpt was cut from; None where the name does not say it."""
    found = _EXCERPT.fullmatch(stem)
    return f"irmas-{found[2]}" if found and found[2] else None


def tags(stem: str) -> dict[str, str]:
    """What stands in brackets in an excerpt's name: instrument, drums (where given) and genre."""
    found = _EXCERPT.fullmatch(stem)
    values = re.findall(r"\[([^\[\]]*)\]", found[1]) if found else []
    names = {2: ("instrument", "genre"), 3: ("instrument", "drums", "genre")}.get(len(values))
    return dict(zip(names, values, strict=True)) if names else {}


def _judged(root: LayoutFolder) -> frozenset[str]:
    return frozenset({*INSTRUMENTS, *root.labels})


def _read_labels(root: LayoutFolder, audio: Path) -> tuple[str, ...]:
    path = audio.with_suffix(LABELS)
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise DataError(f"{path}: is not UTF-8 text: write a label a line") from None
    except FileNotFoundError:
        raise DataError(f"{audio}: has no {path.name} beside it: write a label a line") from None
    except OSError as error:
        raise unreadable(path, error) from error
    found = []
    for number, line in enumerate(lines, 1):
        if label := line.strip():
            check_instrument(f"{path}:{number}", label, root.labels)
            found.append(label)
    if not found:
        raise DataError(f"{path}: names no label: write a label a line")
    return tuple(dict.fromkeys(found))
