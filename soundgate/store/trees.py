"""Data sets in a store: folders kept as content-addressed objects and one manifest.

``<name>/manifest.json`` is ``{"format": "soundgate.tree/1", "digest": <64 hex digits>, "files":
[{"path", "sha256", "bytes"}, ...]}``, files in the order of their paths. The digest is the SHA-256
of the lines ``<sha256>  <path>``, which is what ``sha256sum`` prints for the files in that order.
"""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any, NamedTuple

from soundgate.errors import DataError, StoreError
from soundgate.reuse.digests import digest_tree, listing_digest
from soundgate.store.contract import is_portable, object_key, source_sha256
from soundgate.store.folder import FolderStore
from soundgate.store.parallel import in_parallel
from soundgate.store.scratch import Scratch, sweep
from soundgate.text.progress import track

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from soundgate.store.contract import Store

FORMAT = "soundgate.tree/1"
# Files up to this size are read once, hashed and sent from memory.
SMALL_BYTES = 4 << 20


class TreeFile(NamedTuple):
    """One file of a tree: relative POSIX path, SHA-256 (hex), size in bytes."""

    path: str
    sha256: str
    bytes: int


def put_tree(store: Store, name: str, folder: Path, *, workers: int = 8) -> str:
    """Keep every file below ``folder`` as the data set ``name``; returns the tree's digest.

    Objects that are there already are not sent again; the manifest is written last and once, so
    that a killed call leaves nothing a reader sees and the next call continues. Links to files are
    stored as the files they point to; empty folders are not stored.

    Raises:
        DataError: ``folder`` is missing or empty, or holds something that is no file.
        StoreError: ``name`` exists with other content, or the store failed.
    """
    paths = sorted(_paths(folder))
    if not paths:
        raise DataError(f"{folder}: contains no files; a data set needs at least one")
    held = has_tree(store, name)

    def keep(path: str) -> TreeFile:
        return _keep(store if held is None else None, folder, path)

    kept = in_parallel(keep, paths, workers)
    files = list(track(kept, total=len(paths), label=f"store {name}"))
    digest = listing_digest((file.path, file.sha256) for file in files)
    if held is None:
        manifest = {"format": FORMAT, "digest": digest, "files": [f._asdict() for f in files]}
        text = json.dumps(manifest, ensure_ascii=False, indent=0) + "\n"
        store.put(_manifest_key(name), text.encode())
    elif held != digest:
        raise StoreError(
            f"{store.url}: data set {name!r} exists with different content (stored {held}, offered "
            f"{digest}); data sets are never overwritten; give this one another name"
        )
    return digest


def has_tree(store: Store, name: str) -> str | None:
    """The digest of the data set ``name``, None where it is absent or incomplete.

    Raises:
        StoreError: the manifest is damaged, or the store failed.
    """
    if not store.exists(_manifest_key(name)):
        return None
    return _manifest(store, name)[0]


def get_tree(store: Store, name: str, folder: Path, *, workers: int = 8) -> str:
    """Write the data set ``name`` to ``folder``; returns its digest.

    ``folder`` is absent or empty before, and whole after; a failed call leaves it as it was. From a
    folder store on the same file system the files are hard links, read-only. A mount point cannot
    be renamed onto: there the files, whole and checked, are moved in one by one.

    Raises:
        StoreError: no such data set, damaged objects, ``folder`` is not empty, or the store failed.
    """
    folder = folder.absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise StoreError(f"{folder} is not empty; give a new folder for data set {name!r}")
    digest, files = _manifest(store, name)
    mounted = folder.is_mount()
    parent = folder if mounted else folder.parent
    stem = f".{folder.name}"
    parent.mkdir(parents=True, exist_ok=True)
    sweep(parent, stem)
    with Scratch(parent, stem, folder=True) as scratch:
        whole = scratch.path / "tree"
        for above in sorted({file.path.rpartition("/")[0] for file in files}):
            (whole / above).mkdir(parents=True, exist_ok=True)

        def fetch(file: TreeFile) -> None:
            _fetch(store, file, whole / file.path)

        fetched = in_parallel(fetch, files, workers)
        for _ in track(fetched, total=len(files), label=f"fetch {name}"):
            pass
        if mounted:
            for entry in sorted(whole.iterdir()):
                entry.rename(folder / entry.name)
        else:
            _rename(whole, folder)
    return digest


def bring_tree(
    store: Store,
    name: str,
    folder: Path,
    make: Callable[[Path], None],
    *,
    by_content: bool = False,
    workers: int = 8,
) -> tuple[str, str]:
    """Write the data set ``name`` to ``folder``; where the store lacks it, it is made and kept.

    Args:
        store: The store.
        name: Name of the data set.
        folder: Absent or empty before.
        make: Fills the folder; links to files of the user's become links to objects of the store.
        by_content: Make it in any case, and add its digest to the name.
        workers: Files kept or fetched at a time.

    Returns:
        The name in the store, and the tree's digest.

    Raises:
        StoreError: the store failed.
    """
    if not by_content and has_tree(store, name):
        return name, get_tree(store, name, folder, workers=workers)
    make(folder)
    if by_content:
        name = f"{name}/{digest_tree(folder).digest.removeprefix('sha256:')[:16]}"
    digest = put_tree(store, name, folder, workers=workers)
    if any(path.stat().st_nlink > 1 for path in folder.rglob("*") if path.is_file()):
        _detach(store, name, folder, workers)
    return name, digest


def _detach(store: Store, name: str, folder: Path, workers: int) -> None:
    """Give the run bytes of its own: until now its files are links to the user's.

    A user who edits a file in place must not edit finished runs with it.
    """
    if store.url.startswith("s3://"):  # they would come back over the network: copy them here
        for path in [p for p in folder.rglob("*") if p.is_file() and p.stat().st_nlink > 1]:
            copy = path.with_name(f"{path.name}.copy")
            shutil.copy2(path, copy)
            copy.replace(path)
        return
    for child in folder.iterdir():
        shutil.rmtree(child) if child.is_dir() else child.unlink()
    get_tree(store, name, folder, workers=workers)  # links to the store's objects


def _paths(folder: Path) -> Iterator[str]:
    """Relative POSIX paths of the files below ``folder``."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; give the folder of the data set")
    for above, folders, names in os.walk(folder, onerror=_refuse):
        for name in folders:
            path = os.path.join(above, name)  # noqa: PTH118 # Path costs 5x on 50 000 files
            if os.path.islink(path):  # noqa: PTH114 # likewise
                raise DataError(f"{path}: is a link to a folder; replace it with the folder itself")
        relative = os.path.relpath(above, folder).replace(os.sep, "/")
        for name in names:
            path = name if relative == "." else f"{relative}/{name}"
            if not is_portable(path):
                raise DataError(f"{folder}: file name {path!r} is not portable; rename the file")
            if not os.path.isfile(os.path.join(above, name)):  # noqa: PTH113, PTH118 # likewise
                raise DataError(f"{folder}: {path!r} is not a regular file; remove it")
            yield path


def _refuse(error: OSError) -> None:
    raise DataError(f"{error.filename}: {error.strerror}") from error


def _keep(store: Store | None, folder: Path, path: str) -> TreeFile:
    """Hash a file and put it in ``store`` (None: only hash) unless its bytes are there."""
    source = folder / path
    size = source.stat().st_size
    content: Path | bytes = source.read_bytes() if size <= SMALL_BYTES else source
    if isinstance(content, bytes):
        size = len(content)
    sha256 = source_sha256(content)
    key = object_key(sha256)
    if store is not None and not store.exists(key):
        store.put(key, content)
    return TreeFile(path, sha256, size)


def _fetch(store: Store, file: TreeFile, target: Path) -> None:
    key = object_key(file.sha256)
    if isinstance(store, FolderStore):
        store.link(key, target, file.sha256)
    else:
        store.get(key, target, file.sha256)


def _rename(whole: Path, folder: Path) -> None:
    try:
        whole.rename(folder)
    except OSError as error:
        raise StoreError(f"{folder}: {error.strerror}; give a new folder") from error


def _manifest_key(name: str) -> str:
    return f"{name}/manifest.json"


def _manifest(store: Store, name: str) -> tuple[str, list[TreeFile]]:
    """The digest and the files of a data set, checked against each other."""
    key = _manifest_key(name)
    if not store.exists(key):
        raise StoreError(f"{store.url}: no data set {name!r}; store it first")
    where = f"{store.url}: {key!r}"
    try:
        manifest: Any = json.loads(store.read(key))
        if manifest["format"] != FORMAT:
            raise StoreError(f"{where} has format {manifest['format']!r}; expected {FORMAT!r}")
        files = [TreeFile(e["path"], e["sha256"], e["bytes"]) for e in manifest["files"]]
        digest = str(manifest["digest"])
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{where} is not a data set manifest ({error!r})") from error
    if listing_digest((file.path, file.sha256) for file in files) != digest:
        raise StoreError(f"{where} is damaged: the digest of its files is not {digest}")
    for file in files:
        parts = file.path.split("/")
        if ".." in parts or "." in parts or "" in parts:
            raise StoreError(f"{where} names {file.path!r}, which is outside the target folder")
    return digest, files
