"""Data sets of soundata and mirdata: ``soundata:urbansound8k``, ``mirdata:irmas``.

The tables say without importing the libraries, which take seconds and may be absent, what is read
of each data set; ``adapter`` downloads, checks and reads. Neither writes outside of the folder it
is given: the libraries' own default is a folder in the user's home.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Final

from soundgate.audio.datasets.base import OWN_SPLIT, Dataset, Source
from soundgate.audio.datasets.libraries.row import Options
from soundgate.errors import ParameterError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from soundgate.audio.clips.manifest import Clip
    from soundgate.audio.datasets.libraries.row import Row

TABLES: Final = {
    "soundata": "soundgate.audio.datasets.libraries.soundata_sets",
    "mirdata": "soundgate.audio.datasets.libraries.mirdata_sets",
}
"""The libraries, and the module that knows their data sets."""


def is_named(name: str) -> bool:
    """Whether ``name`` is of the form ``LIBRARY:DATA_SET``."""
    return name.partition(":")[0].lower() in TABLES and ":" in name


def resolve(name: str) -> str:
    """The name as the library spells it.

    Raises:
        ParameterError: the library has no such data set, or it cannot be read; the text says why.
    """
    library, _, given = name.partition(":")
    library = library.lower()
    rows, unsupported = tables(library)
    found = next((known for known in (*rows, *unsupported) if known.lower() == given.lower()), None)
    if found is None:
        raise ParameterError(f"dataset {name!r} is unknown{nearest(given, rows)}")
    if found in unsupported:
        raise ParameterError(f"dataset {library}:{found} {unsupported[found]}: choose another one")
    return f"{library}:{found}"


def tables(library: str) -> tuple[Mapping[str, Row], Mapping[str, str]]:
    """The data sets of a library that are read, and why the others are not."""
    module = import_module(TABLES[library])
    return module.ROWS, module.UNSUPPORTED


def load(name: str) -> Dataset[Options]:
    """The description of a data set, by a name that :func:`resolve` gave."""
    library, _, given = name.partition(":")
    row = tables(library)[0][given]
    return Dataset(
        name=name,
        title=f"{given}, read by {library}",
        licence=f"see {library}",
        citation="",
        homepage=f"https://{library}.readthedocs.io/",
        labels=f"What {row.labels} of {library} says{f'; {row.note}' if row.note else ''}.",
        options=Options,
        section=library,
        list_clips=partial(_list_clips, name, row),
        download=partial(_download, name),
        request=row.request,
        papers=partial(_papers, name),
        folds=(lambda _options: row.folds) if row.fold else _own_split if row.split else None,
        own_split=True,
    )


def _own_split(_options: Options) -> int:
    return OWN_SPLIT


def _list_clips(name: str, row: Row, source: Source, options: Options) -> Iterator[Clip]:
    from soundgate.audio.datasets.libraries import adapter

    return adapter.list_clips(name, row, source, options)


def _download(name: str, folder: Path, options: Options) -> None:
    from soundgate.audio.datasets.libraries import adapter

    adapter.download(name, folder, options)


def _papers(name: str) -> dict[str, str]:
    from soundgate.audio.datasets.libraries import adapter

    return adapter.papers(name)
