"""What a layout brings: its clips, and which labels it looked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from soundgate.audio.clips import labels
from soundgate.errors import DataError, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from soundgate.audio.clips.manifest import Clip


@dataclass(frozen=True, slots=True)
class LayoutFolder:
    """A folder of a layout."""

    folder: Path
    split: str | None
    labels: tuple[str, ...] = ()
    """Labels that the user asks for; empty: any."""
    both_sides: bool = False
    """Whether the layout's own division into training and test is used."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The clips of a folder."""

    clips: list[Clip]
    """Their paths are relative to the folder."""
    judged: frozenset[str] | None = None
    """Labels that were looked for in each clip; None: the clips say it, or it is not known."""


INSTRUMENTS: Final = ("cel", "cla", "flu", "gac", "gel", "org", "pia", "sax", "tru", "vio", "voi")
"""IRMAS' labels: cello, clarinet, flute, acoustic and electric guitar, organ, piano, saxophone,
trumpet, violin, voice. They are the default of IRMAS' own types only."""


def check_instrument(where: str, label: str, wanted: Sequence[str]) -> None:
    """Refuse a label that is neither one of IRMAS nor asked for.

    Raises:
        DataError: naming the nearest right label.
    """
    known = tuple(dict.fromkeys((*INSTRUMENTS, *wanted)))
    if label not in known:
        raise DataError(
            f"{where}: label {label!a} is not one of IRMAS{nearest(label, known)}; list other "
            "labels in the parameter labels"
        )


def check_label(where: str, label: str) -> None:
    """Refuse what cannot be a label.

    Raises:
        DataError: saying why.
    """
    if wrong := labels.problem(label):
        raise DataError(f"{where}: label {label!a} {wrong}")
