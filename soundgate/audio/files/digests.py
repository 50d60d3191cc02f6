"""The digest by which the content of a file is known."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from soundgate.errors import unreadable

if TYPE_CHECKING:
    from pathlib import Path


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal; the file is not loaded.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise unreadable(path, error) from error
