"""Where a model comes from, and which one is there now."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from soundgate.audio.formats.model import DESCRIPTION
from soundgate.audio.formats.version import VERSION, model_in
from soundgate.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Release:
    """A model as a source has it now."""

    folder: Path
    """``model/``, with ``export/`` in it where there are programs."""
    version: str | None = None
    """Its number in a registry."""
    digest: str = ""
    """SHA-256 of its files, where the source knows it."""


class ModelSource(Protocol):
    """Gives a model, and says when it has another one; called from a thread."""

    @property
    def name(self) -> str:
        """What clients call the model."""

    def identity(self) -> str:
        """What tells the present model from the next one; cheap.

        Raises:
            SoundgateError: there is none.
        """

    def fetch(self) -> Release:
        """The present model, on this machine.

        Raises:
            SoundgateError: there is none, or it cannot be fetched.
        """


@dataclass(frozen=True, slots=True)
class FolderSource:
    """A ``model/`` folder, or a ``version/`` folder that holds one."""

    name: str
    folder: Path

    def identity(self) -> str:
        """Names, sizes and times of its files."""
        marks = hashlib.sha256()
        for path in sorted(self.folder.rglob("*")):
            if path.is_file():
                state = path.stat()
                relative = path.relative_to(self.folder)
                marks.update(f"{relative}\0{state.st_size}\0{state.st_mtime_ns}\n".encode())
        return marks.hexdigest()

    def fetch(self) -> Release:
        """See ``ModelSource``."""
        model, card = model_in(self.folder)
        if card is None:
            return Release(model)
        return Release(model, card.version, card.tags.get("model.digest", ""))


def sources_in(folder: Path) -> list[FolderSource]:
    """The models below a folder, or the folder itself; each is called by its path.

    Raises:
        DataError: there is no such folder, or no model in it.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder: give one that holds models")
    found = sorted(path.parent for path in folder.rglob(DESCRIPTION))
    if not found:
        raise DataError(f"{folder}: contains no {DESCRIPTION}: give a folder that holds models")
    versions = [path.parent if (path.parent / VERSION).is_file() else path for path in found]
    return [FolderSource(path.as_posix(), path) for path in versions]
