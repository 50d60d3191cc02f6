"""Bring weights and other assets to where compute nodes without network can read them.

Reads   nothing of the run: web addresses and paths
Writes  staged/    the files under their names; assets.json: source, size and SHA-256 of each

    stage(assets=["clap.pth=https://host/CLAP_weights_2023.pth@sha256:0d2c..."])

A digest that is given must fit; one that is not given is written down, so that it is known which
bytes were used.
"""

from __future__ import annotations

import json
import re
import shutil
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from soundgate.errors import DataError, ParameterError, unreadable
from soundgate.reuse.digests import file_sha256
from soundgate.step import OutputPath, main

if TYPE_CHECKING:
    from typing import IO

ASSET = re.compile(r"(?P<name>[^=/]+)=(?P<source>.+?)(@sha256:(?P<digest>[0-9a-f]{64}))?")
WAIT_S = 60.0


def stage(staged: OutputPath, *, assets: list[str]) -> None:
    """Copy each asset, ``NAME=SOURCE`` or ``NAME=SOURCE@sha256:HEX``; check what can be checked."""
    listing = {}
    for text in assets:
        found = ASSET.fullmatch(text)
        if found is None or found["name"] in (".", "..", "assets.json"):
            raise ParameterError(
                f"assets: {text!r}: expected NAME=SOURCE or NAME=SOURCE@sha256:HEX"
            )
        if found["name"] in listing:
            raise ParameterError(f"assets: two assets are called {found['name']!r}; rename one")
        target = staged / found["name"]
        _copy(found["source"], target)
        digest = file_sha256(target)
        if found["digest"] not in (None, digest):
            raise DataError(
                f"{found['source']}: SHA-256 is {digest}, not {found['digest']}: it is another "
                "file, or a damaged one"
            )
        size = target.stat().st_size
        listing[found["name"]] = {"source": found["source"], "sha256": digest, "bytes": size}
        print(f"{found['name']}: {size / 1e6:.1f} MB, sha256:{digest[:12]}")
    (staged / "assets.json").write_text(json.dumps(listing, indent=1) + "\n", "utf-8")


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


if __name__ == "__main__":
    main(stage)
