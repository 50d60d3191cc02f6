"""Cnn14 of PANNs (Kong et al. 2020), for embeddings alone; parameters have the published names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from soundgate.audio.networks.encoders.clap.spectrum import LogMel

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_BLOCKS = 6


@dataclass(frozen=True)
class Geometry:
    """How large a network is; the defaults are those of the published weights."""

    channels: tuple[int, ...] = (64, 128, 256, 512, 1024, 2048)
    """Of each block."""
    embedding_size: int = 2048
    bands: int = 64
    n_fft: int = 1024
    hop_length: int = 320
    classes: int = 527
    """Of the classifier in the file, which embeddings do not use."""


class ConvBlock(nn.Module):
    """Two convolutions with batch normalisation."""

    def __init__(self, taken: int, given: int) -> None:
        """Make the layers."""
        super().__init__()
        self.conv1 = nn.Conv2d(taken, given, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(given, given, 3, padding=1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(given), nn.BatchNorm2d(given)

    def forward(self, images: Tensor) -> Tensor:
        """Channels of images."""
        images = functional.relu(self.bn1(self.conv1(images)))
        return functional.relu(self.bn2(self.conv2(images)))


class Cnn14(nn.Module):
    """Waveforms to a vector, or to one for every 32 frames."""

    def __init__(self, geometry: Geometry) -> None:
        """Make the layers; ``take`` gives them weights."""
        super().__init__()
        self.geometry = geometry
        self.log_mel = LogMel(geometry.bands, geometry.n_fft, geometry.hop_length)
        sizes = (1, *geometry.channels)
        for k in range(_BLOCKS):
            self.add_module(f"conv_block{k + 1}", ConvBlock(sizes[k], sizes[k + 1]))
        self.fc1 = nn.Linear(sizes[-1], geometry.embedding_size)

    def forward(self, waveforms: Tensor) -> Tensor:
        """Embeddings float32 (clip, size)."""
        found = self.steps(waveforms)
        return functional.relu(self.fc1(found.amax(1) + found.mean(1)))

    def in_time(self, waveforms: Tensor) -> Tensor:
        """Embeddings float32 (clip, time, size), each of 32 frames and what they hear around."""
        return functional.relu(self.fc1(2 * self.steps(waveforms)))

    def steps(self, waveforms: Tensor) -> Tensor:
        """What the last block finds at each time, float32 (clip, time, channel)."""
        images = self.log_mel(waveforms).unsqueeze(1)
        for k in range(_BLOCKS):
            images = self.get_submodule(f"conv_block{k + 1}")(images)
            images = functional.avg_pool2d(images, 2) if k < _BLOCKS - 1 else images
        found: Tensor = images.mean(3).transpose(1, 2)
        return found

    def expected(self) -> dict[str, Tensor]:
        """Everything that a file holds of the network, by its name there."""
        named = {name.removeprefix("log_mel."): value for name, value in self.state_dict().items()}
        classes, size = self.geometry.classes, self.geometry.embedding_size
        named["fc_audioset.weight"] = torch.empty(classes, size, device="meta")
        named["fc_audioset.bias"] = torch.empty(classes, device="meta")
        return named | self.log_mel.named_filters()

    def take(self, path: Path, given: Mapping[str, Tensor]) -> None:
        """Take weights that ``expected`` lists, all of them there and of the right shape.

        Raises:
            DataError: the file's filters are others than the network computes with.
        """
        self.log_mel.take(path, given)
        own = {name.removeprefix("log_mel."): name for name in self.state_dict()}
        self.load_state_dict({own[name]: value for name, value in given.items() if name in own})


def geometry_of(given: Mapping[str, Tensor]) -> Geometry | None:
    """How large the network of a file is; None where it is no Cnn14."""
    names = [f"conv_block{k + 1}.conv1.weight" for k in range(_BLOCKS)]
    names += ["fc1.weight", "logmel_extractor.melW", "fc_audioset.bias"]
    names += ["spectrogram_extractor.stft.conv_real.weight"]
    if not set(names) <= given.keys():
        return None
    *convolutions, layer, bank, classes, waves = (given[name] for name in names)
    return Geometry(
        channels=tuple(len(weight) for weight in convolutions),
        embedding_size=len(layer),
        bands=bank.shape[-1],
        n_fft=waves.shape[-1],
        classes=len(classes),
    )
