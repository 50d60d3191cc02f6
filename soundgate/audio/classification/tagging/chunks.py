"""What a clip is cut into: pieces at random places to learn from, pieces side by side to score."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy.typing as npt
    import torch

    from soundgate.audio.formats.models.tagger import Chunks

    Array = npt.NDArray[Any]
    Span = tuple[int, int]


class Batch(NamedTuple):
    """Pieces of sound of one batch."""

    waveforms: torch.Tensor
    """Float32 (piece, sample), zeros behind a piece that is shorter than the longest."""
    samples: torch.Tensor | None
    """Int64 (piece,), how many samples of each are real; None: all."""


def spans(samples: int, chunks: Chunks, sample_rate_hz: int) -> list[Span]:
    """First sample and end of each chunk of a clip; the last one ends where the clip does.

    A clip up to the length of a chunk is one chunk, however short it is.

    Args:
        samples: of the clip, at least 1.
        chunks: how to cut.
        sample_rate_hz: of the clip.
    """
    if chunks.length_s is None:
        return [(0, samples)]
    length = round(chunks.length_s * sample_rate_hz)
    if samples <= length:
        return [(0, samples)]
    hop = round((chunks.hop_s or chunks.length_s) * sample_rate_hz)
    starts = list(range(0, samples - length, hop))
    return [(start, start + length) for start in [*starts, samples - length]]


def stacked(pieces: Sequence[Array], *, masked: bool, least: int = 1) -> Batch:
    """Pieces as one batch.

    Args:
        pieces: float32 (sample,) each, at least one, none of them empty.
        masked: whether the network can leave out what fills a piece up. Where it cannot, a shorter
            piece is repeated until it is as long as the longest.
        least: samples that the network needs; a shorter piece is repeated up to them.
    """
    import torch  # seconds to import; cutting does without

    pieces = [np.resize(piece, least) if piece.size < least else piece for piece in pieces]
    longest = max(piece.size for piece in pieces)
    if all(piece.size == longest for piece in pieces):
        return Batch(torch.from_numpy(np.stack(pieces)), None)
    if not masked:
        return Batch(torch.from_numpy(np.stack([np.resize(p, longest) for p in pieces])), None)
    filled = np.zeros((len(pieces), longest), np.float32)
    for row, piece in zip(filled, pieces, strict=True):
        row[: piece.size] = piece
    return Batch(torch.from_numpy(filled), torch.tensor([piece.size for piece in pieces]))


def random_start(samples: int, length: int, draw: float) -> int:
    """Where a piece begins: ``draw``, 0 to below 1, of the way that is left; 0 in a short clip."""
    return int(draw * (max(samples - length, 0) + 1))


def in_batches(
    lengths: Iterable[int], batch_size: int, *, alike: bool
) -> Iterator[tuple[int, int]]:
    """First and end of each batch of neighbouring pieces; ``alike``: all of a batch as long."""
    first, last_length, number = 0, 0, -1
    for number, length in enumerate(lengths):
        full = number - first == batch_size
        if number > first and (full or (alike and length != last_length)):
            yield first, number
            first = number
        last_length = length
    if number >= first:
        yield first, number + 1
