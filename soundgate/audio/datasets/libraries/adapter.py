"""Download, check and read a data set through soundata or mirdata, within one folder."""

from __future__ import annotations

import contextlib
import copy
import tarfile
import tempfile
import warnings
from fnmatch import fnmatch
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from soundgate.audio.clips.manifest import Clip
from soundgate.audio.datasets.libraries import conversion
from soundgate.audio.datasets.libraries.row import FIXED_SPLITS, Options, Row
from soundgate.audio.files import split_archive
from soundgate.errors import DataError, MissingExtra, ParameterError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from soundgate.audio.datasets.base import Source

_SPLITS: Final = {
    "train": "training",
    "training": "training",
    "dev": "training",
    "development": "training",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "eval": "test",
    "evaluation": "test",
}


def download(name: str, folder: Path, options: Options) -> None:
    """Download a data set and the library's index of its files into ``folder``.

    Raises:
        DataError: the download failed, or a checksum of an archive is wrong.
        ParameterError: the library does not have this version.
        MissingExtra: the library is not installed.
    """
    dataset = _open(name, folder, folder, options)
    print(f"licence of {name}: {papers(name)['licence']}", flush=True)
    with _one_line(f"dataset {name}: the download failed"):
        _fetch_index(name, dataset, folder)
        parted = [key for key, remote in dataset.remotes.items() if isinstance(remote, list)]
        for key in parted:
            _fetch_parts(name, dataset.remotes[key], folder)
        rest = [key for key in dataset.remotes if key not in parted]
        if rest:
            dataset.download(partial_download=rest if parted else None, cleanup=True)
        for archive in sorted(folder.glob("*.tgz")):
            _unpack(archive, folder)


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack a ``.tgz``, which mirdata takes for no archive; its files lie in one folder in it."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        with tarfile.open(archive) as packed:
            packed.extractall(scratch, filter="data")
        [root] = Path(scratch).iterdir()
        for entry in root.iterdir():
            entry.rename(folder / entry.name)
    archive.unlink()


def _fetch_parts(name: str, parts: list[Any], folder: Path) -> None:
    """Download an archive in parts and unpack it.

    soundata starts the program ``zip`` through a shell that drops its arguments.
    """
    downloads = import_module(f"{name.partition(':')[0]}.download_utils")
    for part in parts:
        downloads.download_from_remote(part, str(folder), force_overwrite=False)
    [archive] = [part.filename for part in parts if part.filename.endswith(".zip")]
    split_archive.extract(folder / archive, folder, remove=True)


def list_clips(name: str, row: Row, source: Source, options: Options) -> Iterator[Clip]:
    """Check every file against the library's index, and yield the clips of a folder.

    A file of the index's name in the folder goes before the library's own, which is downloaded: a
    part of a data set can be read with an index of that part.

    Raises:
        DataError: a file is missing or damaged, a clip has no label, or none is left.
        ParameterError: the library does not have this version.
        MissingExtra: the library is not installed.
    """
    home = source.audio.resolve()
    with tempfile.TemporaryDirectory() as scratch:
        dataset = _open(name, home, home, options)
        if not Path(dataset.index_path).is_file():
            dataset = _open(name, home, Path(scratch), options)
            with _one_line(f"dataset {name}: its index {Path(dataset.index_path).name} failed"):
                _fetch_index(name, dataset, Path(scratch))
        _check_files(name, dataset, home)
        yield from _used(name, _read(name, row, dataset, home), options)


def papers(name: str) -> dict[str, str]:
    """Licence and citation, in one line and in BibTeX, as the library states them."""
    dataset = load_module(name).Dataset(data_home=".")  # nothing is read or written
    licence = " ".join(str(dataset._license_info or "not stated").split())  # noqa: SLF001
    return {"licence": licence, "citation": str(dataset.bibtex or "").strip()}


def load_module(name: str) -> ModuleType:
    """Import the library's module of a data set, without its warnings about its own code.

    Raises:
        MissingExtra: the library is not installed.
    """
    library, _, dataset = name.partition(":")
    try:
        import_module(library)
    except ModuleNotFoundError:
        raise MissingExtra(
            f"dataset {name}: {library} is not installed; pip install 'soundgate[datasets]'"
        ) from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return import_module(f"{library}.datasets.{dataset}")


def _open(name: str, home: Path, index_folder: Path, options: Options) -> Any:
    """The library's object, its index in ``index_folder`` instead of among the library's code."""
    module = load_module(name)
    # Some loaders print every row they read.
    module.print = lambda *_words: None  # type: ignore[attr-defined]
    if options.version not in module.INDEXES:
        known = ", ".join(module.INDEXES)
        raise ParameterError(
            f"dataset_specific.{name.partition(':')[0]}.version: {name} has no version "
            f"{options.version!r}; known: {known}"
        )
    dataset = module.Dataset(data_home=str(home), version=options.version)
    index = copy.deepcopy(dataset._index_data)  # noqa: SLF001 - there is no public way
    index.indexes_dir = str(index_folder)
    if index.remote is not None:
        index.remote.destination_dir = str(index_folder)
    dataset._index_data = index  # noqa: SLF001 - there is no public way
    dataset.index_path = index.get_path()
    dataset.remotes = dict(dataset.remotes or {})
    return dataset


def _fetch_index(name: str, dataset: Any, folder: Path) -> None:
    index = dataset._index_data  # noqa: SLF001 - there is no public way
    if index.remote is None:
        raise DataError(
            f"dataset {name}: put {index.filename}, the index of this version, into its folder"
        )
    downloads = import_module(f"{name.partition(':')[0]}.download_utils")
    downloads.downloader(str(folder), remotes={}, index=index, partial_download=["index"])


def _check_files(name: str, dataset: Any, home: Path) -> None:
    with _one_line(f"dataset {name}: its index cannot be read"):
        found = dataset.validate(verbose=False)
    for files, what in zip(found, ("missing", "damaged"), strict=True):
        paths = sorted({path for kind in files.values() for each in kind.values() for path in each})
        if paths:
            first = ", ".join(str(Path(path).relative_to(home)) for path in paths[:3])
            raise DataError(
                f"{home}: {len(paths)} files of {name} are {what} ({first}"
                f"{', ...' if len(paths) > 3 else ''}): fetch them again"
            )


def _read(name: str, row: Row, dataset: Any, home: Path) -> Iterator[Clip]:
    """Clips with audio that the row asks for; a clip without labels is among them."""
    is_track = hasattr(dataset, "track_ids")
    identities = dataset.track_ids if is_track else dataset.clip_ids
    one: Callable[[str], Any] = dataset.track if is_track else dataset.clip
    fixed: dict[str, str] = {}
    if row.split == FIXED_SPLITS:
        splits = dataset.get_track_splits()
        fixed = {identity: split for split, within in splits.items() for identity in within}
    for identity in identities:
        with _one_line(f"dataset {name}: {identity}"):
            item = one(identity)
            audio = getattr(item, row.audio)
            wanted = all(str(getattr(item, key)) == value for key, value in row.only.items())
            split = _split(row, fixed.get(identity) if fixed else _value(item, row.split))
            if audio is None or not wanted or split == "":
                continue
            found = conversion.read(_value(item, row.labels), row.names, row.separator)
            fold, source = _value(item, row.fold), _value(item, row.source)
            path = Path(audio).resolve().relative_to(home).as_posix()
        yield Clip(
            path,
            found.labels,
            None if fold is None else int(fold) - row.first_fold + 1,
            split,
            source=None if source is None else str(source),
            events=found.events,
        )


def _value(item: Any, attribute: str) -> Any:
    """An attribute, or with a dot an entry of it; None where none is asked for."""
    name, _, entry = attribute.partition(".")
    value = getattr(item, name) if name else None
    return value[entry] if entry and value is not None else value


def _split(row: Row, word: Any) -> str | None:
    """The split that a word means; "": the clip is left out; None: the clip has none."""
    if not word:
        return None
    for pattern, split in (*row.splits.items(), *_SPLITS.items()):
        if fnmatch(str(word), pattern):
            return split
    raise ValueError(f"split {word!r} is unknown")


def _used(name: str, clips: Iterator[Clip], options: Options) -> list[Clip]:
    """Leave out what cannot be used: clips without a split where others have one, or a label."""
    found = list(clips)
    if any(clip.split for clip in found):
        found = [clip for clip in found if clip.split]
    bare = [clip.path for clip in found if not clip.labels]
    if bare and not options.drop_unlabelled:
        first = ", ".join(bare[:3])
        raise DataError(
            f"dataset {name}: {len(bare)} clips have no label ({first}): leave them out with "
            f"dataset_specific.{name.partition(':')[0]}.drop_unlabelled"
        )
    used = [clip for clip in found if clip.labels]
    if bare:
        print(f"{len(bare)} clips without a label are left out", flush=True)
    return used


@contextlib.contextmanager
def _one_line(what: str) -> Iterator[None]:
    """Say in one line what a library says in many; its exceptions are of every kind."""
    try:
        yield
    except (DataError, ParameterError, MissingExtra):
        raise
    except Exception as error:
        text = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{what}: {text}") from error
