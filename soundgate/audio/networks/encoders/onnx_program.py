"""Encoders that are ONNX programs: ours, in 8 bits too, and those of others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from soundgate.audio.files.digests import sha256_of
from soundgate.audio.networks.encoders.module import check_length, digest_of
from soundgate.errors import ConfigError, MissingExtra

if TYPE_CHECKING:
    from pathlib import Path

RATE, MIDDLES = "sample_rate_hz", "times_ms"
"""Names of what a program says of itself: its rate, and the middles of its embeddings over time."""


class OnnxEncoder:
    """An ``interface.Encoder`` of a program on the CPU.

    Its one input is waveforms (clip, sample), perhaps with an axis of size 1; its first output is
    embeddings (clip, size), or over time (clip, time, size), of which the mean is the scene's.
    """

    name, device = "onnx", "cpu"

    def __init__(self, path: Path, sample_rate_hz: int | None) -> None:
        """Load a program.

        Raises:
            ConfigError: the file is no program of this kind, or nothing says its rate.
            MissingExtra: onnxruntime is not installed.
        """
        self._session = _session(path)
        said = self._session.get_modelmeta().custom_metadata_map
        rate = said.get(RATE, sample_rate_hz)
        if rate is None:
            raise ConfigError(f"encoder.sample_rate_hz: {path} does not say its rate; give it here")
        if sample_rate_hz not in (None, int(rate)):
            raise ConfigError(
                f"encoder.sample_rate_hz: {path} takes {rate} Hz, not {sample_rate_hz}"
            )
        self.sample_rate_hz = int(rate)
        taken = self._session.get_inputs()
        if len(taken) != 1 or not _is_waveform(taken[0].shape):
            shapes = ", ".join(f"{one.name} {one.shape}" for one in taken)
            raise ConfigError(
                f"encoder.path: {path} takes {shapes}; an encoder takes waveforms (clip, sample)"
            )
        self._input, self._shape = taken[0].name, taken[0].shape
        samples = next((size for size in self._shape[1:] if size != 1), None)
        self.window_samples: int | None = samples if isinstance(samples, int) else None
        self._output = self._session.get_outputs()[0].name
        self._middles = [float(middle) for middle in said.get(MIDDLES, "").split()]
        self.embedding_size = self._size(path)
        self.digest = digest_of(name=self.name, weights=sha256_of(path), rate=self.sample_rate_hz)

    def scenes(self, waveforms: Tensor) -> Tensor:
        """See ``interface.Encoder``."""
        found = self._run(waveforms)
        return found.mean(1) if found.ndim == 3 else found

    def times(self, waveforms: Tensor) -> tuple[Tensor, Tensor]:
        """See ``interface.Encoder``; one embedding where the program gives none over time."""
        found = self._run(waveforms)
        found = found if found.ndim == 3 else found.unsqueeze(1)
        count = found.shape[1]
        length_ms = waveforms.shape[-1] / self.sample_rate_hz * 1000
        middles = (torch.arange(count) + 0.5) * (length_ms / count)
        if len(self._middles) == count:
            middles = torch.tensor(self._middles)
        return found, middles.expand(len(found), -1)

    def _run(self, waveforms: Tensor) -> Tensor:
        check_length(self.name, waveforms, self.window_samples)
        given = waveforms.numpy()
        if len(self._shape) == 3:
            given = given[:, None] if self._shape[1] == 1 else given[..., None]
        step = self._shape[0] if isinstance(self._shape[0], int) else max(len(given), 1)
        parts = [
            self._session.run([self._output], {self._input: given[first : first + step]})[0]
            for first in range(0, len(given), step)
        ]
        return torch.from_numpy(np.concatenate(parts).astype(np.float32, copy=False))

    def _size(self, path: Path) -> int:
        shape = self._session.get_outputs()[0].shape
        if len(shape) not in (2, 3):
            raise ConfigError(
                f"encoder.path: {path} gives {self._output} {shape}; an encoder gives embeddings "
                "(clip, size) or (clip, time, size)"
            )
        if isinstance(shape[-1], int):
            return shape[-1]
        length = self.window_samples or self.sample_rate_hz
        return int(self._run(torch.zeros(1, length)).shape[-1])


def _is_waveform(shape: list[Any]) -> bool:
    return len(shape) == 2 or (len(shape) == 3 and 1 in shape[1:])


def _session(path: Path) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtra("onnxruntime is not installed; pip install 'soundgate[export]'") from (
            error
        )
    options = onnxruntime.SessionOptions()
    # Batches are computed side by side, each on one core: see soundgate.audio.embedding.engine.
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no common class
        reason = " ".join(str(error).split())[:160]
        raise ConfigError(f"encoder.path: {path} is no ONNX program: {reason}") from error
