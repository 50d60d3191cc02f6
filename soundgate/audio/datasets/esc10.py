"""ESC-10: 400 clips of 5 s, ten classes of 40, five folds.

Two layouts: the original one, ``NNN - Class name/FOLD-ID-TAKE.ogg``, of which folds may be absent,
and the ten classes within a checkout of ESC-50. Classes are spelt as ESC-50 spells them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from soundgate.audio.clips.manifest import Clip
from soundgate.audio.datasets import csv_labels, esc50, esc_names
from soundgate.audio.datasets.base import Dataset, NoOptions, Source, check_folder
from soundgate.errors import DataError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_FOLDERS: Final = {
    "001 - Dog bark": "dog",
    "002 - Rain": "rain",
    "003 - Sea waves": "sea_waves",
    "004 - Baby cry": "crying_baby",
    "005 - Clock tick": "clock_tick",
    "006 - Person sneeze": "sneezing",
    "007 - Helicopter": "helicopter",
    "008 - Chainsaw": "chainsaw",
    "009 - Rooster": "rooster",
    "010 - Fire crackling": "crackling_fire",
}
CLASSES: Final = frozenset(_FOLDERS.values())
_CLASS_FOLDER: Final = re.compile(r"\d{3} - .+")


def list_clips(source: Source, _options: NoOptions) -> Iterator[Clip]:
    """Yield the clips of either layout; paths are relative to ``source.audio``.

    Raises:
        DataError: the folder has neither layout, or a file of it is wrong.
    """
    check_folder(source)
    folders = sorted(
        entry
        for entry in source.audio.iterdir()
        if entry.is_dir() and _CLASS_FOLDER.fullmatch(entry.name)
    )
    if folders and source.labels is None:
        return _original(source.audio, folders)
    return _within_esc50(source)


def _original(root: Path, folders: Sequence[Path]) -> Iterator[Clip]:
    from soundgate.audio.files import reading

    for folder in folders:
        label = _FOLDERS.get(folder.name)
        if label is None:
            raise DataError(f"{folder}: is not a class of ESC-10{nearest(folder.name, _FOLDERS)}")
        for path in reading.find(folder):
            named = esc_names.parse(path.stem)
            if named is None:
                raise DataError(
                    f"{path}: is not named FOLD-ID-TAKE as in ESC-10: restore the original name"
                )
            relative = path.relative_to(root).as_posix()
            yield Clip(relative, (label,), named.fold, source=named.source)


def _within_esc50(source: Source) -> Iterator[Clip]:
    rows = csv_labels.read_rows(esc50.find_table(source))
    return esc50.checked_clips(source.audio, (row for row in rows if row.labels[0] in CLASSES))


DATASET: Final = Dataset(
    name="ESC-10",
    title="ESC-10: ten classes of the Dataset for Environmental Sound Classification",
    licence="CC BY 3.0 (single clips CC0, CC BY or CC Sampling+)",
    citation=esc50.CITATION,
    homepage=esc50.HOMEPAGE,
    size="400 clips, 0.6 h, 0.6 GB (within ESC-50)",
    options=NoOptions,
    folds=lambda _options: esc50.FOLDS,
    labels="The one class that the whole clip was chosen for; it need not sound all the time.",
    list_clips=list_clips,
    download_command=esc50.DOWNLOAD_COMMAND,
    clips_per_class=dict.fromkeys(sorted(CLASSES), 40),
)
