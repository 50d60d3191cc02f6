"""Recordings to what a detector's network takes, as modules that can be exported."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable

    from soundgate.audio.networks.detector import Detector


class WindowsFrontEnd(nn.Module):
    """Recordings to images of their windows."""

    def __init__(self, detector: Detector, window: int, hop: int) -> None:
        """Cut windows of so many samples, and compute as the detector does."""
        super().__init__()
        self.images, self.window, self.hop = detector.front_end, window, hop
        self.images.make_exportable()

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """Images float32 (batch, window, 1, frame, bin), all of which count: int64 (batch,).

        The last window reaches the end of the recording; what it lacks is silence.
        """
        samples, device = waveform.shape[1], waveform.device
        total = _larger(samples, self.window)
        count = 1 + (total - self.window + self.hop - 1) // self.hop
        first = torch.arange(count, device=device) * self.hop
        place = (first.unsqueeze(1) + torch.arange(self.window, device=device)).reshape(-1)
        # A number of samples has to be a tensor before a graph may compare with it.
        end = torch.full_like(place, samples)
        pieces = waveform.index_select(1, torch.minimum(place, end - 1)) * (place < end)
        windows: Tensor = pieces.unflatten(1, (-1, self.window))  # type: ignore[no-untyped-call]
        images = self.images(windows.flatten(0, 1)).unflatten(0, (-1, windows.shape[1]))
        counts = torch.full_like(waveform[:, 0], windows.shape[1], dtype=torch.int64)
        return images, counts


class FromImages(nn.Module):
    """The parts of a detector behind its front end, under its own names."""

    def __init__(self, detector: Detector) -> None:
        """Take them."""
        super().__init__()
        self.encoder, self.classifier = detector.encoder, detector.classifier
        self._apply_to = detector.from_images

    def forward(self, images: Tensor) -> Tensor:
        """Logits (window, class)."""
        return self._apply_to(images)


# Python's max would ask which is the case; a traced graph must answer that each time.
_larger: Callable[[int, int], int] = torch.sym_max
