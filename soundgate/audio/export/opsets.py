"""Which operator sets a graph can be written in, and how it gets into an older one.

Torch writes version 18 and later. Between 18 and 15 only a few operators changed more than the
number formats they take; those are rewritten, and the checker that comes
with ONNX has the last word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
from onnx import numpy_helper

from soundgate.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnx import ModelProto, NodeProto, TensorProto

OLDEST_EXPORTED = 18
OLDEST = 15
LATEST = 20
# Of these the axes became an input with version 18.
_REDUCTIONS = frozenset({"ReduceMax", "ReduceMin", "ReduceMean", "ReduceProd", "ReduceL2"})
# The format of the file, as old as version 17.
_IR_VERSION = 8


def check(opset: int) -> None:
    """Refuse a version that cannot be written.

    Raises:
        ConfigError: it is older than 15 or younger than 20.
    """
    if not OLDEST <= opset <= LATEST:
        raise ConfigError(
            f"quantization.target_opset: {opset} is not supported; give {OLDEST} to {LATEST}"
        )


def to_opset(model: ModelProto, opset: int) -> ModelProto:
    """``model`` in an operator set that may be older than its own.

    Raises:
        ConfigError: the model needs an operator that this version lacks.
    """
    check(opset)
    if opset < OLDEST_EXPORTED:
        constants = {tensor.name: tensor for tensor in model.graph.initializer}
        for node in model.graph.node:
            _lower(node, constants, opset)
        for entry in model.opset_import:
            if not entry.domain:
                entry.version = opset
        model.ir_version = _IR_VERSION
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        reason = " ".join(str(error).split())[:160]
        raise ConfigError(
            f"quantization.target_opset: the model cannot be written with {opset}; give "
            f"{OLDEST_EXPORTED}: {reason}"
        ) from error
    return model


def _lower(node: NodeProto, constants: Mapping[str, TensorProto], opset: int) -> None:
    """Rewrite one node in place."""
    if node.op_type in _REDUCTIONS and len(node.input) > 1 and node.input[1] in constants:
        axes = numpy_helper.to_array(constants[node.input[1]]).tolist()
        del node.input[1:]
        _drop(node, "noop_with_empty_axes")
        node.attribute.append(onnx.helper.make_attribute("axes", axes))
    elif node.op_type == "Split" and len(node.input) == 1:
        # Equal parts, as many as there are outputs.
        _drop(node, "num_outputs")
    elif node.op_type == "ScatterElements" and opset < 16:
        _drop(node, "reduction")


def _drop(node: NodeProto, name: str) -> None:
    kept = [attribute for attribute in node.attribute if attribute.name != name]
    del node.attribute[:]
    node.attribute.extend(kept)
