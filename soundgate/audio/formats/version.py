"""The ``version/`` folder: a version of a registered model, as it left the registry.

version.json    which version it is, and the figures it was registered with
model/          the model's files, where there is such a version
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from pydantic import Field

from soundgate.audio.formats.record import JsonObject, Record, read_record, write_record
from soundgate.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

FORMAT: Final = "soundgate.version/2"
VERSION: Final = "version.json"
MODEL: Final = "model"


class VersionCard(Record):
    """``version.json``; without a version the registry has none of that name yet."""

    format: Literal["soundgate.version/2"] = FORMAT
    name: str
    version: str | None
    tags: dict[str, str] = Field(default_factory=dict)
    """Where it comes from: data, commit, run, digest of its files."""
    metrics: dict[str, float] = Field(default_factory=dict)
    """The figures of its own report, by name."""
    run_id: str | None = None
    uri: str | None = None


def read_version(folder: Path) -> VersionCard:
    """The card in ``folder``.

    Raises:
        DataError: the file is missing, damaged or of an unknown format.
    """
    return read_record(
        folder / VERSION, VersionCard, remedy="pull the version again", upgrade=_from_version_1
    )


def model_in(folder: Path) -> tuple[Path, VersionCard | None]:
    """The model's folder, and which version it is; None where ``folder`` is such a folder itself.

    Raises:
        DataError: the registry had no such version, or its card is damaged.
    """
    if not (folder / VERSION).is_file():
        return folder, None
    card = read_version(folder)
    if card.version is None:
        raise DataError(f"{folder}: model {card.name!r} has no such version: approve one first")
    return folder / MODEL, card


def write_version(folder: Path, card: VersionCard) -> None:
    """Write ``version.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    write_record(folder / VERSION, card)


def _from_version_1(fields: JsonObject) -> JsonObject:
    known = {name: fields[name] for name in VersionCard.model_fields if name in fields}
    return fields if "format" in fields else {"format": FORMAT, **known}
