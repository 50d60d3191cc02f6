"""Families of labels: a family is there where one of its labels is."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from soundgate.errors import ConfigError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

IRMAS_FAMILIES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "strings": ("cel", "vio"),
        "guitars": ("gac", "gel"),
        "keyboards": ("org", "pia"),
        "woodwinds": ("cla", "flu", "sax"),
        "brass": ("tru",),
        "voice": ("voi",),
    }
)
"""The families of the eleven labels of IRMAS (Bosch et al. 2012)."""


def members(
    labels: Sequence[str], families: Mapping[str, Sequence[str]] | None = None
) -> dict[str, tuple[int, ...]]:
    """The numbers of each family's labels, in the order of ``labels``.

    Args:
        labels: of the data.
        families: None: those of IRMAS where every label is one of its eleven, and none otherwise.
            A family of IRMAS none of whose labels is in the data is left out.

    Raises:
        ConfigError: a family is empty, or names a label that the data does not have.
    """
    if families is None:
        known = {label for own in IRMAS_FAMILIES.values() for label in own}
        if not set(labels) <= known:
            return {}
        families = {
            name: [label for label in own if label in labels]
            for name, own in IRMAS_FAMILIES.items()
            if set(own) & set(labels)
        }
    numbers = {label: number for number, label in enumerate(labels)}
    for name, own in families.items():
        if not own:
            raise ConfigError(f"label_families.{name}: is empty; list its labels or remove it")
        for label in own:
            if label not in numbers:
                hint = nearest(label, labels)
                raise ConfigError(f"label_families.{name}: no label {label!r}{hint}")
    return {name: tuple(sorted({numbers[x] for x in own})) for name, own in families.items()}
