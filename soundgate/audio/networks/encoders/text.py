"""Sentences to embeddings, and how well they fit sounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from soundgate.audio.networks.encoders import loading
from soundgate.errors import ConfigError, ParameterError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PROMPT = "this is the sound of {}"
"""What a class's name is put into; CLAP was evaluated with it."""
END = "<|endoftext|>"
"""The token that ends every sentence of GPT-2."""

_VOCABULARIES = ("tokenizer.json", "vocab.json", "vocab.txt")


class Tower(Protocol):
    """A module that embeds tokens."""

    longest: int
    """Most tokens of a sentence."""
    vocabulary: int
    """Tokens that it knows."""
    embedding_size: int
    scale: float

    def __call__(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Embeddings of length 1, float32 (sentence, size)."""
        ...


class SentenceEncoder:
    """An ``interface.TextEncoder`` of a tower and a tokenizer."""

    def __init__(self, tower: Tower, digest: str, tokenizer: Any, *, ended: bool) -> None:
        """Take a tower; ``ended`` is whether sentences need ``END``."""
        self.embedding_size, self.scale, self.digest = tower.embedding_size, tower.scale, digest
        self._tower, self._tokenizer, self._ended = tower, tokenizer, ended

    def texts(self, sentences: list[str]) -> Tensor:
        """See ``interface.TextEncoder``.

        Raises:
            ParameterError: a sentence is empty or too long.
        """
        rows = [self._tokens(sentence) for sentence in sentences]
        width = max((len(row) for row in rows), default=1)
        ids = torch.zeros(len(rows), width, dtype=torch.int64)
        if not self._ended:
            ids += self._tokenizer.pad_token_id or 0
        mask = torch.zeros_like(ids)
        for k, row in enumerate(rows):
            ids[k, : len(row)] = torch.tensor(row)
            mask[k, : len(row)] = 1
        with torch.inference_mode():
            found = self._tower(ids, mask)
        return found.float()

    def _tokens(self, sentence: str) -> list[int]:
        if not sentence.strip():
            raise ParameterError("a sentence to look for is empty; write what you want to hear")
        text = f"{sentence} {END}" if self._ended else sentence
        found: list[int] = self._tokenizer(text, verbose=False)["input_ids"]
        if len(found) > self._tower.longest:
            raise ParameterError(
                f"{sentence[:40]!r}... has {len(found)} tokens; give a sentence of "
                f"{self._tower.longest} or fewer"
            )
        return found


def tokenizer_in(folder: Path, vocabulary: int, *, ended: bool) -> Any:
    """The tokenizer of a folder.

    Raises:
        ConfigError: there is none, or one of other tokens than the tower's.
    """
    if not any((folder / name).is_file() for name in _VOCABULARIES):
        # The library would make up a tokenizer that knows no word.
        raise ConfigError(
            f"encoder.text_path: {folder} holds no tokenizer; copy its {' or '.join(_VOCABULARIES)}"
        )
    try:
        tokenizer = loading.library().AutoTokenizer.from_pretrained(
            str(folder), local_files_only=True
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise ConfigError(
            f"encoder.text_path: {folder}: its tokenizer cannot be read: {reason}; copy it again"
        ) from error
    if len(tokenizer) > vocabulary:
        raise ConfigError(
            f"encoder.text_path: {folder}: its tokenizer has {len(tokenizer)} tokens, the tower "
            f"{vocabulary}; give the tokenizer of the tower"
        )
    if ended and len(tokenizer(END)["input_ids"]) != 1:
        raise ConfigError(
            f"encoder.text_path: {folder}: its tokenizer does not know {END}; give that of GPT-2"
        )
    return tokenizer


def zero_shot_scores(embeddings: Tensor, texts: Tensor, scale: float) -> Tensor:
    """How well each class's sentence fits each sound, float32 (sound, class), each row a sum of 1.

    Args:
        embeddings: of sounds, float32 (sound, size), of any length.
        texts: of a sentence a class, float32 (class, size), of length 1.
        scale: ``TextEncoder.scale``.
    """
    sounds = torch.nn.functional.normalize(embeddings, dim=-1)
    return torch.softmax(scale * sounds @ texts.T, dim=-1)


def prompts(classes: Sequence[str], prompt: str = PROMPT) -> list[str]:
    """A sentence for each class; what divides words in names becomes blanks.

    >>> prompts(["crying_baby"])
    ['this is the sound of crying baby']
    """
    return [prompt.format(" ".join(name.replace("_", " ").split())) for name in classes]
