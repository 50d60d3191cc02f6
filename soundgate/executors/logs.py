"""Reading the ends of logs."""

from __future__ import annotations

import os
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def tail(path: Path, lines: int, *, start: int = 0) -> list[str]:
    """Return the last lines of a file, read from its end, none from before byte ``start``."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(start, size - 400 * lines))
            text = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return []
    return list(deque(text.splitlines(), maxlen=lines))


def last_line(path: Path) -> str:
    """Return the last line that is not blank; a task's log ends with what it has to say."""
    lines = [line for line in tail(path, 5) if line.strip()]
    return lines[-1].strip() if lines else ""
