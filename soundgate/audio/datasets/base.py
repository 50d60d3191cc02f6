"""What a data set is: where it comes from, what its labels mean, and how its clips are listed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from soundgate.errors import DataError, ParameterError, nearest

if TYPE_CHECKING:
    from pathlib import Path

    from soundgate.audio.clips.manifest import Clip

Options: TypeAlias = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Source:
    """A folder of audio, the table that labels it, and the split it is meant for."""

    audio: Path
    labels: Path | None = None
    """A table of labels, or the folder of one; None where folders or names carry the labels."""
    split: str | None = None
    """Gives every clip this split: "training", "validation" or "test"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A data set: its papers, and how to list or render its clips. One of the two is given."""

    name: str
    title: str
    licence: str
    citation: str
    """BibTeX, or "" where there is nothing to cite."""
    homepage: str
    labels: str
    """One sentence: what a label of this set means."""

    list_clips: Callable[[Source, Options], Iterable[Clip]] | None = None
    """Clips of a source; their paths are relative to its audio folder."""
    render: Callable[[Path, Options], Iterable[Clip]] | None = None
    """Write the clips under the folder's ``audio/``; their paths are relative to the folder."""

    download_command: str | None = None
    """Shell command that downloads the set into ``./temp``."""
    unpack: Callable[[Path], None] | None = None
    """Unpack what a download left in the folder, where the command itself does not."""
    narrow: Callable[[Iterable[Clip], Options], Iterable[Clip]] | None = None
    """Those of the clips that options ask for: of a set that is kept whole, once."""
    clips_per_class: Mapping[str, int] = field(default_factory=dict)
    """What a complete download holds; empty where that is not known."""
    clips_per_split: Mapping[str, int] = field(default_factory=dict)
    """The same by split."""
    own_split: bool = False
    """Whether its tables say which split a clip is in more finely than the folder it lies in."""
    options: tuple[str, ...] = ()
    """Names of the options that it takes."""
    brought_by_user: bool = False
    """Whether its classes are the user's own, and so may be too small to be split."""


def check_options(dataset: Dataset, options: Options) -> None:
    """Refuse options that the data set does not take.

    Raises:
        ParameterError: an option is unknown.
    """
    for name in options:
        if name not in dataset.options:
            hint = nearest(name, dataset.options) or "; it takes none"
            raise ParameterError(f"dataset {dataset.name}: unknown option {name!r}{hint}")


def class_names(options: Options) -> tuple[str, ...]:
    """The option ``classes``: the only class names allowed, or none for any.

    Raises:
        ParameterError: it is not a list of names.
    """
    classes = options.get("classes") or ()
    if isinstance(classes, str) or not isinstance(classes, Iterable):
        raise ParameterError(f"classes: {classes!r} is not a list of class names")
    names = tuple(classes)
    if not all(isinstance(name, str) and name for name in names):
        raise ParameterError(f"classes: {list(names)} is not a list of class names")
    return names


def check_class(where: str, label: str, classes: tuple[str, ...]) -> None:
    """Refuse a label that is not among ``classes``, if there are any.

    Raises:
        DataError: naming the nearest right class.
    """
    if classes and label not in classes:
        raise DataError(f"{where}: unknown class {label!r}{nearest(label, classes)}")


def check_folder(source: Source) -> None:
    """Refuse a source whose audio folder is not there.

    Raises:
        DataError: naming the folder.
    """
    if not source.audio.is_dir():
        raise DataError(f"{source.audio}: no such folder: check the path of the audio")
