"""A head and its encoder as one ONNX program: waveforms of a segment's length to scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from torch.nn import functional

from soundgate.audio.classification.heads.head import BOOSTER, layers_of, read_head
from soundgate.audio.embedding.listening import settings_of
from soundgate.audio.export.encoders.encoder import INPUT, graph_of, write_program
from soundgate.audio.export.runtime import session
from soundgate.audio.networks.encoders.matching import encoder_of
from soundgate.audio.networks.encoders.module import ModuleEncoder
from soundgate.audio.networks.encoders.onnx_program import RATE
from soundgate.errors import ConfigError, DataError

if TYPE_CHECKING:
    from pathlib import Path

    from soundgate.audio.classification.heads.head import Head

SCORES = "scores"
TOLERANCE = 1e-3
"""How far scores of a program may lie from torch's."""
_BATCHES = (1, 3)


class HeadOnEncoder(nn.Module):
    """Waveforms float32 (clip, sample) of one segment each to probabilities (clip, class)."""

    def __init__(self, encoder: ModuleEncoder, head: Head, samples: int) -> None:
        """Take the encoder's module and the head's layers."""
        super().__init__()
        self.encoder = encoder.module
        self._missing = (encoder.window_samples or samples) - samples
        self.layers = nn.ModuleList()
        for weight, bias in layers_of(head.weights):
            layer = nn.Linear(weight.shape[1], weight.shape[0])
            layer.load_state_dict({"weight": torch.tensor(weight), "bias": torch.tensor(bias)})
            self.layers.append(layer)

    def forward(self, waveforms: Tensor) -> Tensor:
        """See the class."""
        if self._missing:
            waveforms = functional.pad(waveforms, (0, self._missing))
        found: Tensor = self.encoder(waveforms)
        for number, layer in enumerate(self.layers):
            found = layer(functional.relu(found) if number else found)
        return found.softmax(1)


@dataclass(frozen=True)
class ExportedHead:
    """What was written."""

    size_bytes: int
    samples: int
    """Of a waveform."""
    sample_rate_hz: int
    largest_difference: float
    """Between its scores and torch's, of noise."""


def write_head(model: Path, weights: Path | None, file: Path) -> ExportedHead:
    """Write a head and its encoder as one program.

    Args:
        model: folder of the head.
        weights: of its encoder.
        file: the program to write; whole or not at all.

    Raises:
        ConfigError: the head is trees, its encoder no network of torch, or a segment has several
            windows.
        DataError: the weights are others, or the program does not compute what torch does.
    """
    head = read_head(model)
    used = head.about.encoder
    encoder = encoder_of(settings_of(used, weights), used.digest)
    if BOOSTER in head.weights or not isinstance(encoder, ModuleEncoder):
        what = "trees" if BOOSTER in head.weights else f"{used.name}, which is no network of torch"
        raise ConfigError(f"{model}: cannot be exported: it is of {what}")
    samples = round(head.about.segment_s * encoder.sample_rate_hz)
    window = encoder.window_samples or round((used.window_s or 0) * encoder.sample_rate_hz)
    if (window and samples > window) or (samples != (window or samples) and used.fill != "zeros"):
        raise ConfigError(
            f"{model}: cannot be exported: a segment of {head.about.segment_s:g} s is not one "
            f"window of {used.name} filled up with zeros"
        )
    program = HeadOnEncoder(encoder, head, samples).eval()
    graph = graph_of(program, samples, used.name, SCORES)
    del graph.metadata_props[:]
    graph.producer_name, graph.doc_string = "soundgate", ""
    facts = {RATE: str(encoder.sample_rate_hz), "classes": "\n".join(head.about.classes)}
    onnx.helper.set_model_props(graph, facts | {"encoder_digest": used.digest})
    content = graph.SerializeToString(deterministic=True)
    largest = _difference(content, encoder, head, samples)
    if largest > TOLERANCE:
        raise DataError(f"{model}: the program's scores differ from torch's by {largest:.2g}")
    write_program(file, content)
    return ExportedHead(len(content), samples, encoder.sample_rate_hz, largest)


def _difference(content: bytes, encoder: ModuleEncoder, head: Head, samples: int) -> float:
    """Largest difference from the scores of prediction."""
    opened, random, largest = session(content, threads=1), np.random.default_rng(0), 0.0
    size = encoder.window_samples or samples
    for clips in _BATCHES:
        noise = random.normal(scale=0.1, size=(clips, samples)).astype(np.float32)
        filled = np.pad(noise, ((0, 0), (0, size - samples)))
        wanted = head.scores(encoder.scenes(torch.from_numpy(filled)).numpy())
        found = opened.run(None, {INPUT: noise})[0]
        largest = max(largest, float(np.abs(found - wanted).max()))
    return largest
