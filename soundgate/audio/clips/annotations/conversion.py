"""What ``soundgate convert-annotations`` does: any annotation files into one format."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from soundgate.audio.clips.annotations.event import match_recordings, past_the_end
from soundgate.audio.clips.annotations.files import (
    FORMATS,
    format_named,
    lost,
    read_annotations,
    write_annotations,
)
from soundgate.audio.clips.annotations.programs.aoef import Recording
from soundgate.audio.files.reading import find, info
from soundgate.errors import DataError, ParameterError, unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from soundgate.audio.clips.annotations.event import Event
    from soundgate.audio.clips.annotations.files import Format


@dataclass(frozen=True, slots=True)
class Sources:
    """Annotation files and how they are read; see ``files.read_annotations``."""

    paths: Sequence[Path]
    """Files, or folders of them."""
    kind: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    recording: str = ""

    def events(self) -> list[Event]:
        """All their events, file after file.

        Raises:
            DataError: a file is wrong, or a folder is empty.
        """
        return [
            event
            for path in _files(self.paths)
            for event in read_annotations(
                path, kind=self.kind, columns=self.columns, recording=self.recording
            )
        ]


def convert(
    sources: Sources, target: Path, *, to_format: str | None = None, audio: Path | None = None
) -> Iterator[str]:
    """Read annotation files and write all their events to ``target``.

    Args:
        sources: what is read.
        target: a file, or a folder where the format holds one recording a file.
        to_format: of the target; None: by its ending.
        audio: the folder of the recordings. Events must then be of one of them and end within it.

    Yields:
        What was written, and what the format could not hold, a line each.

    Raises:
        DataError: a source or an event is wrong; nothing is written then.
        ParameterError: the target's format cannot be told from its ending.
    """
    kind = format_named(to_format) if to_format else _by_ending(target)
    events = sources.events()
    recordings = _recordings(events, audio) if audio else {}
    for path in write_annotations(target, events, kind, recordings):
        yield f"{path}: written"
    files = len({event.file for event in events})
    yield f"{len(events)} events of {files} recordings as {kind.name}"
    if names := lost(events, kind):
        yield f"{kind.name} has no place for {', '.join(names)}: left out"


def _by_ending(target: Path) -> Format:
    """The format whose files end as the target does, the longest ending first."""
    by_length = sorted(FORMATS, key=lambda kind: -len(kind.suffix))
    for kind in by_length:
        if kind.suffix and target.name.lower().endswith(kind.suffix.lower()):
            return kind
    names = ", ".join(kind.name for kind in FORMATS if kind.suffix)
    raise ParameterError(f"{target}: name the format with --to, one of {names}")


def _files(sources: Sequence[Path]) -> Iterator[Path]:
    for source in sources:
        if not source.is_dir():
            yield source
            continue
        found = sorted(p for p in source.rglob("*") if p.is_file() and p.name[0] != ".")
        if not found:
            raise DataError(f"{source}: holds no files")
        yield from found


def _recordings(events: Sequence[Event], audio: Path) -> dict[str, Recording]:
    """Length and rate of what the events name; every event must end within its recording."""
    if not audio.is_dir():
        raise unreadable(audio, NotADirectoryError(20, "is no folder"))
    there = [path.relative_to(audio).as_posix() for path in find(audio)]
    found = {}
    for name, path in match_recordings(events, there).items():
        about = info(audio / path)
        found[name] = Recording(about.duration_s, about.channels, about.rate_hz)
    beyond = list(past_the_end(events, {name: each.seconds for name, each in found.items()}))
    if beyond:
        more = f" (and {len(beyond) - 1} more)" if beyond[1:] else ""
        raise DataError(f"{beyond[0]}{more}: is it another recording?")
    return found
