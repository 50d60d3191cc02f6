"""The data sets that Soundgate can bring into one form, the ``clips/`` folder.

Importing this package imports none of them: a submitting host has no audio libraries.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from soundgate.errors import ParameterError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from soundgate.audio.datasets.base import Dataset, Source

# The one place to add one: its name, and the module whose DATASET describes it.
DATASETS: Final[dict[str, str]] = {
    "ESC-10": "soundgate.audio.datasets.esc10",
    "ESC-50": "soundgate.audio.datasets.esc50",
    "csv": "soundgate.audio.datasets.csv_labels",
    "folder": "soundgate.audio.datasets.folder",
    "synthetic": "soundgate.audio.datasets.synthetic",
}

CUSTOM: Final = "custom"
"""The STM32 model zoo's word for a data set of one's own: a table of labels or a folder a class."""


def resolve(name: str, sources: Sequence[Source] = ()) -> str:
    """The key of :data:`DATASETS` for a name; ``esc10``, ``ESC_10`` and ``ESC-10`` are one.

    ``custom`` is "csv" where a source has a table of labels, else "folder".

    Raises:
        ParameterError: no data set has that name.
    """
    if _plain(name) == CUSTOM:
        return "csv" if any(source.labels for source in sources) else "folder"
    for known in DATASETS:
        if _plain(known) == _plain(name):
            return known
    raise ParameterError(f"dataset {name!r} is unknown{nearest(name, [*DATASETS, CUSTOM])}")


def is_known(name: str) -> bool:
    """Whether ``resolve`` finds a data set of that name."""
    return _plain(name) in {_plain(known) for known in (*DATASETS, CUSTOM)}


def load(name: str, sources: Sequence[Source] = ()) -> Dataset:
    """The description of a data set.

    Raises:
        ParameterError: no data set has that name.
    """
    dataset: Dataset = import_module(DATASETS[resolve(name, sources)]).DATASET
    return dataset


def prepare(
    name: str,
    sources: Sequence[Source],
    out: Path,
    *,
    options: Mapping[str, object] | None = None,
) -> None:
    """Write the ``clips/`` folder of a data set that lies on disk (or needs no download).

    ``out`` gets ``audio/``, ``manifest.jsonl`` and, last, ``dataset.json``; audio files are hard
    links where the file system allows it. After a failure ``out`` is as it was.

    Args:
        name: A key of :data:`DATASETS`, or an alias of it.
        sources: The folders, and tables of labels, that hold it; none for "synthetic".
        out: A folder that is empty or does not exist.
        options: What the data set takes: see its module.

    Raises:
        DataError: a file, a label or the whole set is wrong, or ``out`` cannot be written.
        ParameterError: unknown data set or option.
    """
    from soundgate.audio.datasets import preparation

    preparation.prepare(load(name, sources), sources, out, options or {})


def acquire(
    name: str,
    out: Path,
    *,
    command: str | None = None,
    options: Mapping[str, object] | None = None,
) -> None:
    """Download a data set, check that it is complete, and :func:`prepare` it.

    The command is run by a shell in a fresh folder beside ``out`` and must fill ``./temp`` there.

    Args:
        name: A key of :data:`DATASETS`, or an alias of it.
        out: A folder that is empty or does not exist.
        command: Replaces the data set's own download command.
        options: What the data set takes: see its module.

    Raises:
        DataError: the command failed, or what it brought is incomplete or wrong.
        ParameterError: unknown data set or option, or no command is known.
    """
    from soundgate.audio.datasets import download

    download.acquire(load(name), out, command, options or {})


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
