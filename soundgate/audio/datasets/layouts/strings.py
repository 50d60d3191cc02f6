"""``<type>:<path>``: a type of layout, and the folder or table that has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from soundgate.errors import ParameterError, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

IRMAS_TRAIN: Final = "irmastrain"
IRMAS_TEST: Final = "irmastest"
CSV: Final = "csv"
OPENMIC: Final = "openmic"
INFERENCE: Final = "inference"
KINDS: Final = (IRMAS_TRAIN, IRMAS_TEST, CSV, OPENMIC, INFERENCE)
TABLE: Final = ".csv"
"""Extension of the tables that ``csv`` and ``inference`` take."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A layout and where it lies."""

    kind: str
    """One of :data:`KINDS`."""
    path: str
    """As the user wrote it."""

    def __str__(self) -> str:
        """As the user writes it."""
        return f"{self.kind}:{self.path}"


def parse(parameter: str, texts: Sequence[str], *, labelled: bool = True) -> list[Layout]:
    """Read the texts of a parameter.

    Args:
        parameter: its name, for errors.
        texts: such as ``csv:labels.csv``.
        labelled: whether the clips have to have labels.

    Raises:
        ParameterError: a text is no such thing, is given twice, or has no labels where they are
            needed.
    """
    found: list[Layout] = []
    for text in texts:
        kind, separator, path = text.partition(":")
        if not separator or not path:
            raise ParameterError(
                f"{parameter}: {text!r} is not <type>:<path>, such as csv:labels.csv; "
                f"types: {', '.join(KINDS)}"
            )
        if kind not in KINDS:
            raise ParameterError(f"{parameter}: {text!r}: unknown type{nearest(kind, KINDS)}")
        if "://" in path:
            raise ParameterError(f"{parameter}: {path} is no path of this machine: copy it here")
        if labelled and kind == INFERENCE:
            raise ParameterError(
                f"{parameter}: {text!r}: {INFERENCE} has no labels; it is predicted"
            )
        layout = Layout(kind, path)
        if layout in found:
            raise ParameterError(f"{parameter}: {text!r} is given twice: remove one")
        found.append(layout)
    return found
