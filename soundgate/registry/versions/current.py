"""Which version an alias names now, and its files in a folder that is kept from time to time.

MLflow takes seconds and some hundred megabytes to import. What runs for long asks here: an embedded
registry is looked at without MLflow, and where MLflow is needed it runs in a process of its own.
"""

from __future__ import annotations

import multiprocessing
import shutil
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from soundgate.errors import RegistryError
from soundgate.registry.service.connection import Registry
from soundgate.registry.versions.alias_lookup import alias_state
from soundgate.registry.versions.bundle import DIGEST_TAG, digest_of, files_of
from soundgate.registry.versions.lookup import download, get
from soundgate.reuse.digests import digest_text

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
MODEL = "model"


class Current(NamedTuple):
    """A version as an alias or a number names it now."""

    version: str
    digest: str
    """SHA-256 of its files, as they were registered."""


def current(uri: str, name: str, which: str) -> Current:
    """The version that an alias or a number names.

    Raises:
        RegistryError: there is none, or MLflow refused or failed.
    """
    registry = Registry(uri)
    seen = alias_state(registry.database, name, which)
    if not seen.known:
        return _elsewhere(_asked, uri, name, which)
    if not seen.identity:
        raise RegistryError(f"{uri}: model {name!r} has no {which}: approve a version first")
    return Current(seen.identity[0], seen.identity[-1])


def fetched(uri: str, name: str, version: Current, folder: Path) -> Path:
    """The model's files, whole and checked.

    Args:
        uri: of the registry.
        name: of the model.
        version: from ``current``.
        folder: where versions are kept; what is there already is checked and used.

    Returns:
        The ``model/`` folder.

    Raises:
        RegistryError: the files are not those that were registered, or MLflow failed.
    """
    kept = folder / digest_text(uri, name, *version) / MODEL
    if kept.is_dir() and digest_of(files_of(kept)) == version.digest:
        return kept
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetching-", dir=folder) as scratch:
        whole = Path(scratch) / MODEL
        _elsewhere(_downloaded, uri, name, version.version, whole)
        shutil.rmtree(kept, ignore_errors=True)  # damaged
        whole.rename(kept)
    return kept


def _elsewhere(function: Callable[..., T], *arguments: object) -> T:
    """Call a function of this module in a process of its own."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as process:
        return process.submit(function, *arguments).result()


def _asked(uri: str, name: str, which: str) -> Current:
    found = get(Registry(uri), name, which)
    return Current(found.version, found.tags.get(DIGEST_TAG, ""))


def _downloaded(uri: str, name: str, version: str, folder: Path) -> None:
    registry = Registry(uri)
    download(registry, get(registry, name, version), folder)
