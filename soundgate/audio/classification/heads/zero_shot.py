"""Classification without training: the class whose sentence is nearest to a sound.

An encoder with a text tower puts sounds and sentences into one space (Elizalde et al. 2023). The
baseline says what a trained head is worth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from soundgate.audio.networks.encoders import text
from soundgate.audio.networks.encoders.interface import EncoderSettings
from soundgate.audio.networks.encoders.matching import tower_of
from soundgate.errors import DataError, ParameterError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt
    from torch import Tensor

    from soundgate.audio.formats.embeddings.vectors import EncoderUsed
    from soundgate.audio.networks.encoders.interface import TextEncoder

    Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Sentences:
    """A sentence about each class, in the space of the sounds."""

    classes: tuple[str, ...]
    prompt: str
    vectors: Tensor
    """Float32 ``(class, size)``, of length 1."""
    scale: float
    """What cosines are multiplied by before the softmax."""
    digest: str
    """Of the text tower."""

    def scores(self, values: Array) -> Array:
        """Probabilities float32 ``(row, class)`` of embeddings float32 ``(row, size)``.

        Raises:
            DataError: they are of another size than the sentences.
        """
        if values.shape[1] != self.vectors.shape[1]:
            raise DataError(
                f"zero-shot: sounds have {values.shape[1]} numbers and sentences "
                f"{self.vectors.shape[1]}; give the text tower of the same encoder"
            )
        sounds = torch.from_numpy(np.ascontiguousarray(values))
        found: Array = text.zero_shot_scores(sounds, self.vectors, self.scale).numpy()
        return found


def sentences_of(classes: Sequence[str], tower: TextEncoder, prompt: str = "") -> Sentences:
    """A sentence about each class.

    Args:
        classes: names of the classes.
        tower: of the encoder that made the embeddings.
        prompt: with ``{}`` in the place of the class; "": that of the encoders.

    Raises:
        ParameterError: the prompt has no place for the class, or other braces.
    """
    prompt = prompt or text.PROMPT
    if prompt.count("{}") != 1 or prompt.count("{") + prompt.count("}") != 2:
        raise ParameterError(f"prompt: {prompt!r}: put {{}} once where the class belongs")
    vectors = tower.texts(text.prompts(classes, prompt))
    return Sentences(tuple(classes), prompt, vectors, tower.scale, tower.digest)


def load_tower(used: EncoderUsed, weights: Path, tokens: Path | None) -> TextEncoder:
    """The text tower of the encoder that made some embeddings.

    Args:
        used: that encoder.
        weights: of it.
        tokens: folder of the tower's config and tokens, where the weights do not hold them.

    Raises:
        ConfigError: files are missing, or do not fit one another.
        DataError: the weights are not those that made the embeddings.
        MissingExtra: transformers is not installed.
    """
    settings = EncoderSettings(
        name=used.name, path=weights, text_path=tokens, precision=used.precision
    )
    return tower_of(settings, used.digest)
