"""Digests of artifacts: the same bytes give the same name, wherever and whenever they were written.

An artifact is a folder (or one file). Its digest is the SHA-256 of the lines ``sha256sum`` prints
for its files in path order, ``<sha256>  <path>\\n``, so that it can be checked by hand. A name with
a newline or a backslash is escaped as ``sha256sum`` does.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from soundgate.checksums import file_sha256
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

MANY_FILES = 16  # from here on threads pay: hashlib and read() release the GIL
HEADER = "#2"
"""First line of a saved list; lists without it hold size and mtime alone."""
CLOCK_TICK_NS = 10_000_000
"""File times advance in steps of up to 10 ms: two writes within one step have the same times."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What ``stat`` says of a file; a file with the same stamp is taken to hold the same bytes.

    Size and mtime alone do not tell: two clips that change places, or an edit whose time is put
    back, keep both. A rename brings another inode, and no program can set ctime.
    """

    size: int
    mtime_ns: int
    ctime_ns: int = 0
    inode: int = 0

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        """Return the stamp of a file that was looked at."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)

    def tells(self, read_ns: int) -> bool:
        """Whether a write after the file was read at ``read_ns`` would have changed it."""
        return max(self.mtime_ns, self.ctime_ns) < read_ns - CLOCK_TICK_NS


UNKNOWN = Stamp(-1, -1)
"""Matches no file, so that the file is read again."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of an artifact. Its stamp serves only to notice changes without reading."""

    sha256: str
    size: int
    stamp: Stamp
    path: str


@dataclass(frozen=True, slots=True)
class Tree:
    """All files of an artifact, in path order."""

    entries: tuple[Entry, ...]
    read_ns: int = field(default=0, compare=False)
    """When reading them began, nanoseconds since the epoch; 0: not known."""

    @property
    def digest(self) -> str:
        """The artifact's digest, ``sha256:<hex>``."""
        return f"sha256:{listing_digest((e.path, e.sha256) for e in self.entries)}"

    @property
    def size(self) -> int:
        """Bytes in all files."""
        return sum(entry.size for entry in self.entries)

    @property
    def is_sure(self) -> bool:
        """Whether each file had been left alone long enough for its stamp to tell of a change."""
        return all(entry.stamp.tells(self.read_ns) for entry in self.entries)

    def write(self, path: Path) -> None:
        """Save the list, so that a later digest reads only the files whose stamps changed."""
        temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
        temporary.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(f"{HEADER} {self.read_ns}\n")
            for e in self.entries:
                s = e.stamp
                times = f"{s.size} {s.mtime_ns} {s.ctime_ns} {s.inode}"
                file.write(f"{e.sha256} {e.size} {times} {_escape(e.path)}\n")
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
            lines = [line.rstrip("\n") for line in file]
        if lines and lines[0].startswith(HEADER):
            read_ns = int(lines[0].removeprefix(HEADER))
            return Tree(tuple(_entry(line) for line in lines[1:]), read_ns)
        return Tree(tuple(_old_entry(line) for line in lines))
    except (FileNotFoundError, NotADirectoryError, ValueError, IndexError):
        return None


def _entry(line: str) -> Entry:
    sha256, size, own, mtime_ns, ctime_ns, inode, path = line.split(" ", 6)
    stamp = Stamp(int(own), int(mtime_ns), int(ctime_ns), int(inode))
    return Entry(sha256, int(size), stamp, _unescape(path))


def _old_entry(line: str) -> Entry:
    """Read a line without ctime and inode: the digest is known, the file is read again."""
    sha256, size, mtime_ns, path = line.split(" ", 3)
    int(mtime_ns)  # a damaged line raises
    return Entry(sha256, int(size), UNKNOWN, _unescape(path))


def _escape(path: str) -> str:
    return path.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")


def _unescape(text: str) -> str:
    plain = {"\\n": "\n", "\\r": "\r", "\\\\": "\\"}
    return re.sub(r"\\[nr\\]", lambda found: plain[found[0]], text)


def _walk(folder: str) -> Iterator[tuple[str, os.stat_result]]:
    """Yield every file below a folder, links followed; the depth is not bounded by Python's stack.

    Raises:
        DataError: a link that leads nowhere or into a loop, or what is no regular file: a pipe
            would be waited for without end.
    """
    # each folder with the folders it lies in: a link to one of those would be walked for ever
    waiting: list[tuple[str, str, frozenset[tuple[int, int]]]] = [(folder, "", frozenset())]
    while waiting:
        path, prefix, above = waiting.pop()
        here = _status(path)
        identity = (here.st_dev, here.st_ino)
        if identity in above:
            raise DataError(f"{path}: a link to a folder it lies in: remove the link")
        with os.scandir(path) as found:
            for entry in found:
                name = f"{prefix}{entry.name}"
                status = _status(entry.path)
                if stat.S_ISDIR(status.st_mode):
                    waiting.append((entry.path, f"{name}/", above | {identity}))
                else:
                    yield name, _regular(entry.path, status)


def _status(path: str) -> os.stat_result:
    try:
        return os.stat(path)  # noqa: PTH116 - hot loop over many small files
    except OSError as error:
        if not os.path.islink(path):  # noqa: PTH114 - likewise
            raise
        raise DataError(
            f"{path}: a link that leads nowhere ({error.strerror}): restore its target or remove it"
        ) from error


def _regular(path: str, status: os.stat_result) -> os.stat_result:
    if not stat.S_ISREG(status.st_mode):
        kinds = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
        kind = kinds.get(stat.S_IFMT(status.st_mode), "a device")
        raise DataError(f"{path}: is {kind}, not a file: remove it")
    return status


def _sha256_all(paths: list[str]) -> list[str]:
    if len(paths) < MANY_FILES:
        return [file_sha256(path) for path in paths]
    from concurrent.futures import ThreadPoolExecutor  # pulls in logging: 10 ms

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        return list(pool.map(file_sha256, paths, chunksize=8))


def digest_tree(path: Path, known: Tree | None = None) -> Tree:
    """Digest a folder or a file.

    Empty folders and file modes do not count: object stores keep neither.

    Args:
        path: an artifact; a single file counts as a folder that holds it alone.
        known: an earlier list; a file with the same stamp keeps its digest unread.

    Raises:
        DataError: a broken link, a loop of links, or something that is not a file.
    """
    now_ns = time.time_ns()
    found = scan(path)
    base = path.parent if path.is_file() else path
    before = {}
    if known is not None:
        sure = [e for e in known.entries if e.stamp.tells(known.read_ns)]
        before = {(e.path, e.stamp): e.sha256 for e in sure}
    shas = {name: before.get((name, stamp)) for name, stamp in found}
    missing = [name for name, sha in shas.items() if sha is None]
    shas.update(zip(missing, _sha256_all([f"{base}/{name}" for name in missing]), strict=True))
    entries = (Entry(shas[name] or "", stamp.size, stamp, name) for name, stamp in found)
    return Tree(tuple(entries), now_ns)


def scan(path: Path) -> list[tuple[str, Stamp]]:
    """Look at every file of a folder, or at one file, and read none; in path order.

    Raises:
        DataError: as ``digest_tree``.
    """
    status = _status(str(path))
    if not stat.S_ISDIR(status.st_mode):
        return [(path.name, Stamp.of(_regular(str(path), status)))]
    return [(name, Stamp.of(each)) for name, each in sorted(_walk(str(path)))]


def relinked(tree: Tree, folder: Path) -> Tree:
    """Return the list of a folder whose files were hard-linked elsewhere just now.

    A link changes a file's ctime, not its bytes: where all else in the stamp is the same, the file
    need not be read again.
    """
    entries = []
    for entry in tree.entries:
        now = Stamp.of(os.stat(folder / entry.path))  # noqa: PTH116 - hot loop
        same = replace(now, ctime_ns=entry.stamp.ctime_ns) == entry.stamp
        known = same and entry.stamp.tells(tree.read_ns)
        entries.append(replace(entry, stamp=now if known else UNKNOWN))
    # later than every link, or the new times would not tell of a change
    return Tree(tuple(entries), time.time_ns() + 2 * CLOCK_TICK_NS)


def digest_text(*parts: str) -> str:
    """Return the SHA-256 hex of some text, its parts kept apart."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogateescape")
        total.update(len(data).to_bytes(8, "little") + data)
    return total.hexdigest()
