"""What a data set is: its papers, its options, the files of the user's it reads, its clips.

Only the standard library is imported here and by the modules that describe data sets: a pipeline is
declared where no audio library, pydantic or YAML need be.
"""

from __future__ import annotations

import dataclasses
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, get_type_hints

from soundgate.audio.clips import labels
from soundgate.errors import DataError, ParameterError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from soundgate.audio.clips.manifest import Clip

OptionsT = TypeVar("OptionsT")
"""A data set's options, a frozen dataclass with a docstring under each field."""

OWN_SPLIT: Final = 0
"""Number of folds of a data set that says itself what is training, validation and test."""


@dataclass(frozen=True, slots=True)
class Source:
    """A folder of audio, the table that labels it, and the split it is meant for."""

    audio: Path
    labels: Path | None = None
    """A table of labels, or the folder of one; None where folders or names carry the labels."""
    split: str | None = None
    """Gives every clip this split: "training", "validation" or "test"."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Where the value of an option comes from, and what it may be."""

    low: float | None = None
    """Least number."""
    high: float | None = None
    """Largest number."""
    key: str = ""
    """Dotted key of the user config; "": the field's name in the data set's own section."""
    arguments: tuple[str, ...] = ()
    """The value is a path of the user's: the arguments of ``steps.fetch`` that bring it."""
    chooses: bool = False
    """Whether it chooses among clips that are kept whole, so that another value is no download."""


def option(
    default: object,
    *,
    low: float | None = None,
    high: float | None = None,
    key: str = "",
    arguments: tuple[str, ...] = (),
    chooses: bool = False,
) -> Any:
    """Declare a field of an options dataclass; the words are those of :class:`Rule`."""
    return field(default=default, metadata={"rule": Rule(low, high, key, arguments, chooses)})


def rules(options: type) -> dict[str, Rule]:
    """The rule of each field of an options dataclass, in their order."""
    return {f.name: f.metadata.get("rule", Rule()) for f in dataclasses.fields(options)}


@dataclass(frozen=True, slots=True)
class NoOptions:
    """Of a data set that takes none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset(Generic[OptionsT]):
    """A data set: its papers, and how to list or render its clips. One of the two is given."""

    name: str
    title: str
    licence: str
    citation: str
    """BibTeX, or "" where there is nothing to cite."""
    homepage: str
    labels: str
    """One sentence: what a label of this set means."""
    size: str = ""
    """How much it is: clips, hours, gigabytes to download."""

    options: type[OptionsT]
    section: str = ""
    """Key of its options below ``dataset_specific`` of the user config; "": it has none there."""

    list_clips: Callable[[Source, OptionsT], Iterable[Clip]] | None = None
    """Clips of a source; their paths are relative to its audio folder."""
    render: Callable[[Path, OptionsT], Iterable[Clip]] | None = None
    """Write the clips under the folder's ``audio/``; their paths are relative to the folder."""

    download_command: str | None = None
    """Shell command that downloads the set into ``./temp``."""
    download: Callable[[Path, OptionsT], None] | None = None
    """Download the set into the folder, where a library does it and no command is given."""
    request: str = ""
    """Why no one can download it for the user, whose folder it then needs; "": it can be had."""
    papers: Callable[[], Mapping[str, str]] | None = None
    """Licence and citation, where a library that is imported late knows them."""
    unpack: Callable[[Path], None] | None = None
    """Unpack what a download left in the folder, where the command itself does not."""
    narrow: Callable[[Iterable[Clip], OptionsT], Iterable[Clip]] | None = None
    """Those of the clips that options ask for: of a set that is kept whole, once."""
    clips_per_class: Mapping[str, int] = field(default_factory=dict)
    """What a complete download holds; empty where that is not known."""
    clips_per_split: Mapping[str, int] = field(default_factory=dict)
    """The same by split."""
    folds: Callable[[OptionsT], int | None] | None = None
    """How many cross-validation folds its clips have with these options, :data:`OWN_SPLIT` or None
    where only its tables can tell. Without this function folds are made: ``dataset.n_folds``."""
    own_split: bool = False
    """Whether its tables say which split a clip is in more finely than the folder it lies in."""
    unlabelled: bool = False
    """Whether a clip may have none of its labels."""
    brought_by_user: bool = False
    """Whether its classes are the user's own, and so may be too small to be split."""


def read_options(dataset: Dataset[OptionsT], values: Mapping[str, object]) -> OptionsT:
    """Check the values of a data set's options; what is not given has its default.

    Raises:
        ParameterError: an option is unknown, or a value has the wrong type or is out of range.
    """
    known = rules(dataset.options)
    for name in values:
        if name not in known:
            hint = nearest(name, known) or "; it takes none"
            raise ParameterError(f"dataset {dataset.name}: unknown option {name!r}{hint}")
    kinds = get_type_hints(dataset.options)
    return dataset.options(
        **{name: _checked(name, value, kinds[name], known[name]) for name, value in values.items()}
    )


def _checked(name: str, value: object, kind: Any, rule: Rule) -> object:
    checked = _VALUES[kind](value, rule)
    if checked is _WRONG:
        raise ParameterError(f"{name}: {value!r} is not {_wanted(kind, rule)}")
    return checked


_WRONG: Final = object()


def _bool(value: object, _rule: Rule) -> object:
    return value if type(value) is bool else _WRONG


def _int(value: object, rule: Rule) -> object:
    # True is an int to Python, so that types are compared, not tested.
    return value if type(value) is int and _within(value, rule) else _WRONG


def _float(value: object, rule: Rule) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _WRONG
    return float(value) if _within(value, rule) else _WRONG


def _text(value: object, _rule: Rule) -> object:
    return value if isinstance(value, str) else _WRONG


def _text_or_none(value: object, rule: Rule) -> object:
    return None if value is None else _text(value, rule)


def _texts(value: object, _rule: Rule) -> object:
    items: tuple[object, ...] = tuple(value) if isinstance(value, list | tuple) else (None,)
    return items if all(isinstance(item, str) and item for item in items) else _WRONG


def _mapping_or_none(value: object, _rule: Rule) -> object:
    if value is None:
        return None
    items = value.items() if isinstance(value, dict) else [(None, None)]
    texts = all(isinstance(part, str) and part for pair in items for part in pair)
    return value if texts else _WRONG


def _range(value: object, rule: Rule) -> object:
    ends = [_float(end, rule) for end in value] if isinstance(value, list | tuple) else []
    if len(ends) == 2 and isinstance(ends[0], float) and isinstance(ends[1], float):
        return tuple(ends) if ends[0] <= ends[1] else _WRONG
    return _WRONG


_VALUES: Final[dict[Any, Callable[[object, Rule], object]]] = {
    bool: _bool,
    int: _int,
    float: _float,
    str: _text,
    str | None: _text_or_none,
    tuple[str, ...]: _texts,
    tuple[float, float]: _range,
    dict[str, str] | None: _mapping_or_none,
}
"""Checks of a value by the type of its field."""


def _within(value: Any, rule: Rule) -> bool:
    low, high = rule.low, rule.high
    return (low is None or low <= value) and (high is None or value <= high)


def _wanted(kind: Any, rule: Rule) -> str:
    low = "" if rule.low is None else f" from {rule.low:.15g}"
    span = low + ("" if rule.high is None else f" to {rule.high:.15g}")
    words = {
        bool: "true or false",
        int: f"a whole number{span}",
        float: f"a number{span}",
        tuple[str, ...]: "a list of names",
        tuple[float, float]: f"[lowest, highest], numbers{span}",
        dict[str, str] | None: "a mapping of names to names",
    }
    return words.get(kind, "a text")


def check_class(where: str, label: str, classes: Sequence[str]) -> None:
    """Refuse a label that no class can have, or that is not among ``classes``, if there are any.

    Raises:
        DataError: naming the nearest right class.
    """
    if wrong := labels.problem(label):
        raise DataError(f"{where}: class {label!a} {wrong}")
    if classes and label not in classes:
        raise DataError(f"{where}: unknown class {label!r}{nearest(label, classes)}")


def check_path(folder: Path, path: str) -> None:
    """Refuse a clip whose path cannot be a row of a manifest, or a name in every store.

    Raises:
        DataError: names the file and what is wrong with its name.
    """
    held = {unicodedata.category(letter) for letter in path}
    if "Cs" in held:
        wrong = "is not valid UTF-8"
    elif "Cc" in held:
        wrong = "holds a control character"
    elif "\\" in path:
        wrong = "holds a back-slash, which separates folders on other systems"
    else:
        return
    raise DataError(f"{folder / path}: its name {wrong}: rename it")


def check_folder(source: Source) -> None:
    """Refuse a source whose audio folder is not there.

    Raises:
        DataError: naming the folder.
    """
    if not source.audio.is_dir():
        raise DataError(f"{source.audio}: no such folder: check the path of the audio")
