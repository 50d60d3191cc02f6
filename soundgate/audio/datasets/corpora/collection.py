"""Bring a corpus into one form: its index, and the audio that the index names, below one folder."""

from __future__ import annotations

import shutil
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final, Literal

from pydantic import Field

from soundgate.audio.datasets.corpora.indexing.building import make_index
from soundgate.audio.datasets.synthetic.tapes import rendering
from soundgate.audio.datasets.synthetic.tapes.options import TapeOptions
from soundgate.audio.files.reading import info
from soundgate.audio.formats.datasets.card import DatasetCard, write_card
from soundgate.audio.formats.datasets.corpus import (
    CORPUS_INDEX,
    SLACK_S,
    read_corpus_index,
    write_corpus_index,
)
from soundgate.audio.formats.record import Record, read_record
from soundgate.errors import DataError
from soundgate.text.progress import track

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from soundgate.audio.formats.datasets.corpus import CorpusIndex

LABELS: Final = "Stretches of a recording that somebody marked, from end to end of it."


class Tapes(Record):
    """See ``TapeOptions``."""

    tapes: int = TapeOptions.tapes
    silent_tapes: int = TapeOptions.silent_tapes
    tape_s: float = TapeOptions.tape_s
    calls_per_minute: float = TapeOptions.calls_per_minute
    overlap: float = TapeOptions.overlap
    seed: int = TapeOptions.seed


class CorpusPlan(Record):
    """Which corpus is brought: a JSON file that a pipeline writes."""

    kind: Literal["folder", "synthetic"]
    name: str
    """What reports call it."""
    columns: dict[str, str] = Field(default_factory=dict)
    """Field to column, where annotation tables do not tell."""
    tapes: Tapes = Tapes()
    """Of a synthetic corpus."""


def read_plan(path: Path) -> CorpusPlan:
    """Read a plan.

    Raises:
        DataError: the file is missing or damaged.
    """
    return read_record(path, CorpusPlan, remedy="submit the pipeline again")


def collect(plan: CorpusPlan, folder: Path | None, tables: Sequence[Path], out: Path) -> None:
    """Write ``corpus_index.json``, ``dataset.json`` and the audio into an empty folder.

    Args:
        plan: which corpus.
        folder: the user's; its index counts where it has one and no tables are given.
        tables: annotation tables that do not lie in it.
        out: a folder that is empty or does not exist.

    Raises:
        DataError: the corpus is wrong.
    """
    if plan.kind == "synthetic":
        index = rendering.render(out, TapeOptions(**plan.tapes.model_dump()))
    elif folder is None:
        raise DataError(f"{plan.name}: its folder is missing; submit the pipeline again")
    else:
        has_index = not tables and (folder / CORPUS_INDEX).is_file()
        index = read_corpus_index(folder) if has_index else make_index(folder, tables, plan.columns)
        _copy(index, folder, out)
        _check_lengths(index, folder)
        write_corpus_index(out, index)
    write_card(out, _card(plan, index))


def _copy(index: CorpusIndex, folder: Path, out: Path) -> None:
    """Copy the audio that an index names; a tape that is not there is not needed."""
    needed = {recording.path for recording in index.recordings}
    needed |= {entry.hum_path for entry in index.entries if entry.hum_path}
    tapes = {entry.raw_path for entry in index.entries if entry.raw_path}
    needed |= {path for path in tapes if (folder / path).is_file()}
    for path in track(sorted(needed), total=len(needed), label="copy recordings"):
        inside = PurePosixPath(path)
        if inside.is_absolute() or ".." in inside.parts:
            raise DataError(f"{folder / CORPUS_INDEX}: {path!r} is not below the corpus")
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(folder / path, out / path)
        except FileNotFoundError as error:
            raise DataError(f"{folder / path}: is named in {CORPUS_INDEX} and not there") from error


def _check_lengths(index: CorpusIndex, folder: Path) -> None:
    """Refuse an index of other audio: its calls would be cut from wrong places."""
    for recording in index.recordings:
        about = info(folder / recording.path)
        differs = abs(about.duration_s - recording.duration_s) > SLACK_S
        if differs or about.rate_hz != recording.rate_hz:
            raise DataError(
                f"{folder / recording.path}: lasts {about.duration_s:g} s at {about.rate_hz} Hz, "
                f"but {CORPUS_INDEX} says {recording.duration_s:g} s at {recording.rate_hz} Hz; "
                f"make it again with 'soundgate build-corpus-index {folder}'"
            )


def _card(plan: CorpusPlan, index: CorpusIndex) -> DatasetCard:
    own = {"licence": "CC0 1.0"} if plan.kind == "synthetic" else {"licence": "not stated"}
    return DatasetCard(
        name=plan.name,
        title=plan.name,
        clips=len(index.recordings),
        classes=index.labels,
        labels=LABELS,
        **own,
    )
