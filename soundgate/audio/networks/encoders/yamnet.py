"""YAMNet (Plakal and Ellis) from a Keras file of the STM32 model zoo: 0.96 s of sound at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from soundgate.audio.networks import models
from soundgate.audio.networks.encoders.module import EncoderModule
from soundgate.audio.networks.keras import YAMNET_FEATURES, conversion, keras_file
from soundgate.audio.signal.log_mel import log_mel, options_of
from soundgate.audio.signal.patches import patch_samples
from soundgate.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

# Google's own YAMNet moves by half a patch.
_HOPS_IN_PATCH = 2
_LOG_OFFSET = 1e-3


class Yamnet(EncoderModule):
    """Waveforms of 0.975 s or more to the mean over patches that overlap by half."""

    def __init__(self, network: Any, size: int) -> None:
        """Take a classifier of ``models.yamnet``, of which the last layer is not used."""
        super().__init__()
        features = YAMNET_FEATURES.feature_extraction
        self.options = options_of({**features, "log_offset": _LOG_OFFSET})
        self.sample_rate_hz = YAMNET_FEATURES.target_rate
        self.embedding_size = size
        self.least_samples = patch_samples(self.options)
        self.network = nn.Sequential(network.features, network.pool)

    def forward(self, waveforms: Tensor) -> Tensor:
        """See ``EncoderModule``."""
        return self._patches(waveforms).float().mean(1)

    def times(self, waveforms: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings of patches."""
        found = self._patches(waveforms)
        hop = self.options.patch_length // _HOPS_IN_PATCH * self.options.hop_length
        begins = torch.arange(found.shape[1]) * hop
        return found, (begins + self.least_samples / 2) * (1000 / self.sample_rate_hz)

    def _patches(self, waveforms: Tensor) -> Tensor:
        with torch.autocast(waveforms.device.type, enabled=False):
            frames = log_mel(waveforms, self.options, self.sample_rate_hz)
        length = self.options.patch_length
        patches = frames.unfold(1, length, length // _HOPS_IN_PATCH)
        clips, count, bands, _ = patches.shape
        images = patches.reshape(clips * count, 1, bands, length)
        found: Tensor = self.network(images.contiguous(memory_format=torch.channels_last))
        return found.view(clips, count, -1)


def load(path: Path) -> Yamnet:
    """Load a ``yamnet_256_f32.h5`` or one of the larger ones.

    Raises:
        ConfigError: the file holds another network.
        DataError: it is damaged.
    """
    file = keras_file.read(path)
    identity = conversion.identify(file)
    if identity.architecture != "yamnet":
        raise ConfigError(f"encoder.path: {path} holds a {identity.architecture}, no YAMNet")
    network = models.build("yamnet", 1, identity.size)
    conversion.load(file, identity, network)
    module = Yamnet(network, identity.size["embedding_size"])
    return models.to_device(module, torch.device("cpu"))
