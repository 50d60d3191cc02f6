"""Images of several widths in one batch, without a clip's answer depending on its neighbours.

An image that is filled up to the widest of its batch must look to every layer like the image alone.
Alone, a convolution finds zeros beyond its edge; so what lies beyond an image's own width is set to
zero before each convolution and each pooling, and means are taken over what is real. Layers that
treat each position by itself need nothing.
"""

from __future__ import annotations

import contextlib
from contextvars import ContextVar
from typing import TYPE_CHECKING

from torch import Tensor, nn

from soundgate.audio.networks.steps import valid_steps

if TYPE_CHECKING:
    from collections.abc import Iterator


class Widths:
    """How wide each image of a batch really is, at every width that the batch has on its way."""

    def __init__(self, batch: int, real: Tensor) -> None:
        """Begin with images ``batch`` wide, of which ``real`` int64 (clip,) are."""
        self._real = {batch: real}

    def real(self, width: int) -> Tensor:
        """Real widths int64 (clip,) where the batch is ``width`` wide."""
        return self._real[width]

    def mask(self, width: int) -> Tensor:
        """What is real where the batch is ``width`` wide, bool (clip, 1, 1, width)."""
        return valid_steps(self._real[width], width)[:, None, None]

    def follow(self, layer: nn.Conv2d | nn.MaxPool2d, width: int) -> None:
        """Note how wide the batch and its images are behind ``layer``."""
        kernel, stride, padding, dilation = (
            value if isinstance(value, int) else int(value[1])
            for value in (layer.kernel_size, layer.stride, layer.padding, layer.dilation)
        )
        reach = dilation * (kernel - 1) + 1 - 2 * padding
        after = (width - reach) // stride + 1
        real = (self._real[width] - reach).div(stride, rounding_mode="floor") + 1
        self._real[after] = real.clamp(min=0)


_WIDTHS: ContextVar[Widths | None] = ContextVar("widths", default=None)


@contextlib.contextmanager
def of_widths(widths: Widths | None) -> Iterator[None]:
    """Within it, layers prepared by ``mind`` go by ``widths``."""
    token = _WIDTHS.set(widths)
    try:
        yield
    finally:
        _WIDTHS.reset(token)


def mind(network: nn.Module) -> None:
    """Make the layers of ``network`` go by the widths that ``of_widths`` gives."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d):
            layer.register_forward_pre_hook(_before)
        elif isinstance(layer, nn.AdaptiveAvgPool2d):
            layer.register_forward_hook(_pooled)


def masked_mean(maps: Tensor, widths: Widths | None) -> Tensor:
    """Mean over bands and real frames of maps (clip, channel, band, frame), as 1x1 maps."""
    if widths is None:
        return maps.mean((2, 3), keepdim=True)
    width = maps.shape[-1]
    total = (maps * widths.mask(width)).sum((2, 3), keepdim=True)
    count = widths.real(width).clamp(min=1) * maps.shape[2]
    return total / count[:, None, None, None]


def _before(layer: nn.Module, inputs: tuple[Tensor]) -> tuple[Tensor] | None:
    widths = _WIDTHS.get()
    if widths is None:
        return None
    (maps,) = inputs
    # Squeeze-and-excitation convolves what is pooled already.
    if maps.shape[-1] == 1 and maps.shape[-2] == 1:
        return None
    assert isinstance(layer, nn.Conv2d | nn.MaxPool2d)
    mask = widths.mask(maps.shape[-1])
    widths.follow(layer, maps.shape[-1])
    return (maps * mask,)


def _pooled(layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor:
    del layer
    widths = _WIDTHS.get()
    return output if widths is None else masked_mean(inputs[0], widths)
