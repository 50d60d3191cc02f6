"""Classes of several data sets together: what each annotates, and what its classes imply.

A network that learns from several data sets has the classes of all. A data set says nothing about
classes that nobody looked for in it: its mask leaves them out of the loss. An alias says that an
event of one data set's class is also one of another's, people talking say also speech.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from soundgate.errors import DataError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Annotated:
    """What is annotated in a data set."""

    classes: tuple[str, ...]
    """Every event of these was marked."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Class of another data set that a class of this one implies."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Class by the label of the tables, where it is another."""
    leaves_out: bool = False
    """Whether labels without a class are left out and counted; otherwise they are an error."""

    def class_of(self, label: str) -> str | None:
        """The class of a table's label; None for one that is left out.

        Raises:
            DataError: it has none.
        """
        name = self.names.get(label, label)
        if name in self.classes:
            return name
        if self.leaves_out:
            return None
        raise DataError(f"unknown class {label!r}{nearest(label, (*self.names, *self.classes))}")


@dataclass(frozen=True, slots=True)
class LabelSpace:
    """The classes of a network, and the data sets that it learns them from."""

    classes: tuple[str, ...]
    datasets: Mapping[str, Annotated]

    def __post_init__(self) -> None:
        """Check that every name is known.

        Raises:
            DataError: a class stands twice, or a data set names one that there is not.
        """
        if len(set(self.classes)) < len(self.classes):
            raise DataError("classes of sound events: a class stands there twice")
        for dataset, annotated in self.datasets.items():
            named = (*annotated.classes, *annotated.aliases, *annotated.aliases.values())
            for name in (*named, *annotated.names.values()):
                if name not in self.classes:
                    hint = nearest(name, self.classes)
                    raise DataError(f"data set {dataset}: there is no class {name!r}{hint}")
            for name in annotated.aliases:
                if name not in annotated.classes:
                    raise DataError(f"data set {dataset}: {name!r} is an alias but no class of it")

    def annotated(self, dataset: str) -> Annotated:
        """What a data set annotates.

        Raises:
            DataError: it is unknown.
        """
        if dataset not in self.datasets:
            raise DataError(f"no data set {dataset!r} has classes{nearest(dataset, self.datasets)}")
        return self.datasets[dataset]

    def implied(self, dataset: str, label: str) -> tuple[str, ...]:
        """Classes that an event of a data set's class is of: itself, and its alias if it has one.

        Raises:
            DataError: the data set is unknown.
        """
        alias = self.annotated(dataset).aliases.get(label)
        return (label,) if alias is None else (label, alias)

    def mask(self, dataset: str) -> NDArray[np.bool_]:
        """Which classes a data set says something about, bool (class,).

        Raises:
            DataError: the data set is unknown.
        """
        annotated = self.annotated(dataset)
        known = {*annotated.classes, *annotated.aliases.values()}
        return np.array([name in known for name in self.classes], np.bool_)


def together(datasets: Mapping[str, Annotated]) -> LabelSpace:
    """The label space of data sets, classes in the order in which they first stand."""
    every = dict.fromkeys(name for each in datasets.values() for name in each.classes)
    return LabelSpace(tuple(every), datasets)


_DESED: Final = (
    *("Alarm_bell_ringing", "Blender", "Cat", "Dishes", "Dog", "Electric_shaver_toothbrush"),
    *("Frying", "Running_water", "Speech", "Vacuum_cleaner"),
)
_MAESTRO: Final = (
    *("cutlery and dishes", "furniture dragging", "people talking", "children voices"),
    *("coffee machine", "footsteps", "large_vehicle", "car", "brakes_squeaking"),
    *("cash register beeping", "announcement", "shopping cart", "metro leaving"),
    *("metro approaching", "door opens/closes", "wind_blowing", "birds_singing"),
)
MAESTRO_EVALUATED: Final = (
    *("birds_singing", "car", "people talking", "footsteps", "children voices", "wind_blowing"),
    *("brakes_squeaking", "large_vehicle", "cutlery and dishes", "metro approaching"),
    "metro leaving",
)
"""Classes of MAESTRO that DCASE 2024 counts."""
DESED_MAESTRO: Final = together(
    {
        "desed": Annotated(_DESED, {"Dishes": "cutlery and dishes", "Speech": "people talking"}),
        "maestro": Annotated(
            _MAESTRO,
            {
                "people talking": "Speech",
                "children voices": "Speech",
                "announcement": "Speech",
                "cutlery and dishes": "Dishes",
            },
        ),
    }
)
"""The 27 classes of DCASE 2024, task 4; aliases both ways (Schmid et al., arXiv 2407.12997)."""
