"""Whether a benchmark holds tapes that a model was trained with, by their names and contents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from soundgate.audio.files.digests import sha256_of
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from soundgate.audio.formats.datasets.corpus import CorpusIndex, CorpusRecording
    from soundgate.audio.formats.datasets.variant import VariantIndex


@dataclass(frozen=True, slots=True)
class Used:
    """What training and the choice of the threshold have seen of a corpus."""

    tapes: frozenset[str]
    """Names of the tapes of training and validation clips, as :func:`plain` gives them."""
    recordings: frozenset[str] = frozenset()
    """Paths of the recordings that these clips were cut from, where they are known."""

    def has(self, recording: CorpusRecording) -> bool:
        """Whether something of a recording of the training corpus was used."""
        names = {plain(name) for name in (recording.tape, recording.raw_path) if name}
        return recording.path in self.recordings or bool(names & self.tapes)


def used_of(index: VariantIndex) -> Used:
    """What a data set has of its corpus on the sides ``train`` and ``val``."""
    entries = [each for each in index.entries if each.split != "test"]
    paths = {each.recording for each in entries} | {r.path for r in index.meta.validation_regions}
    return Used(
        frozenset(plain(each.tape_key) for each in entries),
        frozenset(path for path in paths if path is not None),
    )


def check_unseen(
    benchmark: tuple[Path, CorpusIndex], corpus: tuple[Path, CorpusIndex], used: Used
) -> None:
    """Refuse a benchmark that has a tape of the training.

    Files are compared by content only where their sizes agree, so that little is read.

    Args:
        benchmark: folder and index of the benchmark.
        corpus: folder and index of the corpus that the data set was made from.
        used: what of it was used; its tapes for testing may be in the benchmark.

    Raises:
        DataError: a tape has the name or a recording the content of a used one.
    """
    seen = [each for each in corpus[1].recordings if used.has(each)]
    tapes = used.tapes | {plain(each.tape) for each in seen}
    for each in benchmark[1].recordings:
        if plain(each.tape) in tapes:
            raise DataError(
                f"{benchmark[0]}: {each.path}: the tape {each.tape!r} was trained with; figures on "
                "it would be too good: take it out of the benchmark, or out of the training"
            )
    for ours, theirs in _of_one_size(benchmark, corpus[0], seen):
        if sha256_of(benchmark[0] / ours.path) == sha256_of(corpus[0] / theirs.path):
            raise DataError(
                f"{benchmark[0]}: {ours.path}: is the same recording as {theirs.path}, which was "
                "trained with; take it out of the benchmark, or out of the training"
            )


def plain(tape: str) -> str:
    """A tape's name as names of clips spell it: without underscores.

    >>> plain("388_20250204_cut"), plain("388-20250204-cut")
    ('388-20250204-cut', '388-20250204-cut')
    """
    return tape.replace("_", "-").lower()


def _of_one_size(
    benchmark: tuple[Path, CorpusIndex], folder: Path, seen: Sequence[CorpusRecording]
) -> Iterable[tuple[CorpusRecording, CorpusRecording]]:
    """Pairs of recordings whose files have the same number of bytes."""
    by_size: dict[int, list[CorpusRecording]] = {}
    for theirs in seen:
        by_size.setdefault(_bytes(folder / theirs.path), []).append(theirs)
    for ours in benchmark[1].recordings:
        for theirs in by_size.get(_bytes(benchmark[0] / ours.path), []):
            yield ours, theirs


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); restore the corpus") from error
