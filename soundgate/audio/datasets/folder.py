"""A folder for each class, named like it; clips may lie in folders below.

Folders named train and test (or val, dev, eval and the like) that hold the same class folders are
the data set's own split.

Clips whose names are like those of ESC (``1-100032-A.wav``) keep their source, so that clips of one
recording are not split apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from soundgate.audio.clips.manifest import Clip
from soundgate.audio.datasets import esc_names
from soundgate.audio.datasets.base import Dataset, Source, check_class, check_folder, option
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


SPLIT_NAMES: Final = {
    **dict.fromkeys(("train", "training", "dev", "development"), "training"),
    **dict.fromkeys(("val", "valid", "validate", "validation"), "validation"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
}
"""Usual names of split folders, in lower case."""


@dataclass(frozen=True, slots=True)
class Options:
    """How the folders are read."""

    classes: tuple[str, ...] = option((), key="dataset.class_names")
    """The only class names allowed; empty: any folder is a class."""


def list_clips(source: Source, options: Options) -> Iterator[Clip]:
    """Yield the clips of every class folder, sorted; paths are relative to ``source.audio``.

    Raises:
        DataError: audio outside of any class folder, a class folder without audio, an unknown
            class, or folders that are named like splits but do not hold the same classes.
    """
    check_folder(source)
    folders = _class_folders(source.audio)
    splits = [] if set(folders) <= set(options.classes) else _splits(source.audio, folders)
    if not splits:
        yield from _clips(source.audio, source.audio, folders, options, None)
    for name, inside in splits:
        split = SPLIT_NAMES[name.lower()]
        yield from _clips(source.audio, source.audio / name, inside, options, split)


def _class_folders(folder: Path) -> list[str]:
    """Names of the folders in a folder, sorted; audio beside them is an error."""
    from soundgate.audio.files import reading

    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    for entry in entries:
        if entry.suffix.lower() in reading.EXTENSIONS and entry.is_file():
            raise DataError(f"{entry}: is not in a class folder: move it into one")
    return [entry.name for entry in entries if entry.is_dir()]


def _splits(folder: Path, names: list[str]) -> list[tuple[str, list[str]]]:
    """Split folders and the class folders in each; none where the folders are classes.

    One such name alone may be a class: a train is a vehicle, a test a sound.
    """
    named = [name for name in names if name.lower() in SPLIT_NAMES]
    if len({SPLIT_NAMES[name.lower()] for name in named}) < 2:
        return []
    if others := sorted(set(names) - set(named)):
        raise DataError(
            f"{folder}: {', '.join(named)} are names of splits, but {others[0]} stands beside "
            "them: move it away, or list the classes in dataset.class_names"
        )
    found = [(name, _class_folders(folder / name)) for name in named]
    (first, classes), *rest = found
    for name, inside in rest:
        if inside != classes:
            differs = min(set(inside) ^ set(classes))
            raise DataError(
                f"{folder}: {first} and {name} look like splits, but only one of them has the "
                f"class folder {differs!r}: give both the same class folders"
            )
    if not classes:
        raise DataError(f"{folder / first}: is a split without class folders: add them")
    return found


def _clips(
    root: Path, folder: Path, names: list[str], options: Options, split: str | None
) -> Iterator[Clip]:
    """Clips of the class folders ``names``; their paths are relative to ``root``."""
    from soundgate.audio.files import reading

    for name in names:
        entry = folder / name
        check_class(str(entry), name, options.classes)
        found = False
        for path in reading.find(entry):
            named = esc_names.parse(path.stem)
            relative = path.relative_to(root).as_posix()
            yield Clip(relative, (name,), split=split, source=named.source if named else None)
            found = True
        if not found:
            raise DataError(f"{entry}: class folder without audio: add clips or delete the folder")


DATASET: Final = Dataset(
    size="yours",
    name="folder",
    title="A folder for each class",
    licence="not stated",
    citation="",
    homepage="",
    labels="The class whose folder the clip lies in.",
    list_clips=list_clips,
    options=Options,
    brought_by_user=True,
)
