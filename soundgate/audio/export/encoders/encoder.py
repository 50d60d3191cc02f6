"""An encoder as one ONNX program, in 32 bits or with its matrices in 8."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import torch
from onnxruntime import quantization
from torch import nn
from torch.export import Dim
from torch.fx.experimental import _config
from torch.nn import functional

from soundgate.audio.export import opsets
from soundgate.audio.export.quiet import quiet
from soundgate.audio.export.runtime import session
from soundgate.audio.networks.encoders.catalogue import load_encoder
from soundgate.audio.networks.encoders.module import ModuleEncoder
from soundgate.audio.networks.encoders.onnx_program import RATE
from soundgate.errors import ConfigError, DataError

if TYPE_CHECKING:
    import numpy.typing as npt
    from onnx import ModelProto
    from torch import Tensor

    from soundgate.audio.networks.encoders.interface import EncoderSettings

INPUT, OUTPUT = "waveforms", "embeddings"
TOLERANCE = 1e-3
"""How far embeddings of a program in 32 bits may lie from torch's."""
_QUANTISED = ["MatMul", "Gemm"]
_BATCHES = (1, 3)


@dataclass(frozen=True)
class ExportedEncoder:
    """What was written."""

    size_bytes: int
    largest_difference: float
    """Between its embeddings and torch's, of noise."""
    least_cosine: float
    """Of an embedding and torch's, of noise."""


def write_encoder(settings: EncoderSettings, file: Path) -> ExportedEncoder:
    """Write an encoder as a program that ``encoder.name: onnx`` loads.

    Args:
        settings: the encoder; ``precision`` int8 quantises the weights of its matrix products for
            each output channel, and their inputs as they come.
        file: the program to write; whole or not at all.

    Raises:
        ConfigError: the encoder is no network of torch or has no window, or bf16 is asked for.
        DataError: it cannot be exported, or the program does not compute what torch does.
    """
    if settings.precision == "bf16":
        raise ConfigError("--precision: ONNX programs are written in fp32 or int8, not bf16")
    encoder = load_encoder(replace(settings, precision="fp32"))
    if not isinstance(encoder, ModuleEncoder):
        raise ConfigError(f"--encoder: {settings.name} is no network of torch; use it as it is")
    if encoder.window_samples is None:
        raise ConfigError(
            f"--encoder: {settings.name} takes any length; programs are written of encoders with a "
            "window"
        )
    graph = graph_of(encoder.module, encoder.window_samples, encoder.name, OUTPUT)
    if settings.precision == "int8":
        graph = _quantised(graph)
    _note(graph, encoder, settings)
    content = graph.SerializeToString(deterministic=True)
    found = _compared(content, encoder)
    if settings.precision == "fp32" and found[0] > TOLERANCE:
        raise DataError(
            f"{settings.name}: the program's embeddings differ from torch's by {found[0]:.2g}"
        )
    write_program(file, content)
    return ExportedEncoder(len(content), *found)


def graph_of(module: nn.Module, samples: int, name: str, output: str) -> ModelProto:
    """An ONNX graph of a module that takes waveforms float32 (clip, sample).

    Args:
        module: in evaluation mode.
        samples: of a waveform; any number of clips is taken.
        name: of the encoder, for an error.
        output: what its result is called.

    Raises:
        DataError: it cannot be exported.
    """
    example, shapes = torch.zeros(2, samples), {0: Dim.AUTO}
    # Otherwise a batch of one clip would be held for another program than a batch of several.
    sizes = _config.patch(backed_size_oblivious=True)  # type: ignore[attr-defined]
    try:
        with quiet(), sizes, torch.no_grad():
            traced = torch.export.export(module, (example,), dynamic_shapes=(shapes,))
            made = torch.onnx.export(
                traced,
                dynamo=True,
                verbose=False,
                opset_version=opsets.LATEST,  # the first with GELU as one operator
                input_names=[INPUT],
                output_names=[output],
            )
    except Exception as error:  # torch's exporters raise of many kinds
        reason = str(error).strip().splitlines()[0][:160]
        raise DataError(f"{name}: cannot be exported: {reason}") from error
    assert made is not None
    graph = made.model_proto
    # The exporter's notes on shapes contradict the constants that it turned round.
    del graph.graph.value_info[:]
    return graph


def _quantised(graph: ModelProto) -> ModelProto:
    with tempfile.TemporaryDirectory(prefix="soundgate-") as name, quiet():
        given, made = Path(name) / "given.onnx", Path(name) / "made.onnx"
        onnx.save(graph, given)
        quantization.quantize_dynamic(
            given,
            made,
            per_channel=True,
            weight_type=quantization.QuantType.QInt8,
            op_types_to_quantize=_QUANTISED,
        )
        return onnx.load(made)


def _note(graph: ModelProto, encoder: ModuleEncoder, settings: EncoderSettings) -> None:
    del graph.metadata_props[:]
    graph.producer_name, graph.doc_string = "soundgate", ""
    facts = {
        RATE: str(encoder.sample_rate_hz),
        "encoder": encoder.name,
        "encoder_digest": encoder.digest,
        "precision": settings.precision,
    }
    onnx.helper.set_model_props(graph, facts)


def _compared(content: bytes, encoder: ModuleEncoder) -> tuple[float, float]:
    """Largest difference of a number, and least cosine of an embedding."""
    opened, rng = session(content, threads=1), np.random.default_rng(0)
    largest, least = 0.0, 1.0
    for clips in _BATCHES:
        size = (clips, encoder.window_samples or 0)
        noise = rng.normal(scale=0.1, size=size).astype(np.float32)
        noise *= np.linspace(0, 1, noise.shape[1], dtype=np.float32)
        given: npt.NDArray[np.float32] = opened.run(None, {INPUT: noise})[0]
        wanted: Tensor = encoder.scenes(torch.from_numpy(noise))
        found = torch.from_numpy(given)
        largest = max(largest, float((found - wanted).abs().max()))
        least = min(least, float(functional.cosine_similarity(found, wanted).min()))
    return largest, least


def write_program(file: Path, content: bytes) -> None:
    """Write a program, whole or not at all.

    Raises:
        DataError: it cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=file.parent, prefix=".")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
            Path(part).replace(file)
        finally:
            Path(part).unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"{file}: cannot be written: {error.strerror}") from error
