"""File names of the ESC data sets: ``FOLD-ID-TAKE`` or ``FOLD-ID-TAKE-TARGET``.

ID is the Freesound recording that the clip was cut from; TAKE tells its clips apart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_NAME: Final = re.compile(r"([1-9])-(\d+)-[A-Z](?:-\d+)?")


@dataclass(frozen=True, slots=True)
class EscName:
    """What a file name of ESC says."""

    fold: int
    source: str
    """Freesound identifier of the original recording."""


def parse(stem: str) -> EscName | None:
    """Read a file name without its extension; None if it is not of that form."""
    match = _NAME.fullmatch(stem)
    return EscName(int(match[1]), match[2]) if match else None
