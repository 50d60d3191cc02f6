"""Temporary files and folders that the next process clears away if theirs was killed.

The owner holds a lock (``flock``) on what it is writing. The kernel drops the lock with the
process, however it dies, so whoever gets the lock knows that the thing was left behind.
"""

from __future__ import annotations

import fcntl
import glob
import os
import shutil
import uuid
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

INFIX = ".part-"


class Scratch:
    """A locked temporary file (or folder) in ``parent``, gone at exit unless it was renamed."""

    def __init__(self, parent: Path, stem: str = "", *, folder: bool = False) -> None:
        """``stem`` begins the name, so that ``sweep`` can look for its own only."""
        self._parent = parent
        self._stem = stem
        self._folder = folder
        self._handle = -1
        self.path = parent

    def __enter__(self) -> Self:
        """Make and lock it."""
        while self._handle < 0:
            self.path = self._parent / f"{self._stem}{INFIX}{uuid.uuid4().hex}"
            if self._folder:
                self.path.mkdir()
            else:
                self.path.touch(exist_ok=False)
            # A sweep between the two lines took it for a left-over: make another.
            self._handle = _locked(self.path)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove what still has the temporary name, then let go of the lock."""
        try:
            _remove(self.path)
        finally:
            os.close(self._handle)
            self._handle = -1


def part_of(target: Path) -> Path:
    """A free name beside ``target`` to write to before it is renamed."""
    return target.with_name(f".{uuid.uuid4().hex}{INFIX}")


def sweep(parent: Path, stem: str = "") -> int:
    """Remove what killed processes left in ``parent``; returns how many."""
    swept = 0
    for path in sorted(parent.glob(f"{glob.escape(stem)}{INFIX}*")):
        handle = _locked(path)
        if handle < 0:
            continue
        try:
            _remove(path)
            swept += 1
        finally:
            os.close(handle)
    return swept


def _locked(path: Path) -> int:
    """An open handle that holds the lock on ``path``; -1 where it is gone or somebody's."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return -1
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.stat().st_ino == os.fstat(handle).st_ino:
            return handle
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(handle)
    return -1


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
