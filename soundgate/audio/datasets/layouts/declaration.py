"""Which files and folders of the submitting machine bring a layout's clips, each an artifact.

A table names audio that lies beside it or below the working directory. The folders that hold this
audio are found where the pipeline is declared, so that every executor takes them along and a
changed clip is noticed. Only the standard library is imported here.
"""

from __future__ import annotations

import json
import os
import posixpath
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from soundgate.audio.clips.tables import read_table
from soundgate.audio.datasets.layouts.strings import CSV, INFERENCE, TABLE, Layout
from soundgate.errors import DataError, ParameterError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FILE: Final = "file"
"""Column of a table that names the audio."""


@dataclass(frozen=True, slots=True)
class Brought:
    """A layout, and the names of the artifacts that bring it."""

    kind: str
    path: str
    """As the user wrote it."""
    split: str | None
    """"training", "validation" or "test"; None: the clips are only to be predicted."""
    folders: dict[str, str]
    """Artifacts of audio folders, by the path that a table's names begin with; "" is any."""
    table: str | None = None
    """Artifact of the table."""


@dataclass(frozen=True, slots=True)
class Declared:
    """Everything that a pipeline takes along."""

    files: dict[str, str] = field(default_factory=dict)
    """Files and folders of this machine, by the names of their artifacts."""
    layouts: list[Brought] = field(default_factory=list)
    overrides: list[str] = field(default_factory=list)
    """Artifacts of the tables that override labels of training clips."""

    def plan(self, labels: Sequence[str]) -> str:
        """What the task that collects the clips is told, as JSON."""
        plan: dict[str, Any] = {
            "layouts": [asdict(layout) for layout in self.layouts],
            "overrides": self.overrides,
            "labels": list(labels),
        }
        return json.dumps(plan, indent=1, ensure_ascii=False) + "\n"


def declare(
    sides: Mapping[str | None, Sequence[Layout]], overrides: Sequence[str] = ()
) -> Declared:
    """Find the files that layouts bring.

    Args:
        sides: layouts by the split that they are meant for; None: they are only predicted.
        overrides: tables that override labels of training clips.

    Raises:
        ParameterError: a path does not exist, or a folder stands where a table should.
        DataError: a table is wrong, or names audio that is not there.
    """
    found = Declared()
    for split, layouts in sides.items():
        for number, layout in enumerate(layouts, 1):
            found.layouts.append(_bring(found.files, layout, split, number))
    for number, path in enumerate(overrides, 1):
        if not Path(path).is_file():
            raise ParameterError(f"train_override_csvs: {path}: no such file: correct the path")
        found.files[f"override-{number}"] = path
        found.overrides.append(f"override-{number}")
    return found


def _bring(files: dict[str, str], layout: Layout, split: str | None, number: int) -> Brought:
    path, name = Path(layout.path), f"{split or 'predicted'}-{number}"
    if not path.exists():
        raise ParameterError(f"{layout}: no such file or folder: correct the path")
    if path.is_dir():
        if layout.kind == CSV:
            raise ParameterError(f"{layout}: is a folder; give the table itself")
        files[name] = layout.path
        return Brought(layout.kind, layout.path, split, {"": name})
    if layout.kind not in (CSV, INFERENCE) or path.suffix.lower() != TABLE:
        wanted = "a .csv file" if layout.kind == CSV else "a folder"
        raise ParameterError(f"{layout}: is a file; give {wanted}")
    folders = {}
    for count, (prefix, folder) in enumerate(sorted(audio_folders(path).items()), 1):
        folders[prefix] = f"{name}-audio-{count}"
        files[folders[prefix]] = str(folder)
    files[f"{name}-table"] = layout.path
    return Brought(layout.kind, layout.path, split, folders, f"{name}-table")


def audio_folders(table: Path) -> dict[str, Path]:
    """The folders that hold the audio of a table, by the path that names in the table begin with.

    Raises:
        DataError: the table has no column ``file``, or names audio that is not there.
    """
    parents: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    bases = {"table": table.parent, "here": Path()}
    seen = _Listings()
    for where, name in named_files(table):
        holding = next((key for key, base in bases.items() if seen.holds(base, name)), None)
        if holding is None:
            raise DataError(
                f"{where}: column {FILE!r}: {name!r} is neither beside the table nor in "
                f"{Path.cwd()}: correct the name"
            )
        folder = posixpath.dirname(name)
        if holding == "here" and not folder:
            raise DataError(
                f"{where}: column {FILE!r}: {name!r} lies in the working directory itself: move "
                "it into a folder, or beside the table"
            )
        parents[holding, _first(folder)].add(folder)
    return {
        (prefix := posixpath.commonpath(folders)): bases[key] / prefix
        for (key, _), folders in parents.items()
    }


def named_files(table: Path) -> list[tuple[str, str]]:
    """File and line, and what the column ``file`` holds there, of each row, as POSIX paths.

    Raises:
        DataError: there is no such column, or a cell of it is empty.
    """
    rows = read_table(table)
    _, header = next(rows)
    if FILE not in header:
        raise DataError(f"{table}:1: no column {FILE!r} in the header: name the audio files in it")
    at, found = header.index(FILE), []
    for line, cells in rows:
        name = cells[at].strip() if at < len(cells) else ""
        if not name:
            raise DataError(f"{table}:{line}: column {FILE!r}: is empty: name the audio file")
        found.append((f"{table}:{line}", normal(name)))
    return found


def normal(name: str) -> str:
    """A name of a table as a POSIX path without needless parts."""
    return posixpath.normpath(name.replace("\\", "/"))


def _first(folder: str) -> str:
    """What keeps folders apart that have nothing in common: the first part that is a name."""
    if folder.startswith("/"):
        return "/"
    parts = folder.split("/")
    up = sum(part == ".." for part in parts)
    return "/".join(parts[: up + 1])


class _Listings:
    """Names in folders, with and without their extensions, each folder read once."""

    def __init__(self) -> None:
        self._known: dict[str, frozenset[str]] = {}

    def holds(self, base: Path, name: str) -> bool:
        folder, last = os.path.split(base / name)
        if folder not in self._known:
            try:
                names = os.listdir(folder)  # noqa: PTH208 - names are wanted, not paths
            except OSError:
                names = []
            stems = {posixpath.splitext(each)[0] for each in names}
            self._known[folder] = frozenset(names) | stems
        return last in self._known[folder]
