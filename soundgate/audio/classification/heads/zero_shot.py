"""Classification without training: the class whose sentence is nearest to a sound.

An encoder with a text tower puts sounds and sentences into one space (Elizalde et al. 2023). The
baseline says what a trained head is worth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from soundgate.audio.classification.heads.head import softmax
from soundgate.errors import DataError, ParameterError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from soundgate.audio.networks.encoders.interface import TextEncoder

    Array = npt.NDArray[Any]

PROMPT: Final = "this is the sound of {}"


@dataclass(frozen=True)
class Sentences:
    """A sentence about each class, in the space of the sounds."""

    classes: tuple[str, ...]
    prompt: str
    vectors: Array
    """Float32 ``(class, size)``, of length 1."""
    scale: float
    """What cosines are multiplied by before the softmax."""
    digest: str
    """Of the text tower."""

    def scores(self, values: Array) -> Array:
        """Probabilities float64 ``(row, class)`` of embeddings float32 ``(row, size)``.

        Raises:
            DataError: they are of another size than the sentences.
        """
        if values.shape[1] != self.vectors.shape[1]:
            raise DataError(
                f"zero-shot: sounds have {values.shape[1]} numbers and sentences "
                f"{self.vectors.shape[1]}; give the text tower of the same encoder"
            )
        lengths = np.linalg.norm(values.astype(np.float64), axis=1, keepdims=True)
        cosines = values / np.maximum(lengths, 1e-12) @ self.vectors.T
        return softmax(self.scale * cosines)


def sentences_of(classes: Sequence[str], tower: TextEncoder, prompt: str = PROMPT) -> Sentences:
    """A sentence about each class: ``dog_bark`` is a dog bark.

    Args:
        classes: names of the classes.
        tower: of the encoder that made the embeddings.
        prompt: with ``{}`` in the place of the class.

    Raises:
        ParameterError: the prompt has no place for the class.
    """
    if prompt.count("{}") != 1:
        raise ParameterError(f"prompt: {prompt!r}: put {{}} once where the class belongs")
    texts = [prompt.replace("{}", spoken(name)) for name in classes]
    vectors = np.asarray(tower.texts(texts).numpy(), np.float32)
    return Sentences(tuple(classes), prompt, vectors, tower.scale, tower.digest)


def spoken(name: str) -> str:
    """A class as words.

    >>> spoken("Dog_bark"), spoken("chain-saw")
    ('dog bark', 'chain saw')
    """
    return " ".join(name.replace("_", " ").replace("-", " ").lower().split())
