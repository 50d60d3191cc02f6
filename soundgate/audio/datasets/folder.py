"""A folder for each class, named like it; clips may lie in folders below.

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


@dataclass(frozen=True, slots=True)
class Options:
    """How the folders are read."""

    classes: tuple[str, ...] = option((), key="dataset.class_names")
    """The only class names allowed; empty: any folder is a class."""


def list_clips(source: Source, options: Options) -> Iterator[Clip]:
    """Yield the clips of every class folder, sorted; paths are relative to ``source.audio``.

    Raises:
        DataError: audio outside of any class folder, a class folder without audio, or an unknown
            class.
    """
    from soundgate.audio.files import reading

    check_folder(source)
    for entry in sorted(source.audio.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.suffix.lower() in reading.EXTENSIONS and entry.is_file():
            raise DataError(f"{entry}: is not in a class folder: move it into one")
        if not entry.is_dir():
            continue
        check_class(str(entry), entry.name, options.classes)
        found = False
        for path in reading.find(entry):
            named = esc_names.parse(path.stem)
            relative = path.relative_to(source.audio).as_posix()
            yield Clip(relative, (entry.name,), source=named.source if named else None)
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
