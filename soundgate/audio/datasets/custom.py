"""A data set of one's own, described by a YAML file: no Python to write, nothing evaluated.

``dataset: path/to/birds.yaml`` stands for it wherever a data set is named.

    name: backyard-birds                # required; what reports and the store call it
    title: Birds of one garden
    licence: CC BY 4.0                  # goes with the data, into the model's card
    citation: "@misc{...}"
    homepage: https://example.org/birds
    download_command: git clone --depth 1 https://example.org/birds.git ./temp
    audio: wav                          # folder of the clips, within what was brought; default: "."
    file_extension: .wav                # for names without one
    layout: table                       # folders: one for each class; table; or names, see below
    table:
      file: meta/clips.csv              # within what was brought
      delimiter: ";"                    # default: whichever the header has
      columns: {file: clip, label: species, fold: batch, split: set, source: recording,
                start_s: from, end_s: to}
    names:                              # a regular expression (Python's) for the whole path of a
                                        # clip below ``audio``; groups label, fold, split, source
      pattern: (?P<split>\\w+)/(?P<label>[a-z]+)-(?P<source>\\d+)_\\d+[.]wav
    labels:
      meaning: The species that sings loudest.
      separators: "|"                   # between several labels; default: "" (one label a clip)
      map: {tit: Great_tit, noise: null}   # null: clips of it are left out
      unmapped: keep                    # what the map does not name: keep, drop or error
    splits: {night: test, day: training}   # words for training, validation and test
    folds: {A: 1, B: 2}                 # words for folds
    classes: [Great_tit, Wren]          # any other is an error
    clips_per_class: 40                 # or a number for each; checked after a download

Whoever gives a folder (``dataset_path``) needs no ``download_command``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator

from soundgate.audio.config.document import Document
from soundgate.audio.config.sections.section import Section, spellings
from soundgate.audio.datasets import csv_labels, folder
from soundgate.audio.datasets.base import Dataset, NoOptions, Source, check_folder
from soundgate.audio.files import reading
from soundgate.errors import ConfigError, DataError, nearest, unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from soundgate.audio.clips.manifest import Clip
    from soundgate.audio.datasets.csv_labels import Row


def _within(path: str) -> str:
    if path.startswith("/") or ".." in PurePosixPath(path).parts or "\\" in path:
        raise ValueError(f"{path!r} is outside the data set; write a path relative to its folder")
    return path


def _pattern(text: str) -> str:
    try:
        groups = re.compile(text).groupindex
    except re.error as error:
        raise ValueError(f"invalid regular expression: {error}") from None
    known = ("label", "fold", "split", "source")
    for name in groups:
        if name not in known:
            raise ValueError(f"unknown group {name!r}{nearest(name, known)}")
    if "label" not in groups:
        raise ValueError("needs a group (?P<label>...) that matches the class")
    return text


Within = Annotated[str, AfterValidator(_within)]
Split = Literal["training", "validation", "test"]


class Columns(Section):
    """What the table calls its columns; the usual words need not be given."""

    file: str | None = None
    """The audio file."""
    label: str | None = None
    """The class, or several."""
    fold: str | None = None
    """Cross-validation fold."""
    split: str | None = None
    """Training, validation or test."""
    source: str | None = None
    """The original recording; clips of one stay together."""
    start_s: str | None = None
    """First second of the segment."""
    end_s: str | None = None
    """Last second of the segment."""


class Table(Section):
    """A table of labels."""

    file: Within
    """CSV or TSV file with a header, a row a clip."""
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """Between cells; null: comma, semicolon or tab, whichever the header has most of."""
    columns: Columns = Columns()
    """What its columns are called."""


class Names(Section):
    """Names of files that say it all."""

    pattern: Annotated[str, AfterValidator(_pattern)]
    """Regular expression for the whole path of a clip; groups label, fold, split, source."""


class Labels(Section):
    """From what the data set says to classes."""

    meaning: str = "The class that the data set gives the clip."
    """One sentence: what a label means."""
    separators: str = ""
    """Characters between several labels."""
    map: dict[str, str | None] = Field(default_factory=dict)
    """New names of classes; null: a label that is dropped."""
    unmapped: Literal["keep", "drop", "error"] = "keep"
    """What becomes of a label that the map does not name."""


class Description(Section):
    """The whole file."""

    name: Annotated[str, Field(pattern=r"^[\w.+-]+$")]
    """What reports and the store call the data set."""
    title: str = ""
    """Its title."""
    licence: str = "not stated"
    """Its licence."""
    citation: str = ""
    """BibTeX."""
    homepage: str = ""
    """Where it is described."""
    download_command: str | None = None
    """Shell command that fills ``./temp``."""
    audio: Within = "."
    """Folder of the clips."""
    file_extension: str = ""
    """Appended to names that have no audio extension."""
    layout: Literal["folders", "table", "names"]
    """Where the labels are."""
    table: Table | None = None
    """For layout ``table``."""
    names: Names | None = None
    """For layout ``names``."""
    labels: Labels = Labels()
    """From what it says to classes."""
    splits: dict[str, Split] = Field(default_factory=dict)
    """Words for the splits."""
    folds: dict[str, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    """Words for the folds."""
    classes: tuple[str, ...] = ()
    """The classes allowed; empty: any."""
    clips_per_class: int | dict[str, int] | None = None
    """What a complete download holds."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for layout in ("table", "names"):
            if self.layout == layout and getattr(self, layout) is None:
                raise ValueError(f"layout is {layout}, but section {layout} is missing; add it")
            if self.layout != layout and getattr(self, layout) is not None:
                raise ValueError(f"layout is {self.layout}, which does not use {layout}; remove it")
        if isinstance(self.clips_per_class, int) and not self.classes:
            raise ValueError("clips_per_class is one number, so classes must list the classes")
        if self.download_command is not None and "temp" not in self.download_command:
            raise ValueError("download_command does not fill ./temp; write its output there")
        return self


@dataclass(frozen=True, slots=True)
class _Layout:
    """How the clips of a description are listed."""

    description: Description
    where: str
    """The file, for errors."""
    words: csv_labels.Reading
    """What the description calls columns, splits and folds."""


def load(path: Path) -> Dataset[NoOptions]:
    """Read a description.

    Raises:
        ConfigError: the file cannot be read, or a key or value of it is wrong; one line with file,
            line, key and the fix.
    """
    description = _read(path)
    table = description.table
    words = csv_labels.Reading(
        columns={} if table is None else table.columns.model_dump(exclude_none=True),
        delimiter=None if table is None else table.delimiter,
        label_separators=description.labels.separators,
        splits=description.splits,
        folds=description.folds,
    )
    counts = description.clips_per_class or {}
    if isinstance(counts, int):
        counts = dict.fromkeys(description.classes, counts)
    meaning = description.labels.meaning
    return Dataset(
        name=description.name,
        title=description.title or description.name,
        licence=description.licence,
        citation=description.citation,
        homepage=description.homepage,
        labels=meaning if meaning.endswith(".") else f"{meaning}.",
        list_clips=partial(_list_clips, _Layout(description, str(path), words)),
        download_command=description.download_command,
        clips_per_class=counts,
        options=NoOptions,
        folds=lambda _options: None,
        brought_by_user=True,
    )


def _read(path: Path) -> Description:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise unreadable(path, error, ConfigError) from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text; save it as UTF-8") from None
    document = Document(text, str(path))
    try:
        return Description.model_validate(document.data)
    except ValidationError as error:
        details = error.errors(include_url=False)
        detail = min(details, key=lambda item: item["type"] != "extra_forbidden")
        location = detail["loc"]
        problem = _problem(dict(detail), location)
        dotted = ".".join(str(part) for part in location)
        text = f"{dotted}: {problem}" if dotted else problem
        raise document.error(text, line=document.line(location)) from None


def _problem(detail: dict[str, Any], location: tuple[str | int, ...]) -> str:
    sections: dict[tuple[str | int, ...], type[Section]] = {
        (): Description,
        ("table",): Table,
        ("table", "columns"): Columns,
        ("names",): Names,
        ("labels",): Labels,
    }
    if detail["type"] == "extra_forbidden":
        known = sorted(spellings(sections.get(location[:-1], Description)))
        return f"unknown key{nearest(str(location[-1]), known)}"
    if detail["type"] == "missing":
        return "is missing; add it"
    message = str(detail["msg"]).removeprefix("Value error, ")
    if detail["type"] == "value_error":
        return message
    return f"{message[0].lower()}{message[1:]}; got {detail['input']!r}"


def _list_clips(layout: _Layout, source: Source, _options: NoOptions) -> Iterator[Clip]:
    check_folder(source)
    description = layout.description
    root = source.audio / description.audio
    if not root.is_dir():
        raise DataError(
            f"{root}: no such folder: correct audio in {layout.where}, or the path of the data"
        )
    rows = {"folders": _from_folders, "table": _from_table, "names": _from_names}
    options = csv_labels.Options(description.classes, description.file_extension)
    labelled = _relabel(layout, rows[description.layout](layout, source, root))
    prefix = "" if description.audio == "." else f"{PurePosixPath(description.audio)}/"
    for clip in csv_labels.to_clips(labelled, root, options):
        yield replace(clip, path=f"{prefix}{clip.path}")


def _from_folders(_layout: _Layout, _source: Source, root: Path) -> Iterator[Row]:
    for clip in folder.list_clips(Source(root), folder.Options()):
        where = str(root / clip.path)
        yield csv_labels.Row(
            where, clip.path, clip.labels, None, clip.split, None, None, clip.source
        )


def _from_table(layout: _Layout, source: Source, _root: Path) -> Iterator[Row]:
    assert layout.description.table is not None
    table = source.labels or source.audio / layout.description.table.file
    if table.is_dir():
        table = table / layout.description.table.file
    return csv_labels.read_rows(table, layout.words)


def _from_names(layout: _Layout, _source: Source, root: Path) -> Iterator[Row]:
    assert layout.description.names is not None
    pattern = re.compile(layout.description.names.pattern)
    for path in reading.find(root):
        relative = path.relative_to(root).as_posix()
        found = pattern.fullmatch(relative)
        if found is None:
            raise DataError(
                f"{path}: {relative!r} does not match names.pattern of {layout.where}: correct the "
                "pattern, or move the file away"
            )
        given = {key: value or "" for key, value in found.groupdict().items()}
        yield csv_labels.to_row(str(path), {"file": relative, **given}, layout.words)


def _relabel(layout: _Layout, rows: Iterator[Row]) -> Iterator[Row]:
    """Apply the label map; rows without a label left are dropped."""
    rule = layout.description.labels
    for row in rows:
        labels = []
        for label in row.labels:
            if label in rule.map:
                labels.append(rule.map[label])
            elif not rule.map or rule.unmapped == "keep":
                labels.append(label)
            elif rule.unmapped == "error":
                hint = nearest(label, rule.map)
                raise DataError(
                    f"{row.where}: label {label!r} is not in labels.map of {layout.where}{hint}"
                )
        kept = tuple(dict.fromkeys(label for label in labels if label is not None))
        if kept:
            yield replace(row, labels=kept)
