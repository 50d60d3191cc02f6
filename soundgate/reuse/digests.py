"""Digests of artifacts: the same bytes give the same name, wherever and whenever they were written.

An artifact is a folder (or one file). Its digest is the SHA-256 of the lines ``sha256sum`` prints
for its files in path order, ``<sha256>  <path>\\n``, so that it can be checked by hand. A name with
a newline or a backslash is escaped as ``sha256sum`` does.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

MANY_FILES = 16  # from here on threads pay: hashlib and read() release the GIL


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of an artifact. ``mtime_ns`` serves only to notice changes without reading."""

    sha256: str
    size: int
    mtime_ns: int
    path: str


@dataclass(frozen=True, slots=True)
class Tree:
    """All files of an artifact, in path order."""

    entries: tuple[Entry, ...]

    @property
    def digest(self) -> str:
        """The artifact's digest, ``sha256:<hex>``."""
        return f"sha256:{listing_digest((e.path, e.sha256) for e in self.entries)}"

    @property
    def size(self) -> int:
        """Bytes in all files."""
        return sum(entry.size for entry in self.entries)

    def write(self, path: Path) -> None:
        """Save the list, so that a later digest reads only the files whose size or time changed."""
        temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
        temporary.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("w", encoding="utf-8", errors="surrogateescape") as file:
            for e in self.entries:
                file.write(f"{e.sha256} {e.size} {e.mtime_ns} {_escape(e.path)}\n")
        temporary.replace(path)


def listing_digest(files: Iterable[tuple[str, str]]) -> str:
    """Return the SHA-256, hex, of what ``sha256sum`` prints; ``files`` are (path, sha256)."""
    lines = hashlib.sha256()
    for name, sha256 in sorted(files):
        path = _escape(name)
        mark = "\\" if path != name else ""
        lines.update(f"{mark}{sha256}  {path}\n".encode("utf-8", "surrogateescape"))
    return lines.hexdigest()


def read_tree(path: Path) -> Tree | None:
    """Return a list saved by ``Tree.write``; None where there is none or it is damaged."""
    try:
        with path.open(encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            rows = [line.rstrip("\n").split(" ", 3) for line in file]
        return Tree(tuple(Entry(r[0], int(r[1]), int(r[2]), _unescape(r[3])) for r in rows))
    except (FileNotFoundError, NotADirectoryError, ValueError, IndexError):
        return None


def _escape(path: str) -> str:
    return path.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")


def _unescape(text: str) -> str:
    plain = {"\\n": "\n", "\\r": "\r", "\\\\": "\\"}
    return re.sub(r"\\[nr\\]", lambda found: plain[found[0]], text)


def _walk(folder: str, prefix: str = "") -> Iterator[tuple[str, os.stat_result]]:
    with os.scandir(folder) as found:
        for entry in found:
            name = f"{prefix}{entry.name}"
            if entry.is_dir():
                yield from _walk(entry.path, f"{name}/")
            else:
                yield name, entry.stat()


def _sha256(path: str) -> str:
    with open(path, "rb") as file:  # noqa: PTH123 - hot loop over many small files
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_tree(path: Path, known: Tree | None = None) -> Tree:
    """Digest a folder or a file.

    Args:
        path: an artifact; a single file counts as a folder that holds it alone.
        known: an earlier list; a file of the same size and time keeps its digest unread.
    """
    if path.is_file():
        base, found = str(path.parent), [(path.name, path.stat())]
    else:
        base, found = str(path), sorted(_walk(str(path)))
    before = {(e.path, e.size, e.mtime_ns): e.sha256 for e in known.entries} if known else {}
    shas = [before.get((name, stat.st_size, stat.st_mtime_ns)) for name, stat in found]
    missing = [i for i, sha in enumerate(shas) if sha is None]
    targets = [f"{base}/{found[i][0]}" for i in missing]
    if len(missing) < MANY_FILES:
        hashed = [_sha256(target) for target in targets]
    else:
        from concurrent.futures import ThreadPoolExecutor  # pulls in logging: 10 ms

        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            hashed = list(pool.map(_sha256, targets, chunksize=8))
    for i, sha in zip(missing, hashed, strict=True):
        shas[i] = sha
    rows = zip(found, shas, strict=True)
    return Tree(tuple(Entry(sha or "", s.st_size, s.st_mtime_ns, n) for (n, s), sha in rows))


def digest_text(*parts: str) -> str:
    """Return the SHA-256 hex of some text, its parts kept apart."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogateescape")
        total.update(len(data).to_bytes(8, "little") + data)
    return total.hexdigest()
