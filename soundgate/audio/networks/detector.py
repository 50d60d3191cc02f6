"""Networks that say which call a window of sound holds: a front end, an encoder, a classifier."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from torch import Tensor, nn

from soundgate.audio.networks.images.residual import DEPTHS, ResidualEncoder
from soundgate.audio.networks.images.small import SMALL, SmallBackbone
from soundgate.audio.networks.images.torchvision_networks import FUNCTIONS, ImageBackbone
from soundgate.audio.signal.front_ends import canonical
from soundgate.audio.signal.front_ends.detector import DetectorFrontEnd, check_window
from soundgate.audio.signal.front_ends.detector_settings import DetectorFrontEndSettings
from soundgate.errors import ConfigError

if TYPE_CHECKING:
    from torch.nn import Module

RESNETS: Final = {f"RESNET{layers}": layers for layers in DEPTHS}
NETWORKS: Final = (*RESNETS, *SMALL, *FUNCTIONS)
"""Names of the networks."""

ENCODER, CLASSIFIER = "encoder", "classifier"
"""Dotted names of a detector's two parts that learn."""


@dataclass(frozen=True, kw_only=True)
class DetectorSettings:
    """What a detector is made of."""

    network: str = "RESNET18"
    """One of ``NETWORKS``; case, blanks and hyphens do not matter."""
    front_end: DetectorFrontEndSettings = field(default_factory=DetectorFrontEndSettings)
    window_s: float = 0.4
    """Length of the windows that it is trained with."""
    width: int = 64
    """RESNET alone: channels of the first stage."""
    conv_kernel_size: int = 7
    """RESNET alone: size of the first convolution."""
    max_pool: int = 1
    """RESNET alone: what follows it, see ``ResidualEncoder``."""
    pooling: str = "avg"
    """RESNET alone: over the last maps, ``avg`` or ``max``."""
    dropout: float = 0.0
    """Share of the embedding's values set to zero in training."""


class Classifier(nn.Module):
    """From embeddings to one logit a class."""

    def __init__(self, size: int, classes: int, dropout: float) -> None:
        """Take embeddings of ``size``."""
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(size, classes)

    def forward(self, embeddings: Tensor) -> Tensor:
        """Logits (window, class)."""
        logits: Tensor = self.linear(self.dropout(embeddings))
        return logits


class Detector(nn.Module):
    """Windows of sound to logits of classes, of which the first is noise."""

    def __init__(self, settings: DetectorSettings, encoder: Module, classes: int) -> None:
        """Join the parts; ``make_detector`` makes them."""
        super().__init__()
        self.settings = settings
        self.front_end = DetectorFrontEnd(settings.front_end)
        self.encoder = encoder
        size: int = encoder.size  # type: ignore[assignment] # every backbone has one
        self.classifier = Classifier(size, classes, settings.dropout)
        # The others' axes are band and frame, as taggers have them.
        self._turned = not isinstance(encoder, ResidualEncoder)

    def forward(self, waveforms: Tensor) -> Tensor:
        """Logits float32 (window, class) of waveforms float32 (window, sample)."""
        return self.from_images(self.front_end(waveforms))

    def from_images(self, images: Tensor) -> Tensor:
        """Logits float32 (window, class) of what the front end returns."""
        if self._turned:
            images = images.transpose(2, 3)
        logits: Tensor = self.classifier(self.encoder(images).mean())
        return logits


def make_detector(settings: DetectorSettings, classes: int) -> Detector:
    """A detector with fresh weights, drawn from torch's global generator.

    Raises:
        ConfigError: there is no such network, or the window is too short for it.
        MissingExtra: a library that it needs is not installed.
    """
    if classes < 2:
        raise ConfigError(f"classes: a detector tells noise from calls; {classes} is too few")
    name = canonical(settings.network, NETWORKS, "model.name")
    encoder = _encoder(name, settings)
    check_window(settings.front_end, settings.window_s, int(encoder.least_frames))  # type: ignore[arg-type] # every backbone has one
    return Detector(settings, encoder, classes)


def _encoder(name: str, settings: DetectorSettings) -> Module:
    if name in RESNETS:
        return ResidualEncoder(
            RESNETS[name],
            width=settings.width,
            kernel=settings.conv_kernel_size,
            max_pool=settings.max_pool,
            pooling=settings.pooling,
        )
    if name in SMALL:
        return SmallBackbone(SMALL[name], channels=1, pooled=True)
    return ImageBackbone(FUNCTIONS[name], channels=1, pooled=True)
