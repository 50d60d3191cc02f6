"""Folders that several tests read, each made once however many workers and sessions need it.

A folder is kept until what made it changes: the programs that its maker imports (found as the
product finds what a task is made of, :mod:`soundgate.reuse.sources`), the libraries, the machine.
Tests read it and copy what they change; a folder that a test altered fails the session that did
it, and is made again by the next.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import sys
import sysconfig
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from aed_identity import machine, routines

from soundgate.reuse.sources import Sources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parent.parent
PRODUCT = ("pipeline_parameters.py", "pipelines", "soundgate", "steps", "user_configs")
KEPT = 3
"""Folders of one name that are kept, latest use first: branches that take turns keep theirs."""


@dataclass
class FixtureCache:
    """Shared folders below ``root``, which all workers of a session see."""

    root: Path
    _used: dict[Path, dict[str, list[int]]] = field(default_factory=dict)

    def folder(
        self, name: str, make: Callable[[Path], object], *, whole_product: bool = False
    ) -> Path:
        """Return a folder that ``make`` filled, in this session or in an earlier one.

        ``make`` gets the empty folder, at the place where it stays. With ``whole_product`` every
        file of the product counts, for a maker that starts programs instead of importing them.
        """
        place = self.root / name / self._key(make, whole_product=whole_product)
        folder, mark = place / "content", place / "files.json"
        place.mkdir(parents=True, exist_ok=True)
        with _locked(place.parent / "lock"):
            if _read(mark) != files_of(folder):
                shutil.rmtree(folder, ignore_errors=True)
                mark.unlink(missing_ok=True)
                folder.mkdir()
                make(folder)
                mark.write_text(json.dumps(files_of(folder)), "utf-8")
            os.utime(mark)
            _forget(place.parent, keep=place)
        self._used[folder] = files_of(folder)
        return folder

    def altered(self) -> list[str]:
        """Return what tests of this process changed in folders that others read too."""
        said = []
        for folder, before in self._used.items():
            now = files_of(folder)
            said += [
                str(folder / name)
                for name in sorted({*before, *now})
                if before.get(name) != now.get(name)
            ]
        return said

    def _key(self, make: Callable[[Path], object], *, whole_product: bool) -> str:
        parts = [
            make.__module__,
            json.dumps(program(make.__module__, self.root), sort_keys=True),
            json.dumps([machine(), routines(), sys.version, libraries()], sort_keys=True),
            product() if whole_product else "",
        ]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def program(module: str, memory: Path) -> dict[str, str]:
    """Return the digest of every module of the checkout that ``module`` is made of."""
    return _sources(memory / "sources.json").program(module).modules


@cache
def _sources(memory: Path) -> Sources:
    return Sources(memory)


@cache
def product() -> str:
    """Return a digest of every file that a run of a pipeline may read in the checkout."""
    digest = hashlib.sha256()
    for name in PRODUCT:
        path = ROOT / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and file.suffix != ".pyc":
                digest.update(f"{file.relative_to(ROOT)}\0{file.stat().st_size}\0".encode())
                digest.update(file.read_bytes())
    return digest.hexdigest()


@cache
def libraries() -> list[str]:
    """Return what is installed, by the names of its records: reading those takes half a second."""
    return sorted(path.name for path in Path(sysconfig.get_path("purelib")).glob("*.dist-info"))


def files_of(folder: Path) -> dict[str, list[int]]:
    """Return size and time of every file below a folder."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            stat = path.stat()
            found[str(path.relative_to(folder))] = [stat.st_size, stat.st_mtime_ns]
    return found


def _read(mark: Path) -> dict[str, list[int]] | None:
    return json.loads(mark.read_text("utf-8")) if mark.is_file() else None


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock that the kernel frees when its holder dies."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _forget(folder: Path, keep: Path) -> None:
    """Remove what was used longest ago."""
    marks = sorted(folder.glob("*/files.json"), key=lambda mark: mark.stat().st_mtime_ns)
    for mark in marks[:-KEPT]:
        if mark.parent != keep:
            mark.unlink()
            shutil.rmtree(mark.parent)
