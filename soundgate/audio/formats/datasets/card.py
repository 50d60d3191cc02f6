"""The ``card/`` folder and the end of ``clips/``: ``dataset.json``, which data a model learnt from.

Cards of version 1 had no ``format``. Neither has the file in ``clips/``: its bytes are part of the
key under which data sets are stored, and those that are stored stay valid.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from soundgate.audio.formats.record import JsonObject, OpenRecord, read_record, write_record

if TYPE_CHECKING:
    from pathlib import Path

FORMAT: Final = "soundgate.dataset/2"
CARD: Final = "dataset.json"


class DatasetCard(OpenRecord):
    """``dataset.json``; its writers add what they know."""

    format: Literal["soundgate.dataset/2"] = FORMAT
    name: str
    title: str = ""
    version: str = ""
    licence: str = ""
    citation: str = ""
    homepage: str = ""
    clips: int | None = None
    classes: tuple[str, ...] = ()
    labels: str = ""
    """What a label says about a clip."""
    digest: str = ""
    """Of the clips and their manifest."""
    stored: str = ""
    """Where the object store keeps it."""


def read_card(folder: Path) -> DatasetCard:
    """The card in ``folder``.

    Raises:
        DataError: the file is missing, damaged or of an unknown format.
    """
    return read_record(
        folder / CARD, DatasetCard, remedy="fetch the data again", upgrade=_from_version_1
    )


def write_card(folder: Path, card: DatasetCard) -> None:
    """Write ``dataset.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    write_record(folder / CARD, card)


def _from_version_1(fields: JsonObject) -> JsonObject:
    return {"format": FORMAT, **fields}
