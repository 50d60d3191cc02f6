"""An encoder that is a module of torch."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from soundgate.errors import ConfigError, ParameterError

if TYPE_CHECKING:
    from soundgate.audio.networks.encoders.interface import Precision

NUMBERS: int = 1
"""Raised where code changes what encoders of unchanged weights compute: it is in every digest."""


class EncoderModule(nn.Module):
    """Waveforms to embeddings, as ``interface.Encoder`` describes them, on the module's device."""

    sample_rate_hz: int
    window_samples: int | None = None
    embedding_size: int
    least_samples = 1
    """Shortest waveform that can be taken."""
    precisions: ClassVar[tuple[Precision, ...]] = ("fp32", "bf16")
    """What it may compute in."""

    def forward(self, waveforms: Tensor) -> Tensor:
        """Embeddings float32 (clip, size) of waveforms float32 (clip, sample)."""
        raise NotImplementedError

    def times(self, waveforms: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings float32 (clip, time, size), and the middle of each, ms, (time,)."""
        raise NotImplementedError


class ModuleEncoder:
    """An ``interface.Encoder`` of a module."""

    def __init__(
        self, name: str, digest: str, module: EncoderModule, device: str, precision: Precision
    ) -> None:
        """Take a module and bring it to ``device``.

        Raises:
            ConfigError: it cannot compute in ``precision``.
        """
        if precision not in module.precisions:
            raise ConfigError(
                f"encoder.precision: {name} computes in {' or '.join(module.precisions)}, not "
                f"{precision}; int8 needs an ONNX program, which `soundgate export-encoder` makes"
            )
        self.name, self.digest, self.device = name, digest, device
        self.sample_rate_hz, self.window_samples = module.sample_rate_hz, module.window_samples
        self.embedding_size = module.embedding_size
        self.module = module.eval().requires_grad_(requires_grad=False).to(device)
        self._half = precision == "bf16"

    def scenes(self, waveforms: Tensor) -> Tensor:
        """See ``interface.Encoder``."""
        self._check(waveforms)
        with torch.inference_mode(), self._autocast():
            found: Tensor = self.module(self._brought(waveforms))
        return found.float().cpu()

    def times(self, waveforms: Tensor) -> tuple[Tensor, Tensor]:
        """See ``interface.Encoder``."""
        self._check(waveforms)
        with torch.inference_mode(), self._autocast():
            found, middles = self.module.times(self._brought(waveforms))
        return found.float().cpu(), middles.float().cpu().expand(len(found), -1)

    def _check(self, waveforms: Tensor) -> None:
        check_length(self.name, waveforms, self.window_samples, self.module.least_samples)

    def _brought(self, waveforms: Tensor) -> Tensor:
        if self.device == "cpu":
            return waveforms
        return waveforms.pin_memory().to(self.device, non_blocking=True)

    def _autocast(self) -> torch.autocast:
        kind = self.device.split(":", maxsplit=1)[0]
        return torch.autocast(kind, torch.bfloat16, enabled=self._half)


def check_length(
    name: str, waveforms: Tensor, window_samples: int | None, least_samples: int = 1
) -> None:
    """Refuse waveforms of another length.

    Raises:
        ParameterError: they are of another length than ``window_samples``, or too short.
    """
    length = waveforms.shape[-1]
    if window_samples not in (None, length):
        raise ParameterError(f"{name}: takes waveforms of {window_samples} samples, not {length}")
    if length < least_samples:
        raise ParameterError(
            f"{name}: takes waveforms of {least_samples} samples or more, not {length}; give "
            "embedding.window_s"
        )


def digest_of(**facts: object) -> str:
    """SHA-256 of what an encoder's numbers depend on, values of JSON."""
    text = json.dumps({"numbers": NUMBERS, **facts}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
