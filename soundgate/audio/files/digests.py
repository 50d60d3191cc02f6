"""The digest by which the content of a file is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from soundgate.checksums import file_sha256
from soundgate.errors import unreadable

if TYPE_CHECKING:
    from pathlib import Path


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal; the file is not loaded.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return file_sha256(path)
    except OSError as error:
        raise unreadable(path, error) from error
