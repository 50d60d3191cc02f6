"""A private folder for a job on its node, removed with the job."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = "soundgate-job-"


@contextmanager
def workspace(parent: Path, job: str) -> Iterator[Path]:
    """Make a private folder below ``parent``; remove it at the end.

    A killed job cannot remove its folder, so the next job on the node does. The owner holds a lock
    on the folder; the kernel releases it when the owner dies.
    """
    parent.mkdir(parents=True, exist_ok=True)
    sweep(parent)
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{job}-", dir=parent))
    lock = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def sweep(parent: Path) -> None:
    """Remove the folders of jobs that have ended."""
    for folder in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):  # belongs to another user, or was removed in the meantime
            lock = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
            try:
                if folder.stat().st_uid == os.getuid():
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)
