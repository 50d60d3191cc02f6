"""From a question to ``found.csv``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from soundgate.audio.embedding.search.asking import vectors_of
from soundgate.audio.embedding.search.finding import find
from soundgate.audio.embedding.search.index import DESCRIPTION, Index, build
from soundgate.audio.formats.embeddings.found import FOUND, FoundRow, write_found
from soundgate.audio.formats.embeddings.vectors import read_embeddings
from soundgate.errors import ParameterError

if TYPE_CHECKING:
    from pathlib import Path

    from soundgate.audio.embedding.search.asking import Question
    from soundgate.audio.formats.embeddings.vectors import Embeddings


@dataclass(frozen=True, kw_only=True)
class How:
    """How a corpus is searched."""

    most: int = 20
    """How many segments are wanted."""
    every_segment: bool = False
    """Whether a recording may be found more than once."""
    weights: Path | None = None
    """Of the encoder, for sounds and sentences."""
    tokens: Path | None = None
    """Folder of the text tower's config and tokens, for sentences."""
    index: Path | None = None
    """Folder of an index, made where it is not there; None: every embedding is compared."""
    threads: int = 1
    """That an index is made with."""

    def __post_init__(self) -> None:
        """Check the number.

        Raises:
            ParameterError: it is less than 1.
        """
        if self.most < 1:
            raise ParameterError(f"most: must be at least 1, got {self.most}")


def search(folder: Path, question: Question, target: Path, how: How) -> list[FoundRow]:
    """Search, write ``found.csv`` into ``target``, print it and return its rows.

    Args:
        folder: of embeddings.
        question: what is looked for.
        target: folder to write, made if missing.
        how: the rest.

    Raises:
        DataError: a file is missing, damaged, or does not belong to the embeddings.
        ParameterError: weights are needed and not given.
        ConfigError: the encoder has no text tower, or its files do not fit one another.
        MissingExtra: an index is asked for, and faiss is not installed.
    """
    embeddings = read_embeddings(folder)
    wanted = vectors_of(question, embeddings, weights=how.weights, tokens=how.tokens)
    found = find(
        embeddings,
        wanted,
        how.most,
        index=_index(embeddings, how),
        every_segment=how.every_segment,
        without=_own_path(embeddings, question),
    )
    rows = [
        FoundRow(
            record_id=each.segment.record_id,
            rank=each.rank,
            similarity=each.similarity,
            class_name=each.segment.class_name,
            path=each.segment.path,
            start_s=each.segment.start_s,
            end_s=each.segment.start_s + each.segment.duration_s,
        )
        for each in found
    ]
    target.mkdir(parents=True, exist_ok=True)
    write_found(target / FOUND, rows)
    print(f"nearest to {question.words}: {target / FOUND}")
    for row in rows:
        print(
            f"{row.rank:4d}  {row.similarity:.3f}  {row.class_name}  {row.path} {row.start_s:g} s"
        )
    return rows


def _index(embeddings: Embeddings, how: How) -> Index | None:
    if how.index is None:
        return None
    if not (how.index / DESCRIPTION).exists():
        about = build(embeddings, how.index, threads=how.threads)
        print(f"{how.index}: index of {about.count} embeddings in {about.cells} cells")
    return Index(how.index, embeddings)


def _own_path(embeddings: Embeddings, question: Question) -> str:
    """The recording that a segment of the corpus is of; it is nearest to itself."""
    if not question.record_id:
        return ""
    segments, _ = embeddings.of([question.record_id])
    return segments[0].path
