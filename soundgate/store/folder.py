"""A store in a folder of a POSIX file system, local or shared (NFS, Lustre).

``objects/sha256/ab/<digest>``  content-addressed objects, plain read-only files
``<name>``                      a named object: a link to its bytes, so that the digest is known
``.soundgate/named/<digest>``   those bytes
``.soundgate/incoming/``        objects being written

An object is written to ``incoming``, flushed to disk and then hard-linked to its key, which fails
where the key exists: readers see all of it or nothing, and of several writers one wins.
"""

from __future__ import annotations

import errno
import io
import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from soundgate.checksums import file_sha256
from soundgate.errors import StoreError
from soundgate.store.contract import (
    PRIVATE,
    check_digest,
    check_key,
    check_source,
    copy_hashed,
    digest_in,
    refuse_other_content,
)
from soundgate.store.scratch import Scratch, part_of, sweep

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

READ_ONLY = 0o444


class FolderStore:
    """The store in the folder ``root``; see ``contract.Store`` for what each method promises."""

    def __init__(self, root: Path) -> None:
        """Open the store; the folder is made when something is put."""
        self.root = root.absolute()
        self._incoming = self.root / PRIVATE / "incoming"
        self._named = self.root / PRIVATE / "named"
        self._swept = threading.Lock()

    @property
    def url(self) -> str:
        """The folder's absolute path."""
        return str(self.root)

    def put(self, key: str, source: Path | bytes) -> None:
        """Create ``key``; see ``contract.Store.put``."""
        path = self._path(key)
        with self._errors(key):
            self._incoming.mkdir(parents=True, exist_ok=True)
            if self._swept.acquire(blocking=False):  # once for each opened store
                sweep(self._incoming)
            with Scratch(self._incoming) as scratch:
                with _opened(source) as stream, scratch.path.open("wb") as target:
                    digest = copy_hashed(stream, target)
                    os.fchmod(target.fileno(), READ_ONLY)
                    target.flush()
                    os.fsync(target.fileno())
                check_source(key, digest)
                if digest_in(key) is not None:
                    _publish(scratch.path, path)
                    return
                blob = self._named / digest
                _publish(scratch.path, blob)
            self._name(key, path, blob)

    def get(self, key: str, target: Path, sha256: str | None = None) -> None:
        """Write the object to ``target``; see ``contract.Store.get``."""
        path = self._path(key)
        with self._errors(key):
            part = part_of(target)
            try:
                with path.open("rb") as source, part.open("xb") as stream:
                    found = copy_hashed(source, stream)
                check_digest(self.url, key, self._recorded(key), found)
                check_digest(self.url, key, sha256, found)
                part.replace(target)
            finally:
                part.unlink(missing_ok=True)

    def link(self, key: str, target: Path, sha256: str) -> None:
        """Like ``get``, without a copy where the file system can link; ``target`` is read-only."""
        path = self._path(key)
        try:
            os.link(path.resolve(), target)
        except OSError:  # another file system, or one without links
            self.get(key, target, sha256)
            return
        try:
            check_digest(self.url, key, sha256, file_sha256(target))
        except StoreError:
            target.unlink()
            raise

    def read(self, key: str) -> bytes:
        """The object's bytes; see ``contract.Store.read``."""
        path = self._path(key)
        buffer = io.BytesIO()
        with self._errors(key), path.open("rb") as stream:
            found = copy_hashed(stream, buffer)
        check_digest(self.url, key, self._recorded(key), found)
        return buffer.getvalue()

    def exists(self, key: str) -> bool:
        """Whether ``key`` is there."""
        path = self._path(key)
        with self._errors(key):
            return path.is_file()

    def list(self, prefix: str) -> Iterator[str]:
        """Every key that starts with ``prefix``, in the order of their UTF-8 bytes."""
        folder, _, _ = prefix.rpartition("/")
        with self._errors(prefix):
            yield from self._walk(f"{folder}/" if folder else "", prefix)

    def _walk(self, folder: str, prefix: str) -> Iterator[str]:
        try:
            with os.scandir(self.root / folder) as entries:
                # A folder sorts as 'name/': after 'name-x', where S3 lists its keys too.
                found = sorted((e.name + "/" if e.is_dir() else e.name) for e in entries)
        except (FileNotFoundError, NotADirectoryError):
            return
        for name in found:
            key = folder + name
            if name == f"{PRIVATE}/" and not folder:
                continue
            if name.endswith("/"):
                if key.startswith(prefix) or prefix.startswith(key):
                    yield from self._walk(key, prefix)
            elif key.startswith(prefix):
                yield key

    def _path(self, key: str) -> Path:
        return self.root / check_key(key)

    def _recorded(self, key: str) -> str | None:
        """The digest the store knows: from the key, or from where a named key links to."""
        if stated := digest_in(key):
            return stated
        try:
            return (self.root / key).readlink().name
        except OSError:  # a plain file somebody laid there
            return None

    def _name(self, key: str, path: Path, blob: Path) -> None:
        """Make the named key, or see that it holds the same bytes."""
        _make(path.parent)
        try:
            path.symlink_to(os.path.relpath(blob, path.parent))
        except FileExistsError:
            held = self._recorded(key) or file_sha256(path)
            if held != blob.name:
                refuse_other_content(self.url, key, held, blob.name)
            return
        _sync(path.parent)

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        """Turn what the file system says into one line."""
        try:
            yield
        except FileNotFoundError as error:
            if error.filename in {None, str(self.root / key)}:
                raise StoreError(f"{self.url}: no object {key!r}") from error
            raise StoreError(f"{self.url}: {key!r}: {error.filename} does not exist") from error
        except OSError as error:
            raise StoreError(f"{self.url}: {key!r}: {_reason(error)}") from error


def _publish(scratch: Path, path: Path) -> None:
    """Give the finished file its name; where it has it already, the bytes are the same."""
    _make(path.parent)
    try:
        os.link(scratch, path)
    except FileExistsError:
        return
    except OSError as error:
        # No hard links here (exFAT, some FUSE). The name is the digest, so that replacing a file
        # of that name replaces it by the same bytes.
        if error.errno not in {errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS}:
            raise
        scratch.rename(path)
    _sync(path.parent)


def _make(folder: Path) -> None:
    """Make ``folder`` and its parents so that they survive a power cut."""
    if not folder.is_dir():
        _make(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync(folder.parent)


def _sync(folder: Path) -> None:
    """Make a new name in ``folder`` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _opened(source: Path | bytes) -> BinaryIO:
    return io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")


def _reason(error: OSError) -> str:
    if error.errno in {errno.ENOTDIR, errno.EISDIR, errno.EEXIST}:
        return "a key cannot be both an object and a folder; use another name"
    where = f" ({error.filename})" if error.filename else ""
    return f"{error.strerror or error}{where}"
