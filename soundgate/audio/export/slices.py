"""Slices where a graph picks neighbouring values one by one.

Tracing takes the length of ``x[:, begin:end]`` for unknown where it cannot prove that ``end`` is
inside, so the front end picks by index instead. Runtimes copy a slice a hundred times faster.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from onnx import ModelProto

_FLAT = "slices/flat"


def slice_ranges(model: ModelProto) -> None:
    """Replace each Gather of consecutive indices in ``model`` by the Slice that gives the same."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    spans: dict[str, NodeProto] = {}
    nodes: list[NodeProto] = []
    axes: set[int] = set()
    for node in model.graph.node:
        if _counts_up(node, constants):
            spans[node.output[0]] = node
        elif _flattens(node, constants) and node.input[0] in spans:
            spans[node.output[0]] = spans[node.input[0]]
        if node.op_type == "Gather" and node.input[1] in spans:
            axis = next((entry.i for entry in node.attribute if entry.name == "axis"), 0)
            axes.add(axis)
            nodes += _slice(node, spans[node.input[1]], axis)
        else:
            nodes.append(NodeProto.FromString(node.SerializeToString()))
    for name, value in ((_FLAT, -1), *((_axis_name(axis), axis) for axis in sorted(axes))):
        tensor = numpy_helper.from_array(np.array([value], np.int64), name)
        model.graph.initializer.append(tensor)
    del model.graph.node[:]
    model.graph.node.extend(_needed(nodes, [value.name for value in model.graph.output]))
    used = {name for node in model.graph.node for name in node.input}
    held = [tensor for tensor in model.graph.initializer if tensor.name in used]
    kept = [TensorProto.FromString(tensor.SerializeToString()) for tensor in held]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)


def _needed(nodes: Sequence[NodeProto], outputs: Iterable[str]) -> list[NodeProto]:
    """Those of ``nodes`` on which ``outputs`` depend."""
    wanted = set(outputs)
    kept = []
    for node in reversed(nodes):
        if wanted & set(node.output):
            kept.append(node)
            wanted |= set(node.input)
    return kept[::-1]


def _counts_up(node: NodeProto, constants: Mapping[str, TensorProto]) -> bool:
    """Whether ``node`` gives consecutive numbers."""
    if node.op_type != "Range" or node.input[2] not in constants:
        return False
    return bool(numpy_helper.to_array(constants[node.input[2]]).item() == 1)


def _flattens(node: NodeProto, constants: Mapping[str, TensorProto]) -> bool:
    """Whether ``node`` lays out its input along one axis, which leaves a range what it is."""
    if node.op_type != "Reshape" or node.input[1] not in constants:
        return False
    return bool(numpy_helper.to_array(constants[node.input[1]]).tolist() == [-1])


def _slice(gather: NodeProto, span: NodeProto, axis: int) -> list[NodeProto]:
    """``gather`` over the indices that ``span`` counts, as a slice."""
    name = gather.output[0]
    ends = [f"{name}/begin", f"{name}/end"]
    nodes = [
        helper.make_node("Reshape", [span.input[k], _FLAT], [ends[k]], name=ends[k])
        for k in range(2)
    ]
    inputs = [gather.input[0], *ends, _axis_name(axis)]
    return [*nodes, helper.make_node("Slice", inputs, [name], name=f"{name}/slice")]


def _axis_name(axis: int) -> str:
    return f"slices/axis{axis}"
