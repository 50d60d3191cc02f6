"""From waveforms to scores of labels: of chunks, and of the clips they were cut from.

Torch takes seconds to import: it is, where a network is opened or asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from soundgate.audio.classification.tagging.chunks import in_batches, spans, stacked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt
    import torch

    from soundgate.audio.formats.models.tagger import Chunks, TaggerFile
    from soundgate.audio.formats.waveforms import Row, Waveform, WaveformSet
    from soundgate.audio.networks.tagger import Tagger

    Array = npt.NDArray[Any]

BATCH_SIZE = 32

# Clips that are in memory at once, whatever the size of the data set.
_CLIPS = 64


class ChunkScorer(Protocol):
    """A tagger that scores clips: in torch, or as a program."""

    def chunk_scores(self, clips: Sequence[Array], batch_size: int = BATCH_SIZE) -> list[Array]:
        """Scores float32 (chunk, label) of each clip, 0 to 1, in the order of ``clips``."""


class ClipScorer(ChunkScorer, Protocol):
    """One that says how it cuts clips, and how the scores of their chunks become theirs."""

    @property
    def chunks(self) -> Chunks:
        """How."""


@dataclass(frozen=True)
class TagScorer:
    """A tagger, and what has to be known to feed it."""

    tagger: Tagger
    chunks: Chunks
    sample_rate_hz: int
    device: torch.device

    def chunk_scores(self, clips: Sequence[Array], batch_size: int = BATCH_SIZE) -> list[Array]:
        """Scores float32 (chunk, label) of each clip, 0 to 1, in the order of ``clips``.

        Args:
            clips: float32 (sample,) each, at least one sample.
            batch_size: chunks scored at once; changes the result by rounding only.
        """
        return scored_pieces(
            clips,
            self.chunks,
            self.sample_rate_hz,
            batch_size,
            alike=not self.tagger.takes_lengths,
            score=self._scores,
        )

    def _scores(self, pieces: Sequence[Array]) -> Array:
        import torch

        tagger = self.tagger.eval()
        batch = stacked(pieces, masked=tagger.takes_lengths, least=tagger.front_end.least_samples)
        samples = None if batch.samples is None else batch.samples.to(self.device)
        with torch.inference_mode():
            scores = tagger(batch.waveforms.to(self.device), samples).float().sigmoid()
        result: Array = scores.cpu().numpy()
        return result


def scored_pieces(
    clips: Sequence[Array],
    chunks: Chunks,
    sample_rate_hz: int,
    batch_size: int,
    *,
    alike: bool,
    score: Callable[[Sequence[Array]], Array],
) -> list[Array]:
    """Cut clips into chunks and score these in batches.

    Args:
        clips: float32 (sample,) each, at least one sample.
        chunks: how to cut.
        sample_rate_hz: of the clips.
        batch_size: chunks scored at once.
        alike: whether all chunks of a batch must be as long.
        score: of chunks (sample,), their scores (chunk, label).

    Returns:
        Scores float32 (chunk, label) of each clip, in the order of ``clips``.
    """
    pieces = [
        (number, start, end)
        for number, clip in enumerate(clips)
        for start, end in spans(clip.size, chunks, sample_rate_hz)
    ]
    # Pieces of like length share a batch, so that little of it is filling.
    order = sorted(range(len(pieces)), key=lambda k: pieces[k][2] - pieces[k][1])
    lengths = [pieces[k][2] - pieces[k][1] for k in order]
    scores: list[Array] = [np.empty(0, np.float32)] * len(pieces)
    for first, end in in_batches(lengths, batch_size, alike=alike):
        chosen = [pieces[k] for k in order[first:end]]
        found = score([clips[n][start:stop] for n, start, stop in chosen])
        for k, row in zip(order[first:end], found, strict=True):
            scores[k] = row
    return _by_clip(scores, [number for number, *_ in pieces], len(clips))


def load(model: Path, device: torch.device | None = None) -> tuple[TaggerFile, TagScorer]:
    """Read a ``model/`` folder of a tagger; weights are read as numbers, no code is run.

    Args:
        model: the folder.
        device: where to compute; by default the GPU where there is one.

    Raises:
        DataError: a file is missing or damaged, or the folder holds no tagger.
    """
    import torch

    from soundgate.audio.classification.tagging.network import read_network
    from soundgate.audio.networks.models import to_device

    if device is None:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    description, tagger = read_network(model)
    placed = to_device(tagger, device).eval()
    return description, TagScorer(placed, description.chunks, description.sample_rate_hz, device)


def scored_rows(
    scorer: ChunkScorer, clips: WaveformSet, rows: Sequence[Row], batch_size: int
) -> Iterator[Array]:
    """Yield the chunk scores (chunk, label) of each of ``rows``; memory holds a few clips."""
    return in_portions(scorer, rows, clips.waveform, batch_size)


def in_portions(
    scorer: ChunkScorer, rows: Sequence[Row], waveform: Callable[[Row], Waveform], batch_size: int
) -> Iterator[Array]:
    """Yield the chunk scores (chunk, label) of each of ``rows``, of which ``waveform`` is heard."""
    for first in range(0, len(rows), _CLIPS):
        waveforms = [waveform(row) for row in rows[first : first + _CLIPS]]
        yield from scorer.chunk_scores(waveforms, batch_size)


def joined(chunk_scores: Array, join: str) -> Array:
    """Scores float64 (label,) of a clip, of those of its chunks (chunk, label)."""
    scores = np.asarray(chunk_scores, np.float64)
    return np.asarray(scores.max(0) if join == "max" else scores.mean(0))


def _by_clip(scores: Sequence[Array], owners: Sequence[int], clips: int) -> list[Array]:
    parts: list[list[Array]] = [[] for _ in range(clips)]
    for owner, row in zip(owners, scores, strict=True):
        parts[owner].append(row)
    return [np.stack(part) for part in parts]
