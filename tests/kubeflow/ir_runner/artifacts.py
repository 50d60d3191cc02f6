"""Artifacts, and the object store that KFP's launcher moves them through.

A task writes below its own file system; files, and nothing but files, are uploaded afterwards: no
empty folders, no modes, no times, links to files as copies. The next task downloads a copy. Source:
``objectstore.UploadBlob`` and ``DownloadBlob`` of KFP.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

SCHEMES = {"minio://": "minio", "s3://": "s3", "gs://": "gcs", "oci://": "oci"}
ROOT = "minio://mlpipeline/v2/artifacts"


class TransferError(Exception):
    """An artifact cannot be stored or brought."""


@dataclass(frozen=True)
class Artifact:
    """What a task wrote or an importer named; ``id`` is what caching compares."""

    id: int
    uri: str
    schema: str
    version: str = ""
    metadata: dict[str, Any] = field(default_factory=dict, hash=False)
    path: Path | None = None
    """Where its bytes are in the store of the test; None where it has none."""
    custom_path: str = ""
    """Where its author told the launcher to leave it in every container; empty: by its URI."""

    def as_input(self) -> dict[str, Any]:
        """Return the ``RuntimeArtifact`` that a task is told of."""
        kind = {"schemaTitle": self.schema, "schemaVersion": self.version}
        told: dict[str, Any] = {
            "name": str(self.id),
            "uri": self.uri,
            "metadata": self.metadata,
        }
        if self.custom_path:
            told["customPath"] = self.custom_path
        return {**told, "type": {key: value for key, value in kind.items() if value}}


class Store:
    """The bucket of a cluster, in a folder; other buckets by their beginning."""

    def __init__(
        self,
        folder: Path,
        buckets: Mapping[str, Path],
        fetch: Callable[[str, Path], None] | None = None,
        put: Callable[[Path, str], None] | None = None,
    ) -> None:
        """Keep artifacts below ``folder``; ``fetch`` and ``put`` move what is in no bucket."""
        self.in_place = False
        self.folder = folder
        self.buckets = buckets
        self.fetch = fetch
        self.put = put

    def local_path(self, uri: str, sandbox: Path) -> Path | None:
        """Return where a task finds an artifact; None for a URI that the launcher ignores.

        A path is such a URI, unless a pipeline whose root is one reads and writes ``in_place``.
        """
        if self.in_place and uri.startswith("/"):
            return Path(uri)
        for scheme, folder in SCHEMES.items():
            if uri.startswith(scheme):
                return sandbox / folder / uri.removeprefix(scheme)
        return None

    def uri(self, address: str, sandbox: Path) -> str:
        """Return the URI of what a task calls by a path of its own, as lists of artifacts are."""
        for scheme, folder in SCHEMES.items():
            beginning = f"{sandbox / folder}/"
            if address.startswith(beginning):
                return scheme + address.removeprefix(beginning)
        return address

    def path(self, uri: str) -> Path | None:
        """Return where an artifact's bytes are; None where no bucket holds it."""
        if self.in_place and uri.startswith("/"):
            return Path(uri)
        if uri.startswith(ROOT):
            return self.folder / uri.removeprefix(ROOT).lstrip("/")
        for beginning in sorted(self.buckets, key=len, reverse=True):
            if uri == beginning or uri.startswith(beginning.rstrip("/") + "/"):
                return self.buckets[beginning] / uri.removeprefix(beginning).lstrip("/")
        return None

    def upload(self, written: Path, uri: str) -> Path | None:
        """Move what a task wrote into the store; return where it is, also where it wrote nothing.

        Raises:
            TransferError: it holds what an object store does not take.
        """
        target = self.path(uri)
        if target == written:
            return target
        if target is None and self.put:
            for relative in [Path()] if written.is_file() else files(written):
                self.put(written / relative, f"{uri}/{relative}".removesuffix("/."))
            return None
        if target is None:
            raise TransferError(f"no bucket holds {uri}")
        if written.is_file():
            _move(written, target)
        for relative in files(written):
            _move(written / relative, target / relative)
        return target

    def download(self, uri: str, target: Path) -> None:
        """Copy an artifact to where a task reads it.

        Raises:
            TransferError: it is nowhere.
        """
        source = self.path(uri)
        if source == target:
            return
        if source is not None and source.is_file():
            _copy(source, target)
        elif source is not None and source.is_dir():
            for relative in files(source):
                _copy(source / relative, target / relative)
        elif source is None and self.fetch:
            self.fetch(uri, target)
        elif source is None:
            raise TransferError(f"no bucket holds {uri}")


def files(folder: Path) -> Iterator[Path]:
    """Yield the files below ``folder``, as paths relative to it, in order."""
    for root, folders, names in os.walk(folder):
        folders.sort()
        linked = [name for name in folders if Path(root, name).is_symlink()]
        if linked:
            raise TransferError(
                f"{Path(root, linked[0])} is a link to a folder: it is not uploaded"
            )
        for name in sorted(names):
            yield Path(root, name).relative_to(folder)


def snapshot(path: Path) -> dict[str, tuple[int, int, int]]:
    """Return what tells whether anything at ``path`` was written to."""
    listed = [path] if path.is_file() else [path / relative for relative in files(path)]
    states = {str(each.relative_to(path)): each.stat() for each in listed}
    return {name: (s.st_size, s.st_mtime_ns, s.st_ino) for name, s in states.items()}


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _move(source: Path, target: Path) -> None:
    try:
        str(target).encode("utf-8")
    except UnicodeEncodeError:
        raise TransferError(f"{target.name!r}: the key of an object is UTF-8") from None
    if source.is_symlink():
        _copy(source, target)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    source.replace(target)
    target.chmod(0o644)
