"""The digest by which the content of a file is known, on both sides of the library."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def file_sha256(path: str | Path) -> str:
    """Return the SHA-256, hex, of a file, in constant memory.

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:  # noqa: PTH123 - hot loop over many small files
        return hashlib.file_digest(file, "sha256").hexdigest()
