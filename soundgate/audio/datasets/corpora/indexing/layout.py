"""The index of a corpus in the folders of its users: tapes, labelled clips, a file a call.

``raw_recordings/`` holds tapes and may be absent; a folder whose name contains
``labelled_recordings`` holds what was cut from them and listened to, one whose name contains
``segmented`` the calls. All is told by names of files (``names``).
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from soundgate.audio.datasets.corpora.indexing.index import (
    Call,
    Recording,
    build_index,
    outside,
    refuse,
)
from soundgate.audio.datasets.corpora.indexing.names import CALL_FORM, call_name
from soundgate.audio.files.reading import find, info
from soundgate.audio.formats.datasets.corpus import clip_offset_s, tape_of
from soundgate.errors import DataError

if TYPE_CHECKING:
    from soundgate.audio.formats.datasets.corpus import CorpusIndex

TAPES: Final = "raw_recordings"
CLIPS: Final = "labelled_recordings"
CALLS: Final = "segmented"


def has_layout(folder: Path) -> bool:
    """Whether a folder is laid out so."""
    return all(_folders(folder, name) for name in (CLIPS, CALLS))


def index_layout(folder: Path) -> CorpusIndex:
    """Make the index of a corpus that is laid out so.

    Raises:
        DataError: names cannot be read, or a call is not in its clip: one line lists them.
    """
    clips, calls = _only(folder, CLIPS), _only(folder, CALLS)
    raw = {path.stem: path for path in find(folder / TAPES)} if (folder / TAPES).is_dir() else {}
    recordings = {path.name: _recording(folder, path, raw) for path in find(clips)}
    problems: list[str] = []
    found = [_call(folder, path, recordings, problems) for path in find(calls)]
    refuse(folder, problems)
    durations = [info(path).duration_s for path in raw.values()]
    heard = [call for call in found if call is not None]
    return build_index(folder.name, recordings.values(), heard, durations)


def _folders(folder: Path, name: str) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and name in p.name.lower())


def _only(folder: Path, name: str) -> Path:
    found = _folders(folder, name)
    if len(found) != 1:
        listed = ", ".join(path.name for path in found) or "none"
        raise DataError(f"{folder}: must hold one folder called *{name}*, and holds {listed}")
    return found[0]


def _recording(folder: Path, path: Path, raw: dict[str, Path]) -> Recording:
    about, inside = info(path), path.relative_to(folder).as_posix()
    tape = raw.get(tape_of(inside))
    return Recording(
        path=inside,
        duration_s=about.duration_s,
        rate_hz=about.rate_hz,
        tape=tape_of(inside),
        raw_path=None if tape is None else tape.relative_to(folder).as_posix(),
        raw_start_s=clip_offset_s(inside),
    )


def _call(
    folder: Path, path: Path, recordings: dict[str, Recording], problems: list[str]
) -> Call | None:
    """The call in a file, or a line more in ``problems``."""
    inside, told = path.relative_to(folder).as_posix(), call_name(path.name)
    if told is None:
        problems.append(f"{inside} is not called {CALL_FORM}")
        return None
    recording = recordings.get(told.clip) or recordings.get(f"{told.clip}{path.suffix}")
    if recording is None:
        problems.append(f"{inside} is of {PurePosixPath(told.clip).name}, which is not there")
        return None
    call = Call(
        path=recording.path,
        start_s=told.start_s,
        end_s=told.end_s,
        quality=told.quality,
        hum_path=inside,
    )
    if why := outside(call, recording.duration_s):
        problems.append(f"{inside} {why}")
        return None
    return call
