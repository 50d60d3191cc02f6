"""How objects of S3 become files of a job, and files objects."""

from __future__ import annotations

import contextlib
import os
import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from definition_runner.errors import StepFailed

if TYPE_CHECKING:
    from collections.abc import Iterator


def split(uri: str) -> tuple[str, str]:
    """Return bucket and key of an S3 URI."""
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise StepFailed(f"ClientError: {uri!r} is no S3 URI")
    return bucket, key


def keys(s3: Any, uri: str) -> Iterator[str]:
    """Yield the keys that begin with a prefix; folder markers are none.

    A prefix is text: ``.../part`` matches ``.../part/a`` and ``.../part-2/a``.
    """
    bucket, prefix = split(uri)
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for found in page.get("Contents", []):
            if not found["Key"].endswith("/"):
                yield found["Key"]


def download(s3: Any, uri: str, folder: Path) -> int:
    """Copy every object of an ``S3Prefix`` into a folder; return how many there were.

    What follows the prefix is the file's place; a key that only begins with the prefix keeps the
    prefix's last name, so an object given by its whole key keeps its own name.
    """
    bucket, prefix = split(uri)
    parent = prefix.rpartition("/")[0]
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for count, key in enumerate(_listed(s3, uri), start=1):  # noqa: B007
        below = key.removeprefix(prefix)
        inside = prefix.endswith("/") or not prefix or below.startswith("/")
        place = folder / (below if inside else key.removeprefix(parent)).lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("wb") as file:
            shutil.copyfileobj(s3.get_object(Bucket=bucket, Key=key)["Body"], file)
    return count


def _listed(s3: Any, uri: str) -> list[str]:
    try:
        return list(keys(s3, uri))
    except ClientError as error:
        raise StepFailed(f"ClientError: Data download failed: {uri}: {error}") from error


def fetch_input(s3: Any, uri: str, folder: Path) -> None:
    """Copy an input; one without any object fails the job.

    Raises:
        StepFailed: there is no bucket, or no object.
    """
    if not download(s3, uri, folder):
        raise StepFailed(
            f'ClientError: Data download failed: No S3 objects found under S3 URL "{uri}"'
        )


def upload(s3: Any, folder: Path, uri: str) -> None:
    """Copy every file below a folder; empty folders do not exist on S3."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            put(s3, path, f"{uri.rstrip('/')}/{path.relative_to(folder).as_posix()}")


def put(s3: Any, path: Path, uri: str) -> None:
    """Copy one file."""
    bucket, key = split(uri)
    try:
        with path.open("rb") as file:
            s3.put_object(Bucket=bucket, Key=key, Body=file)
    except ClientError as error:
        raise StepFailed(f"ClientError: upload to {uri} failed: {error}") from error


def pack(s3: Any, folder: Path, uri: str) -> None:
    """Copy a folder as one ``.tar.gz``, its content at the top."""
    with tempfile.NamedTemporaryFile(suffix=".tar.gz") as file:
        with tarfile.open(file.name, "w:gz", compresslevel=1) as archive:
            for path in sorted(folder.iterdir()):
                archive.add(path, path.name)
        put(s3, Path(file.name), uri)


def read(s3: Any, uri: str) -> bytes:
    """Return an object's content.

    Raises:
        StepFailed: there is no such object.
    """
    bucket, key = split(uri)
    try:
        content: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except ClientError as error:
        raise StepFailed(f"ClientError: {uri}: {error}") from error
    return content


def exists(s3: Any, uri: str) -> bool:
    """Whether there is such an object."""
    bucket, key = split(uri)
    try:
        s3.head_object(Bucket=bucket, Key=key)
    except ClientError:
        return False
    return True


class Synchronised:
    """A folder whose files are copied to S3 while they appear: checkpoints.

    Nothing is deleted there when it is deleted here. A file that is renamed away while it is
    copied is left to the next round, as is one that grew.
    """

    def __init__(self, s3: Any, folder: Path, uri: str) -> None:
        self._s3, self._folder, self._uri = s3, folder, uri.rstrip("/")
        self._known: dict[Path, tuple[int, int]] = {}

    def restore(self) -> int:
        """Bring what is there; return how many files."""
        count = download(self._s3, f"{self._uri}/", self._folder)
        self._known = self._look()
        return count

    def push(self) -> None:
        """Copy what is new or changed."""
        for path, state in self._look().items():
            if self._known.get(path) == state:
                continue
            with tempfile.NamedTemporaryFile() as copy:
                try:
                    shutil.copyfile(path, copy.name)
                except FileNotFoundError:
                    continue
                name = path.relative_to(self._folder).as_posix()
                put(self._s3, Path(copy.name), f"{self._uri}/{name}")
            self._known[path] = state

    def _look(self) -> dict[Path, tuple[int, int]]:
        """What there is while the container writes and removes: folders too go under way."""
        found = {}
        for folder, _, names in os.walk(self._folder):  # passes over a folder that is gone
            for path in (Path(folder, name) for name in names):
                with contextlib.suppress(FileNotFoundError):
                    found[path] = (path.stat().st_mtime_ns, path.stat().st_size)
        return dict(sorted(found.items()))
