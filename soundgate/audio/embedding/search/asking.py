"""From what is looked for to vectors in the space of the embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from soundgate.audio.embedding.listening import listener, settings_of
from soundgate.audio.embedding.search.scanning import unit
from soundgate.audio.files import reading
from soundgate.audio.networks.encoders.matching import tower_of
from soundgate.errors import DataError, ParameterError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from soundgate.audio.formats.embeddings.vectors import Embeddings


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is looked for: one of a sound, a sentence, and a segment of the corpus."""

    sound: Path | None = None
    """An audio file."""
    start_s: float = 0.0
    """Of the sound: where what is looked for begins."""
    end_s: float | None = None
    """Where it ends; None: with the file."""
    sentence: str = ""
    record_id: str = ""

    def __post_init__(self) -> None:
        """Check that it is one.

        Raises:
            ParameterError: it is none of them, or several.
        """
        if bool(self.sound) + bool(self.sentence) + bool(self.record_id) != 1:
            raise ParameterError("give one of --sound, --text and --record")
        if self.end_s is not None and self.end_s <= self.start_s:
            raise ParameterError(f"end: {self.end_s:g} s is not after {self.start_s:g} s")

    @property
    def words(self) -> str:
        """What is looked for, for a reader."""
        if self.sound is None:
            return f"“{self.sentence}”" if self.sentence else f"segment {self.record_id}"
        end = "" if self.end_s is None else f" to {self.end_s:g} s"
        return f"{self.sound.name}{f' from {self.start_s:g} s' if self.start_s or end else ''}{end}"


def vectors_of(
    question: Question,
    embeddings: Embeddings,
    *,
    weights: Path | None = None,
    tokens: Path | None = None,
) -> NDArray[np.float32]:
    """What embeddings are compared with: vectors of length 1, float32 (part, size).

    A sound is cut as the corpus is, and each segment of it is a part: their mean would be near to
    whatever most of the sound is, silence often. All else is one part.

    Args:
        question: what is looked for.
        embeddings: among which.
        weights: of their encoder; not needed for a segment of the corpus.
        tokens: folder of its text tower's config and tokens, for a sentence.

    Raises:
        ParameterError: weights are needed and not given.
        DataError: the sound cannot be read, the weights are not those of the embeddings, or there
            is no such segment.
        ConfigError: the encoder has no text tower, or its files do not fit one another.
    """
    if question.record_id:
        return unit(_of_record(embeddings, question.record_id)[None])
    if question.sentence:
        return _of_sentence(question.sentence, embeddings, weights, tokens)[None]
    assert question.sound is not None
    ears = listener(embeddings.about.encoder, embeddings.segment_s, weights)
    with reading.Reader(question.sound) as file:
        sound = file.load(
            sample_rate_hz=ears.encoder.sample_rate_hz,
            start_s=question.start_s,
            end_s=question.end_s,
        )
    (heard,) = ears.hear([sound])
    return unit(heard.vectors)


def _of_record(embeddings: Embeddings, record_id: str) -> NDArray[np.float32]:
    _, vectors = embeddings.of([record_id])
    if not len(vectors):
        raise DataError(
            f"{embeddings.folder}: has no segment {record_id}; ids are in the first column of "
            "results"
        )
    found: NDArray[np.float32] = vectors[0]
    return found


def _of_sentence(
    sentence: str, embeddings: Embeddings, weights: Path | None, tokens: Path | None
) -> NDArray[np.float32]:
    used = embeddings.about.encoder
    tower = tower_of(settings_of(used, weights, tokens), used.digest)
    found: NDArray[np.float32] = tower.texts([sentence]).numpy()[0]
    return unit(found)
