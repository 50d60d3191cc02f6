"""Stretches of sound to logits of their windows.

Windows that overlap share frames wherever these fall on the same samples, which they all do where
the hop of windows is a multiple of that of frames; recordings share batches, so that short ones
fill the device too.
"""

from __future__ import annotations

import copy
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from soundgate.audio.networks.images.residual import ResidualEncoder
from soundgate.audio.networks.models import to_device

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy.typing as npt

    from soundgate.audio.networks.detector import Detector

    Array = npt.NDArray[Any]

# Frames are computed for so many windows at once, whatever the batch: memory holds their samples.
_STRETCH = 64


class Stretch(NamedTuple):
    """Sound of one recording."""

    owner: int
    """Number of the recording."""
    samples: Array
    """Float32 (sample,)."""
    starts: Array
    """Int64 (window,), where windows begin."""


@dataclass
class Scorer:
    """A detector that scores windows in batches."""

    detector: Detector
    """In evaluation mode, on ``device``; see ``prepared``."""
    window: int
    """Samples."""
    batch_size: int
    device: torch.device
    _waiting: list[tuple[int, Tensor]] = field(default_factory=list)

    def __call__(self, stretches: Iterable[Stretch]) -> Iterator[tuple[int, Array]]:
        """Yield owners and logits float32 (window, class), each owner's in the order of time."""
        held = 0
        for stretch in stretches:
            for images in self._images(stretch):
                self._waiting.append((stretch.owner, images))
                held += len(images)
            while held >= self.batch_size:
                yield from self._score(self.batch_size)
                held -= self.batch_size
        if held:
            yield from self._score(held)

    def _images(self, stretch: Stretch) -> Iterator[Tensor]:
        """Images float32 (window, 1, frame, bin) of a stretch, several windows at a time."""
        front = self.detector.front_end
        spec = front.settings
        samples = torch.from_numpy(stretch.samples).to(self.device, non_blocking=True)
        offsets = np.arange(spec.frames(self.window)) * spec.hop_length
        for first in range(0, len(stretch.starts), _STRETCH):
            places = stretch.starts[first : first + _STRETCH, None] + offsets
            distinct, which = np.unique(places, return_inverse=True)
            chosen = torch.from_numpy(distinct).to(self.device)
            rows = torch.from_numpy(which.reshape(places.shape)).to(self.device)
            with torch.inference_mode():
                levels = front.levels(front.power(samples.unfold(0, spec.n_fft, 1)[chosen]))
                images = front.normalised(levels[rows])
            yield images

    def _score(self, count: int) -> Iterator[tuple[int, Array]]:
        """Logits of the first ``count`` windows that wait."""
        owners, images, missing = [], [], count
        while missing:
            owner, found = self._waiting.pop(0)
            taken, rest = found[:missing], found[missing:]
            if len(rest):
                self._waiting.insert(0, (owner, rest))
            owners.append((owner, len(taken)))
            images.append(taken)
            missing -= len(taken)
        if count < self.batch_size:
            # Rounding depends on the size of a batch: all have one, so that a window's score does
            # not depend on what was scored before an interruption.
            images.append(images[0].new_zeros(self.batch_size - count, *images[0].shape[1:]))
        with torch.inference_mode():
            logits = self.detector.from_images(torch.cat(images)).float().cpu().numpy()
        place = 0
        for owner, length in owners:
            yield owner, logits[place : place + length]
            place += length


def prepared(detector: Detector, device: torch.device) -> Detector:
    """A detector for scoring alone: normalisations are folded into the convolutions before them."""
    own = copy.deepcopy(detector).eval()
    if isinstance(own.encoder, ResidualEncoder):
        _fold(own.encoder)
    return to_device(own, device)


def _fold(module: nn.Module) -> None:
    """Fold each normalisation of a residual network into its convolution, all the way down."""
    children = list(module.named_children())
    for (name, first), (after, second) in itertools.pairwise(children):
        if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
            setattr(module, name, fuse_conv_bn_eval(first, second))
            setattr(module, after, nn.Identity())
    for child in module.children():
        _fold(child)


def log_odds(logits: Array) -> Array:
    """Logarithms of the odds of each class but the first, float32 (window, class - 1).

    Args:
        logits: float32 (window, class), of a softmax.
    """
    values = logits.astype(np.float64)
    found = np.empty((len(values), values.shape[1] - 1))
    for k in range(1, values.shape[1]):
        others = np.delete(values, k, 1)
        highest = others.max(1, keepdims=True)
        rest = highest[:, 0] + np.log(np.exp(others - highest).sum(1))
        found[:, k - 1] = values[:, k] - rest
    return found.astype(np.float32)


def probabilities(odds: Array) -> Array:
    """Probabilities float32 of logarithms of odds."""
    with np.errstate(over="ignore"):
        return np.asarray(1.0 / (1.0 + np.exp(-odds.astype(np.float64)))).astype(np.float32)
