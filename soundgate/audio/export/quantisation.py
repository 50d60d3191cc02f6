"""Post-training quantisation of the network to 8 bits, with ONNX Runtime.

Scales are those of Jacob et al. 2018 (arXiv:1712.05877): of activations the range that calibration
patches span, of weights a symmetric range for each output channel or for the whole tensor. The
graph keeps operators between pairs of QuantizeLinear and DequantizeLinear, which runtimes turn into
integer kernels. The last step to scores (softmax, sigmoid) stays float, as does the front end.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from onnxruntime import quantization
from onnxruntime.quantization.shape_inference import quant_pre_process

from soundgate.audio.export import graphs
from soundgate.audio.export.quiet import quiet
from soundgate.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from soundgate.audio.config.sections.general import Quantization

_ACTIVATIONS = ("Softmax", "Sigmoid")
_KINDS = {"int8": TensorProto.INT8, "uint8": TensorProto.UINT8}


def quantise(
    network: ModelProto, patches: Iterator[npt.NDArray[np.float32]], settings: Quantization
) -> ModelProto:
    """The network with 8-bit weights and activations.

    Args:
        network: patches float32 (batch, 1, mel, frame) to scores (batch, class).
        patches: calibration batches of the same shape.
        settings: granularity, number formats of input and output.

    Returns:
        A graph whose input and output are named as those of ``network``; where they are whole
        numbers, ``<name>.scale`` and ``<name>.zero_point`` stand in its metadata.
    """
    kind = {
        "uint8": quantization.QuantType.QUInt8,
    }.get(settings.quantization_input_type, quantization.QuantType.QInt8)
    with tempfile.TemporaryDirectory(prefix="soundgate-") as name, quiet():
        given, prepared, quantised = (Path(name) / f"{step}.onnx" for step in range(3))
        # From memory it would put the constants into a file that its own optimiser cannot read.
        onnx.save(network, given)
        quant_pre_process(
            given,
            prepared,
            skip_optimization=not settings.optimize,
            skip_symbolic_shape=True,
        )
        model = onnx.load(prepared)
        quantization.quantize_static(
            model,
            quantised,
            _Reader(patches),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=settings.granularity == "per_channel",
            activation_type=kind,
            weight_type=quantization.QuantType.QInt8,
            nodes_to_exclude=[node.name for node in model.graph.node if _is_last(node)],
        )
        result = onnx.load(quantised)
    del result.metadata_props[:]
    if settings.quantization_input_type != "float":
        _whole_input(result)
    if settings.quantization_output_type != "float":
        _whole_output(result, _KINDS[settings.quantization_output_type])
    del result.graph.value_info[:]
    return result


class _Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
    """Calibration batches as the library asks for them."""

    def __init__(self, batches: Iterator[npt.NDArray[np.float32]]) -> None:
        self._batches = batches

    def get_next(self) -> dict[str, Any] | None:
        batch = next(self._batches, None)
        return None if batch is None else {graphs.PATCHES: batch}


def _is_last(node: NodeProto) -> bool:
    return node.op_type in _ACTIVATIONS and graphs.SCORES in node.output


def _whole_input(model: ModelProto) -> None:
    """Let the graph begin with quantised patches: the caller takes the first step.

    Raises:
        ConfigError: the network uses its input in more than one way.
    """
    graph = model.graph
    # How many patches there are does not depend on their numbers.
    readers = [n for n in graph.node if graphs.PATCHES in n.input and n.op_type != "Shape"]
    if [node.op_type for node in readers] != ["QuantizeLinear"]:
        raise ConfigError(
            "quantization.quantization_input_type: this network does not quantise its input; "
            "set it to float"
        )
    first = readers[0]
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    scale, zero_point = (constants[name] for name in first.input[1:3])
    graph.node.remove(first)
    for node in graph.node:
        node.input[:] = [graphs.PATCHES if n == first.output[0] else n for n in node.input]
    graph.input[0].type.tensor_type.elem_type = helper.np_dtype_to_tensor_dtype(zero_point.dtype)
    graphs.note_scale(model, graphs.PATCHES, float(scale), int(zero_point))


def _whole_output(model: ModelProto, kind: int) -> None:
    """Let the graph end with quantised scores: 256 steps from 0 to 1, as TFLite has them."""
    zero_point = -128 if kind == TensorProto.INT8 else 0
    scale = np.float32(1 / 256)
    graph = model.graph
    for node in graph.node:
        node.output[:] = ["scores_float" if n == graphs.SCORES else n for n in node.output]
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    graph.initializer.append(numpy_helper.from_array(np.array(scale), "scores_scale"))
    point = np.array(zero_point, dtype)
    graph.initializer.append(numpy_helper.from_array(point, "scores_zero_point"))
    graph.node.append(
        helper.make_node(
            "QuantizeLinear",
            ["scores_float", "scores_scale", "scores_zero_point"],
            [graphs.SCORES],
            name="quantise_scores",
        )
    )
    graph.output[0].type.tensor_type.elem_type = kind
    graphs.note_scale(model, graphs.SCORES, float(scale), zero_point)
