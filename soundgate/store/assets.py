"""Assets by name: files from web addresses and paths, whole and checked by their SHA-256."""

from __future__ import annotations

import re
import shutil
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from soundgate.checksums import file_sha256
from soundgate.errors import DataError, ParameterError, unreadable

if TYPE_CHECKING:
    from typing import IO

ASSET = re.compile(r"(?P<name>[^=/]+)=(?P<source>.+?)(@sha256:(?P<digest>[0-9a-f]{64}))?")
LISTING = "assets.json"
"""Lies beside the assets, so that none may have its name."""
WAIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Asset:
    """A file, and where it is brought from."""

    name: str
    source: str
    """A web address or a path."""
    sha256: str | None
    """What it must hold; None: whatever it holds."""


@dataclass(frozen=True, slots=True)
class Brought:
    """What a file held when it was brought."""

    source: str
    sha256: str
    bytes: int


def parse_asset(text: str) -> Asset:
    """Read ``NAME=SOURCE`` or ``NAME=SOURCE@sha256:HEX``.

    Raises:
        ParameterError: it is neither.
    """
    found = ASSET.fullmatch(text)
    if found is None or found["name"] in (".", "..", LISTING):
        raise ParameterError(f"assets: {text!r}: expected NAME=SOURCE or NAME=SOURCE@sha256:HEX")
    return Asset(found["name"], found["source"], found["digest"])


def bring(asset: Asset, folder: Path) -> Brought:
    """Copy an asset into ``folder``, under its name.

    Raises:
        DataError: it cannot be read or fetched, was cut short, or is not what it must be.
    """
    target = folder / asset.name
    _copy(asset.source, target)
    digest = file_sha256(target)
    if asset.sha256 not in (None, digest):
        raise DataError(
            f"{asset.source}: SHA-256 is {digest}, not {asset.sha256}: it is another file, or a "
            "damaged one"
        )
    return Brought(asset.source, digest, target.stat().st_size)


def _copy(source: str, target: Path) -> None:
    if source.startswith(("http://", "https://")):
        try:
            with urllib.request.urlopen(source, timeout=WAIT_S) as answer:  # noqa: S310 - http only
                _write(answer, target, int(answer.headers.get("Content-Length") or -1), source)
        except OSError as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            raise DataError(f"{source}: cannot be fetched: {error}") from error
        return
    try:
        with Path(source).open("rb") as file:
            _write(file, target, Path(source).stat().st_size, source)
    except OSError as error:
        raise unreadable(source, error) from error


def _write(stream: IO[bytes], target: Path, expected: int, source: str) -> None:
    with target.open("wb") as file:
        shutil.copyfileobj(stream, file, 1 << 20)
    if expected not in (-1, target.stat().st_size):
        raise DataError(f"{source}: cut short at {target.stat().st_size} of {expected} bytes")
