"""The heads that a search tries. Importing this needs the standard library alone.

The published grid of SEC_pipeline is ``ridge``, ``sgd``, ``adam`` and ``xgboost``: 9 + 4 + 4 + 36
heads.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Final

from soundgate.errors import ParameterError, nearest


@dataclass(frozen=True, slots=True)
class Tried:
    """A head by its kind, and what differs from the kind's defaults."""

    kind: str
    settings: tuple[str, ...]
    """``KEY=VALUE`` each."""

    @property
    def name(self) -> str:
        """A name that can be part of a task's: ``ridge-regularisation-0p1``."""
        parts = [self.kind, *(text.replace("=", "-") for text in self.settings)]
        return "-".join(parts).replace(".", "p").replace(",", "x").replace("_", "-")


def _all(kind: str, *fixed: str, **values: tuple[float, ...]) -> tuple[Tried, ...]:
    """Every combination of ``values``, in their order."""
    rows = product(*([f"{key}={value:g}" for value in each] for key, each in values.items()))
    return tuple(Tried(kind, (*fixed, *row)) for row in rows)


RATES: Final = (0.1, 0.01, 0.001, 0.0001)
GRIDS: Final[dict[str, tuple[Tried, ...]]] = {
    "ridge": _all("ridge", regularisation=(0, 0.001, 0.01, 0.1, 1, 10, 50, 100, 150)),
    "sgd": _all("linear", "optimiser=sgd", learning_rate=RATES),
    "adam": _all("linear", "optimiser=adam", learning_rate=RATES),
    "xgboost": _all(
        "xgboost",
        learning_rate=(0.01, 0.1),
        gamma=(0.1, 1, 5),
        reg_lambda=(5, 10, 20),
        max_depth=(4, 8),
    ),
    "mlp": _all("mlp", learning_rate=(0.001, 0.0001)),
    "quick": (
        Tried("ridge", ("regularisation=10",)),
        Tried("ridge", ("regularisation=100",)),
        Tried("linear", ("optimiser=adam", "learning_rate=0.001")),
    ),
}
"""Heads by the name of their grid."""


def heads_of(names: list[str]) -> dict[str, Tried]:
    """The heads that ``names`` stand for, by name, each once.

    A name is that of a grid, or a single head: ``ridge:regularisation=3``,
    ``mlp:hidden=256,64:dropout=0.5``.

    Raises:
        ParameterError: a name is neither.
    """
    found: dict[str, Tried] = {}
    for name in names:
        kind, *settings = name.split(":")
        if name in GRIDS:
            tried = GRIDS[name]
        elif settings and all("=" in text for text in settings):
            tried = (Tried(kind, tuple(settings)),)
        else:
            raise ParameterError(
                f"heads: {name!r} is no grid{nearest(name, GRIDS)}; give one of "
                f"{', '.join(GRIDS)}, or a head such as ridge:regularisation=3"
            )
        found |= {each.name: each for each in tried}
    if not found:
        raise ParameterError("heads: give at least one")
    return found
