"""A folder for each class, named like it; clips may lie in folders below.

Clips whose names are like those of ESC (``1-100032-A.wav``) keep their source, so that clips of one
recording are not split apart.

Options:
    classes  list of the class names allowed; another folder is an error
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from soundgate.audio.clips.manifest import Clip
from soundgate.audio.datasets import esc_names
from soundgate.audio.datasets.base import (
    Dataset,
    Options,
    Source,
    check_class,
    check_folder,
    class_names,
)
from soundgate.audio.files import reading as io
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator


def list_clips(source: Source, options: Options) -> Iterator[Clip]:
    """Yield the clips of every class folder, sorted; paths are relative to ``source.audio``.

    Raises:
        DataError: audio outside of any class folder, a class folder without audio, or an unknown
            class.
    """
    check_folder(source)
    classes = class_names(options)
    for entry in sorted(source.audio.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.suffix.lower() in io.EXTENSIONS and entry.is_file():
            raise DataError(f"{entry}: is not in the folder of a class: move it into one")
        if not entry.is_dir():
            continue
        check_class(str(entry), entry.name, classes)
        found = False
        for path in io.find(entry):
            named = esc_names.parse(path.stem)
            relative = path.relative_to(source.audio).as_posix()
            yield Clip(relative, (entry.name,), source=named.source if named else None)
            found = True
        if not found:
            raise DataError(f"{entry}: class folder without audio: add clips or delete it")


DATASET: Final = Dataset(
    name="folder",
    title="A folder for each class",
    licence="not stated",
    citation="",
    homepage="",
    labels="The class whose folder the clip lies in.",
    list_clips=list_clips,
    options=("classes",),
    brought_by_user=True,
)
