"""The data sets that Soundgate can bring into one form, the ``clips/`` folder.

``declaration`` says at submission what a data set needs, ``plan`` in the fetching task how it is
made. Importing this package imports no data set; importing one imports the standard library only,
since a submitting host has no audio libraries.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from soundgate.audio.datasets import libraries
from soundgate.audio.datasets.base import read_options
from soundgate.audio.datasets.libraries import row
from soundgate.errors import ParameterError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from soundgate.audio.datasets.base import Dataset, Source

# The one place to add one: its name, and the module whose DATASET describes it.
DATASETS: Final[dict[str, str]] = {
    "ESC-10": "soundgate.audio.datasets.esc10",
    "ESC-50": "soundgate.audio.datasets.esc50",
    "FSD50K": "soundgate.audio.datasets.fsd50k",
    "csv": "soundgate.audio.datasets.csv_labels",
    "folder": "soundgate.audio.datasets.folder",
    "synthetic": "soundgate.audio.datasets.synthetic.dataset",
    "synthetic-instruments": "soundgate.audio.datasets.synthetic.instruments.dataset",
}

CUSTOM: Final = "custom"
"""The STM32 model zoo's word for a data set of one's own: a table of labels or a folder a class."""


def is_description(name: str) -> bool:
    """Whether ``name`` is the path of a YAML file that describes a data set; see ``custom``."""
    return name.lower().endswith((".yaml", ".yml"))


def is_library(name: str) -> bool:
    """Whether ``name`` is ``LIBRARY:DATA_SET``; see ``libraries``."""
    return libraries.is_named(name)


def resolve(name: str, sources: Sequence[Source] = ()) -> str:
    """The key of :data:`DATASETS` for a name; ``esc10``, ``ESC_10`` and ``ESC-10`` are one.

    ``custom`` is "csv" where a source has a table of labels, else "folder". The path of a YAML file
    stands for the data set that it describes, and is returned as it is. ``soundata:NAME`` and
    ``mirdata:NAME`` are data sets of these libraries.

    Raises:
        ParameterError: no data set has that name.
    """
    if is_description(name):
        return name
    if is_library(name):
        return libraries.resolve(name)
    if _plain(name) == CUSTOM:
        return "csv" if any(source.labels for source in sources) else "folder"
    for known in DATASETS:
        if _plain(known) == _plain(name):
            return known
    raise ParameterError(f"dataset {name!r} is unknown{nearest(name, [*DATASETS, CUSTOM])}")


def is_known(name: str) -> bool:
    """Whether ``resolve`` finds a data set of that name."""
    return (
        is_description(name)
        or libraries.is_named(name)
        or _plain(name) in {_plain(known) for known in (*DATASETS, CUSTOM)}
    )


def load(name: str, sources: Sequence[Source] = ()) -> Dataset[Any]:
    """The description of a data set.

    Raises:
        ParameterError: no data set has that name.
        ConfigError: the YAML file that describes it is wrong.
    """
    key = resolve(name, sources)
    if is_description(key):
        from soundgate.audio.datasets import custom

        return custom.load(Path(key))
    if is_library(key):
        return libraries.load(key)
    dataset: Dataset[Any] = import_module(DATASETS[key]).DATASET
    return dataset


def sections() -> dict[str, type]:
    """The options of every data set that has a section in ``dataset_specific``, by its key."""
    known = [load(name) for name in DATASETS]
    found = {dataset.section: dataset.options for dataset in known if dataset.section}
    return found | dict.fromkeys(libraries.TABLES, row.Options)


def prepare(
    name: str,
    sources: Sequence[Source],
    out: Path,
    *,
    options: Mapping[str, object] | None = None,
) -> None:
    """Write the ``clips/`` folder of a data set that lies on disk (or needs no download).

    ``out`` gets copies of the audio in ``audio/``, ``manifest.jsonl`` and, last, ``dataset.json``.
    After a failure ``out`` is as it was.

    Args:
        name: A key of :data:`DATASETS`, an alias of it, or the path of a YAML description.
        sources: The folders, and tables of labels, that hold it; none for "synthetic".
        out: A folder that is empty or does not exist.
        options: Values of the fields of its module's ``Options``.

    Raises:
        DataError: a file, a label or the whole set is wrong, or ``out`` cannot be written.
        ParameterError: unknown data set or option.
    """
    from soundgate.audio.datasets import preparation

    dataset = load(name, sources)
    preparation.prepare(dataset, sources, out, read_options(dataset, options or {}))


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
        name: A key of :data:`DATASETS`, an alias of it, or the path of a YAML description.
        out: A folder that is empty or does not exist.
        command: Replaces the data set's own download command.
        options: Values of the fields of its module's ``Options``.

    Raises:
        DataError: the command failed, or what it brought is incomplete or wrong.
        ParameterError: unknown data set or option, or no command is known.
    """
    from soundgate.audio.datasets import download

    dataset = load(name)
    download.acquire(dataset, out, command, read_options(dataset, options or {}))


def narrow(name: str, clips: Path, options: Mapping[str, object]) -> bool:
    """Leave in a ``clips/`` folder what ``options`` ask for, where the data set knows how.

    Returns:
        Whether clips were removed.

    Raises:
        DataError: no clip is left, or the folder cannot be changed.
        ParameterError: unknown data set or option, or a wrong one.
    """
    from soundgate.audio.datasets import preparation

    dataset = load(name)
    return preparation.narrow(dataset, clips, read_options(dataset, options))


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
