"""Paths that lead into a tar archive: how some platforms hand a folder from one job to the next."""

from __future__ import annotations

import os
import shutil
import tarfile
from typing import TYPE_CHECKING

from soundgate.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX = ".tar.gz"


def unpacked(path: Path) -> Path:
    """Return where ``path`` lies once the archive it leads into is unpacked.

    ``input/model.tar.gz/model`` names the folder ``model`` of the archive ``input/model.tar.gz``.
    The archive is unpacked beside itself, once. A path that leads into none is returned as it is.

    Raises:
        DataError: the archive is damaged, or has no such member.
    """
    archive = next((p for p in path.parents if p.name.endswith(SUFFIX) and p.is_file()), None)
    if archive is None:
        return path
    folder = archive.with_name(f".{archive.name}.unpacked")
    if not folder.is_dir():
        _unpack(archive, folder)
    member = folder / path.relative_to(archive)
    if not member.exists():
        raise DataError(f"{archive}: contains no {path.relative_to(archive)}")
    return member


def _unpack(archive: Path, folder: Path) -> None:
    partial = folder.with_name(f"{folder.name}.{os.getpid()}.partial")
    try:
        with tarfile.open(archive, "r:gz") as members:
            members.extractall(partial, filter="data")
        partial.rename(folder)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DataError(f"{archive}: cannot be unpacked ({error})") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
