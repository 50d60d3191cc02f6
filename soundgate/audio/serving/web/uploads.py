"""Files of a request, on disk while they are scored: decoders read files, and seek in them."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from soundgate.audio.files import reading
from soundgate.audio.serving.web.problems import Problem
from soundgate.errors import printable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from starlette.datastructures import UploadFile

_LONGEST_NAME = 255


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of a request."""

    name: str
    """As the client calls it."""
    path: Path


@asynccontextmanager
async def kept(files: Sequence[UploadFile], most: int) -> AsyncIterator[list[Upload]]:
    """The files of a form, in a folder that is removed afterwards.

    Raises:
        Problem: there is none, or there are more than ``most``.
    """
    if not files:
        raise Problem(422, "audio_files: send at least one file")
    if len(files) > most:
        raise Problem(413, f"audio_files: {len(files)} files; at most {most} are taken at once")
    sources = [(file.filename or "audio", file.file) for file in files]
    with tempfile.TemporaryDirectory(prefix="soundgate-serve-") as folder:
        yield await asyncio.to_thread(_written, Path(folder), sources)


@asynccontextmanager
async def kept_bytes(content: bytes, name: str) -> AsyncIterator[Upload]:
    """A file that is the whole of a body; the same."""
    with tempfile.TemporaryDirectory(prefix="soundgate-serve-") as folder:
        path = _place(Path(folder), 0, name)
        await asyncio.to_thread(path.write_bytes, content)
        yield Upload(name, path)


def _written(folder: Path, sources: Sequence[tuple[str, BinaryIO]]) -> list[Upload]:
    found = []
    for number, (name, source) in enumerate(sources):
        path = _place(folder, number, name)
        with path.open("wb") as target:
            shutil.copyfileobj(source, target)
        found.append(Upload(printable(name[:_LONGEST_NAME]), path))
    return found


def _place(folder: Path, number: int, name: str) -> Path:
    """Nothing of the client's name but an ending that decoders know reaches the file system."""
    ending = Path(name).suffix.lower()
    return folder / f"{number}{ending if ending in reading.EXTENSIONS else ''}"
