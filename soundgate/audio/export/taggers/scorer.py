"""An exported tagger that scores clips, fed as the tagger that it was made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from soundgate.audio.classification.tagging.chunks import spans
from soundgate.audio.classification.tagging.inference import BATCH_SIZE, load, scored_pieces
from soundgate.audio.export.program import INPUT
from soundgate.audio.export.runtime import int8_bytes, run_network, session
from soundgate.audio.export.taggers.pieces import filled
from soundgate.audio.formats.exported import read_export
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt
    import onnxruntime

    from soundgate.audio.classification.tagging.inference import TagScorer
    from soundgate.audio.formats.models.tagger import Chunks

    Array = npt.NDArray[Any]


@dataclass(frozen=True)
class ImageFeed:
    """From waveforms to what a tagger's network takes, see ``calibration.Feed``."""

    scorer: TagScorer
    """The tagger in torch, on the CPU."""
    least: int
    """Samples; shorter pieces are repeated up to it."""
    most: int | None = None
    """Samples of a piece that are looked at; None: all."""

    def fitted(self, piece: Array) -> Array:
        """A piece (sample,) as the program takes it."""
        return (np.resize(piece, self.least) if piece.size < self.least else piece)[: self.most]

    def patches(self, frames: Array, *, at_most: int) -> Iterator[Array]:
        """Yield images float32 (piece, channel, band, frame) of a clip (sample,)."""
        cut = spans(frames.size, self.scorer.chunks, self.scorer.sample_rate_hz)
        for first in range(0, len(cut), at_most):
            yield self.images([frames[begin:end] for begin, end in cut[first : first + at_most]])

    def images(self, pieces: Sequence[Array]) -> Array:
        """Images float32 (piece, channel, band, frame) of pieces that are alike once fitted."""
        tagger = self.scorer.tagger
        waveforms = torch.from_numpy(np.stack([self.fitted(piece) for piece in pieces]))
        with torch.inference_mode():
            images = filled(tagger.front_end(waveforms), tagger.least_frames)
        result: Array = images.numpy()
        return result

    def standardised(self, patches: Array) -> torch.Tensor:
        """Images are what the network takes."""
        return torch.from_numpy(patches)


@dataclass(frozen=True)
class ExportedTagger:
    """A tagger's network, or its whole program, under ONNX Runtime; see ``ChunkScorer``."""

    feed: ImageFeed
    session: onnxruntime.InferenceSession

    @property
    def chunks(self) -> Chunks:
        """How clips are cut, and scores joined."""
        return self.feed.scorer.chunks

    def chunk_scores(self, clips: Sequence[Array], batch_size: int = BATCH_SIZE) -> list[Array]:
        """Scores float32 (chunk, label) of each clip (sample,), in the order of ``clips``."""
        scorer = self.feed.scorer
        return scored_pieces(
            clips, scorer.chunks, scorer.sample_rate_hz, batch_size, alike=True, score=self._scores
        )

    def _scores(self, pieces: Sequence[Array]) -> Array:
        if self.session.get_inputs()[0].name != INPUT:
            return run_network(self.session, self.feed.images(pieces))
        waveforms = np.stack([self.feed.fitted(piece) for piece in pieces])
        scores: Array = self.session.run(["scores"], {INPUT: waveforms})[0]
        return scores


def exported_tagger(
    exported: Path, model: Path, network: bytes | Path, *, threads: int = 0
) -> ExportedTagger:
    """A graph of an ``exported/`` folder, fed as the tagger ``model`` feeds its network.

    Args:
        exported: the folder.
        model: the tagger's folder.
        network: file of the network or of the whole program, or what it holds.
        threads: of ONNX Runtime; 0: as many as there are cores.

    Raises:
        DataError: a file is missing or damaged.
    """
    samples = read_export(exported).samples
    if samples is None:
        raise DataError(f"{exported}: is not of a tagger; export the model again")
    _, scorer = load(model, torch.device("cpu"))
    feed = ImageFeed(scorer, samples.at_least, samples.at_most)
    return ExportedTagger(feed, session(network, threads=threads))


def int8_tagger(exported: Path, model: Path) -> tuple[ExportedTagger, int]:
    """The int8 network of an ``exported/`` folder, and the size of its file in bytes.

    Raises:
        DataError: a file is missing or damaged, or the folder was made of another model.
    """
    held = int8_bytes(exported, model)
    return exported_tagger(exported, model, held), len(held)
