"""HTS-AT (Chen et al. 2022): a Swin transformer on a spectrogram that is folded into a square."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from soundgate.audio.networks.encoders.clap.spectrum import LogMel
from soundgate.audio.networks.encoders.clap.swin import Stage, SwinBlock

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_WINDOW, _SIDE, _PATCH = 8, 256, 4


@dataclass(frozen=True)
class Geometry:
    """How large a network is; the defaults are those of the published weights."""

    size: int = 96
    """Channels of the first stage; each stage has twice those of the one before."""
    depths: tuple[int, ...] = (2, 2, 6, 2)
    """Blocks of each stage."""
    heads: tuple[int, ...] = (4, 8, 16, 32)
    bands: int = 64
    n_fft: int = 1024
    hop_length: int = 320
    classes: int = 527
    """Of the classifier in the file, which embeddings do not use."""

    @property
    def embedding_size(self) -> int:
        """Channels of the last stage."""
        return int(self.size * 2 ** (len(self.depths) - 1))


class Htsat(nn.Module):
    """Waveforms to tokens of the last stage; parameters have the published names."""

    def __init__(self, geometry: Geometry) -> None:
        """Make the layers; ``take`` gives them weights."""
        super().__init__()
        self.geometry, size = geometry, geometry.size
        self.log_mel = LogMel(geometry.bands, geometry.n_fft, geometry.hop_length)
        self.patch_embed = nn.ModuleDict(
            {"proj": nn.Conv2d(1, size, _PATCH, _PATCH), "norm": nn.LayerNorm(size)}
        )
        shapes = enumerate(zip(geometry.depths, geometry.heads, strict=True))
        self.layers = nn.ModuleList(
            Stage(size << k, depth, heads, _SIDE // _PATCH >> k, _WINDOW)
            for k, (depth, heads) in shapes
        )
        last = self.layers[-1]
        assert isinstance(last, Stage)
        last.downsample = None
        self.norm = nn.LayerNorm(geometry.embedding_size)

    def forward(self, waveforms: Tensor) -> Tensor:
        """Tokens over time, float32 (clip, time, channel): the mean over frequency of each."""
        image = folded(self.log_mel(waveforms), self.geometry.bands)
        tokens = self.patch_embed["proj"](image).permute(0, 2, 3, 1)
        tokens = self.patch_embed["norm"](tokens)
        for stage in self.layers:
            tokens = stage(tokens)
        tokens = self.norm(tokens.float())
        parts = _SIDE // self.geometry.bands
        clips, rows, columns, size = tokens.shape
        # Each of the square's bands of rows is a part of the time.
        in_time = tokens.view(clips, parts, rows // parts, columns, size).mean(2)
        found: Tensor = in_time.reshape(clips, parts * columns, size)
        return found

    def expected(self) -> dict[str, Tensor]:
        """Everything that a file holds of the network, by its name there."""
        named = {name.removeprefix("log_mel."): value for name, value in self.state_dict().items()}
        named |= self.log_mel.named_filters() | self.constants()
        size, classes = self.geometry.embedding_size, self.geometry.classes
        rows = _SIDE // _PATCH >> (len(self.geometry.depths) - 1)
        height = rows * self.geometry.bands // _SIDE
        named["tscam_conv.weight"] = torch.empty(classes, size, height, 3, device="meta")
        named["tscam_conv.bias"] = torch.empty(classes, device="meta")
        named["head.weight"] = torch.empty(classes, classes, device="meta")
        named["head.bias"] = torch.empty(classes, device="meta")
        return named

    def constants(self) -> dict[str, Tensor]:
        """What a file holds of the blocks beside their parameters, by its name there."""
        return {
            f"{place}.{name}": value
            for place, block in self.named_modules()
            if isinstance(block, SwinBlock)
            for name, value in block.constants().items()
        }

    def take(self, path: Path, given: Mapping[str, Tensor]) -> None:
        """Take weights that ``expected`` lists, all of them there and of the right shape.

        Raises:
            DataError: the file's filters are others than the network computes with.
        """
        self.log_mel.take(path, given)
        own = {name.removeprefix("log_mel."): name for name in self.state_dict()}
        self.load_state_dict({own[name]: value for name, value in given.items() if name in own})
        for block in self.modules():
            if isinstance(block, SwinBlock):
                block.place()


def geometry_of(given: Mapping[str, Tensor]) -> Geometry | None:
    """How large the network of a file is; None where it is no HTS-AT."""
    blocks = [
        (int(name.split(".")[1]), int(name.split(".")[3]), value.shape[1])
        for name, value in given.items()
        if name.startswith("layers.") and name.endswith(".attn.relative_position_bias_table")
    ]
    conv, bank = (
        given.get("spectrogram_extractor.stft.conv_real.weight"),
        given.get("logmel_extractor.melW"),
    )
    first, head = given.get("patch_embed.proj.weight"), given.get("head.bias")
    if not blocks or conv is None or bank is None or first is None or head is None:
        return None
    stages = range(1 + max(stage for stage, _, _ in blocks))
    return Geometry(
        size=len(first),
        depths=tuple(sum(stage == k for stage, _, _ in blocks) for k in stages),
        heads=tuple(next((h for stage, _, h in blocks if stage == k), 1) for k in stages),
        bands=bank.shape[-1],
        n_fft=conv.shape[-1],
        classes=len(head),
    )


def folded(spectrogram: Tensor, bands: int) -> Tensor:
    """Fold spectrograms (clip, frame, band) into squares (clip, 1, 256, 256).

    Time is stretched to as many frames as four squares are wide; the parts of the time lie below
    one another, each with all its bands.
    """
    clips = spectrogram.shape[0]  # not len: it would fix the number in exported graphs
    parts = _SIDE // bands
    stretched = functional.interpolate(
        spectrogram.unsqueeze(1), (parts * _SIDE, bands), mode="bicubic", align_corners=True
    )
    image = stretched.view(clips, parts, _SIDE, bands).transpose(2, 3)
    return image.reshape(clips, 1, _SIDE, _SIDE)
