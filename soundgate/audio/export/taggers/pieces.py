"""From waveforms to what a tagger's network takes, as modules that can be exported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable

    from soundgate.audio.networks.tagger import Tagger


@dataclass(frozen=True)
class Cut:
    """What clips are cut into, samples."""

    least: int
    """Shorter clips are repeated up to it."""
    length: int | None
    """Of a piece; None: the whole clip."""
    hop: int | None = None
    """From piece to piece; None: nothing is looked at behind the first."""

    @property
    def most(self) -> int | None:
        """Samples of a clip that are looked at; None: all."""
        return self.length if self.hop is None else None


class Pieces(nn.Module):
    """Waveforms to pieces of one length, side by side; the last one ends where the clip does."""

    def __init__(self, cut: Cut) -> None:
        """Take what clips are cut into."""
        super().__init__()
        self.cut = cut

    def forward(self, waveform: Tensor) -> Tensor:
        """Pieces float32 (batch, piece, sample) of waveforms float32 (batch, sample)."""
        cut, device = self.cut, waveform.device
        samples = waveform.shape[1]
        total = cut.most or _larger(samples, cut.least)
        if cut.length is None or cut.hop is None:
            place = torch.arange(total, device=device).unsqueeze(0)
        else:
            count = 1 + (total - cut.length + cut.hop - 1) // cut.hop
            first = torch.arange(count, device=device) * cut.hop
            # A number of samples has to be a tensor before a graph may compare with it.
            last = torch.full_like(first, total - cut.length)
            within = torch.arange(cut.length, device=device)
            place = torch.minimum(first, last).unsqueeze(1) + within
        flat = place.reshape(-1)
        flat = flat % torch.full_like(flat, samples)
        pieces: Tensor = waveform.index_select(1, flat).unflatten(1, tuple(place.shape))  # type: ignore[no-untyped-call]
        return pieces


class TaggerFrontEnd(nn.Module):
    """Waveforms to images of their pieces."""

    def __init__(self, cut: Cut, front_end: nn.Module, least_frames: int) -> None:
        """Cut, compute as ``front_end`` does, and fill up to the ``least_frames`` of a network."""
        super().__init__()
        self.pieces, self.images, self.least_frames = Pieces(cut), front_end, least_frames

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """Images float32 (batch, piece, ...), all of which count: int64 (batch,) is how many."""
        pieces = self.pieces(waveform)
        images = self.images(pieces.flatten(0, 1))
        if self.pieces.cut.length is not None:
            images = filled(images, self.least_frames)
        images = images.unflatten(0, (-1, pieces.shape[1]))
        count = torch.full_like(waveform[:, 0], pieces.shape[1], dtype=torch.int64)
        return images, count


class ImagesToLogits(nn.Module):
    """The parts of a tagger behind its front end, under its own names."""

    def __init__(self, tagger: Tagger) -> None:
        """Take them."""
        super().__init__()
        self.backbone, self.head, self.copies = tagger.backbone, tagger.head, tagger.copies

    def forward(self, images: Tensor) -> Tensor:
        """Logits (piece, label); images are at least as wide as the network needs."""
        if self.copies > 1:
            images = images.expand(-1, self.copies, -1, -1)
        logits: Tensor = self.head(self.backbone(images, None))
        return logits


def filled(images: Tensor, least_frames: int) -> Tensor:
    """Images (..., frame) at least so wide, with zeros, as ``Tagger.from_images`` has them."""
    missing = least_frames - images.shape[-1]
    return functional.pad(images, (0, missing)) if missing > 0 else images


# Python's max would ask which is the case; a traced graph must answer that each time.
_larger: Callable[[int, int], int] = torch.sym_max
