"""ONNX graphs: from a traced program, and the network cut out of one and put back into it."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import numpy as np
import onnx
import torch
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from soundgate.audio.export.opsets import OLDEST_EXPORTED, to_opset
from soundgate.audio.export.program import INPUT, NETWORK, OUTPUTS
from soundgate.audio.export.quiet import quiet
from soundgate.audio.export.slices import slice_ranges

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from torch.export import ExportedProgram

PATCHES = "patches"
SCORES = "scores"
"""Input and output of the network on its own."""

INSIDE, OUTSIDE = "int8/in", "int8/out"
"""What enters and leaves the int8 network within its program."""

EMPTY = "waveform holds no sample: give at least one"
"""Name of the node that fails on an empty waveform; runtimes repeat it in their error."""

_PRODUCER = "soundgate"
_SCOPES = "pkg.torch.onnx.name_scopes"


def program_graph(traced: ExportedProgram, classes: int, opset: int) -> tuple[ModelProto, Cut]:
    """The graph of a traced program, and where the network stands in it.

    Args:
        traced: what ``program.trace`` returned.
        classes: how many there are.
        opset: version of the operator set.

    Raises:
        ConfigError: the model needs an operator that this version lacks.
    """
    with quiet():
        exported = torch.onnx.export(
            traced,
            dynamo=True,
            opset_version=max(opset, OLDEST_EXPORTED),
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            verbose=False,
        )
    assert exported is not None
    model = exported.model_proto
    cut = Cut.of(model)
    _forget_origin(model)
    slice_ranges(model)
    _refuse_empty(model)
    _shape(model.graph.input[0], TensorProto.FLOAT, ("batch", "sample"))
    for value, kind, dims in zip(
        model.graph.output,
        (TensorProto.FLOAT, TensorProto.FLOAT, TensorProto.INT64),
        (("batch", classes), ("batch", "patch", classes), ("batch",)),
        strict=True,
    ):
        _shape(value, kind, dims)
    return to_opset(model, opset), cut


def _refuse_empty(model: ModelProto) -> None:
    """Let a graph fail on waveforms without samples by a node whose name says so.

    It would divide by their number, which ends the process that runs it.
    """
    graph, first, held = model.graph, "empty/first", "empty/waveform"
    for node in graph.node:
        node.input[:] = [held if name == INPUT else name for name in node.input]
    look = helper.make_node("Gather", [INPUT, "empty/place"], [first], name=EMPTY, axis=1)
    take = helper.make_node("Where", ["empty/never", first, INPUT], [held], name=held)
    nodes = [look, take, *(NodeProto.FromString(n.SerializeToString()) for n in graph.node)]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.append(numpy_helper.from_array(np.array([0], np.int64), "empty/place"))
    graph.initializer.append(numpy_helper.from_array(np.array(False), "empty/never"))


class Cut:
    """The network's nodes in a program's graph, and the values at which it begins and ends."""

    def __init__(
        self, nodes: Sequence[str], begin: str, end: str, count: Mapping[str, int]
    ) -> None:
        """Remember the outputs of its ``nodes``, the patches and the scores.

        ``count`` names values of the program, from outside the network, that say how many patches
        there are, and how many axes each has: none or one.
        """
        self.outputs, self.begin, self.end = frozenset(nodes), begin, end
        self.count = dict(count)

    @classmethod
    def of(cls, model: ModelProto) -> Cut:
        """Find the nodes that came from the program's network."""
        constants = {tensor.name for tensor in model.graph.initializer}
        inside: dict[str, NodeProto] = {}
        for node in model.graph.node:
            scopes = {entry.key: entry.value for entry in node.metadata_props}.get(_SCOPES)
            within = NETWORK in ast.literal_eval(scopes) if scopes else False
            # A node that the exporter made by rewriting belongs where what it reads belongs.
            if within or (not scopes and any(name in inside for name in node.input)):
                inside |= dict.fromkeys(node.output, node)
        read = [name for node in inside.values() for name in node.input]
        begin = {name for name in read if name and name not in inside and name not in constants}
        rest = [node for node in model.graph.node if node.output[0] not in inside]
        end = {name for node in rest for name in node.input if name in inside}
        count = {
            value.name: len(value.type.tensor_type.shape.dim)
            for value in model.graph.value_info
            if value.name in begin and value.type.tensor_type.elem_type == TensorProto.INT64
        }
        begin -= set(count)
        assert len(begin) == len(end) == 1, "a network has one input and one output"
        return cls(tuple(inside), begin.pop(), end.pop(), count)

    def holds(self, node: NodeProto) -> bool:
        """Whether ``node`` is one of the network's."""
        return node.output[0] in self.outputs


def network_graph(
    model: ModelProto, cut: Cut, taken: Sequence[str | int], classes: int
) -> ModelProto:
    """The network alone: patches float32 (batch, ...) to scores (batch, class).

    Args:
        model: the graph of the whole program.
        cut: where the network stands in it.
        taken: the shape of a patch, (1, mel, frame) say; a name is an axis of any length.
        classes: how many there are.
    """
    names = {cut.begin: PATCHES, cut.end: SCORES}
    network = onnx.ModelProto()
    network.CopyFrom(model)
    graph = network.graph
    counting, numbers = _counting(cut)
    graph.initializer.extend(numbers)
    nodes = [*counting, *(node for node in graph.node if cut.holds(node))]
    used = {name for node in nodes for name in node.input}
    constants = [tensor for tensor in graph.initializer if tensor.name in used]
    _fill(graph, nodes, constants)
    _rename(graph.node, names)
    del graph.input[:], graph.output[:]
    dims = ("batch", *taken)
    graph.input.append(helper.make_tensor_value_info(PATCHES, TensorProto.FLOAT, dims))
    out = ("batch", classes)
    graph.output.append(helper.make_tensor_value_info(SCORES, TensorProto.FLOAT, out))
    graph.name = "network"
    return network


def _counting(cut: Cut) -> tuple[list[NodeProto], list[TensorProto]]:
    """What gives a network on its own the number of patches, which its program knows already."""
    if not cut.count:
        return [], []
    nodes = [
        helper.make_node("Shape", [cut.begin], ["patches_shape"], name="patches_shape"),
        *(
            helper.make_node("Gather", ["patches_shape", f"patches_axis_{axes}"], [name], name=name)
            for name, axes in sorted(cut.count.items())
        ),
    ]
    numbers = [np.zeros((1,) * axes, np.int64) for axes in range(2)]
    return nodes, [numpy_helper.from_array(n, f"patches_axis_{n.ndim}") for n in numbers]


def with_network(model: ModelProto, cut: Cut, network: ModelProto) -> ModelProto:
    """A copy of ``model`` with ``network`` in place of its own.

    Where the network takes or gives whole numbers, they are made of the numbers around it, and the
    reverse, with the very scales of the network.
    """
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    part = onnx.compose.add_prefix(network, "int8/")
    before = [node for node in whole.graph.node if not cut.holds(node)]
    # The network's nodes go where its first reader stands, so that values come before their use.
    at = next(k for k, node in enumerate(before) if cut.end in node.input)
    part_input, part_output = part.graph.input[0], part.graph.output[0]
    _rename(part.graph.node, {part_input.name: INSIDE, part_output.name: OUTSIDE})
    middle = [_bridge(network, PATCHES, cut.begin, INSIDE), *part.graph.node]
    middle.append(_bridge(network, SCORES, OUTSIDE, cut.end))
    nodes = [*before[:at], *middle, *before[at:]]
    used = {name for node in nodes for name in node.input}
    tensors = [*whole.graph.initializer, *part.graph.initializer, *_scales(network)]
    _fill(whole.graph, nodes, [tensor for tensor in tensors if tensor.name in used])
    del whole.opset_import[:]
    whole.opset_import.extend(network.opset_import)
    whole.ir_version = max(model.ir_version, network.ir_version)
    return whole


def showing_network(whole: ModelProto) -> ModelProto:
    """A copy of what ``with_network`` made that also gives what enters and leaves the network."""
    shown = onnx.ModelProto()
    shown.CopyFrom(whole)
    shown.graph.output.extend(onnx.ValueInfoProto(name=name) for name in (INSIDE, OUTSIDE))
    return shown


def _bridge(network: ModelProto, end: str, source: str, target: str) -> NodeProto:
    """From the numbers of the program to those of the network at its ``end``, or back."""
    value = (network.graph.input if end == PATCHES else network.graph.output)[0]
    if value.type.tensor_type.elem_type == TensorProto.FLOAT:
        return helper.make_node("Identity", [source], [target], name=f"bridge_{end}")
    kind = "QuantizeLinear" if end == PATCHES else "DequantizeLinear"
    scales = [f"{end}_scale", f"{end}_zero_point"]
    return helper.make_node(kind, [source, *scales], [target], name=f"bridge_{end}")


def _scales(network: ModelProto) -> list[TensorProto]:
    """Scale and zero point of each end of ``network`` that takes or gives whole numbers."""
    tensors = []
    for end, scale, zero_point in ends(network):
        tensors += [
            numpy_helper.from_array(scale, f"{end}_scale"),
            numpy_helper.from_array(zero_point, f"{end}_zero_point"),
        ]
    return tensors


def ends(network: ModelProto) -> Iterable[tuple[str, np.ndarray, np.ndarray]]:
    """Name, scale float32 () and zero point () of the network's ends that are whole numbers."""
    noted = {entry.key: entry.value for entry in network.metadata_props}
    for end, values in ((PATCHES, network.graph.input), (SCORES, network.graph.output)):
        kind = values[0].type.tensor_type.elem_type
        if kind != TensorProto.FLOAT:
            scale = np.array(float(noted[f"{end}.scale"]), np.float32)
            dtype = helper.tensor_dtype_to_np_dtype(kind)
            yield end, scale, np.array(int(noted[f"{end}.zero_point"]), dtype)


def note_scale(network: ModelProto, end: str, scale: float, zero_point: int) -> None:
    """Write down how ``end`` of a network stands for numbers: (whole - zero_point) * scale."""
    note(network, {f"{end}.scale": repr(scale), f"{end}.zero_point": str(zero_point)})


def note(model: ModelProto, facts: Mapping[str, str]) -> None:
    """Write ``facts`` into the file's own metadata, beside those that stand there."""
    held = {entry.key: entry.value for entry in model.metadata_props} | dict(facts)
    del model.metadata_props[:]
    helper.set_model_props(model, {key: held[key] for key in sorted(held)})
    model.producer_name, model.producer_version = _PRODUCER, ""


def _forget_origin(model: ModelProto) -> None:
    """Drop what tells of this machine, and the shapes in between, which readers infer."""
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    values = (*model.graph.initializer, *model.graph.input, *model.graph.output)
    for value in (*values, model.graph, model):
        value.doc_string = ""
        del value.metadata_props[:]
    del model.graph.value_info[:]


def _fill(
    graph: onnx.GraphProto, nodes: Iterable[NodeProto], constants: Iterable[TensorProto]
) -> None:
    kept = [NodeProto.FromString(node.SerializeToString()) for node in nodes]
    tensors = [TensorProto.FromString(tensor.SerializeToString()) for tensor in constants]
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(kept)
    graph.initializer.extend(tensors)


def _rename(nodes: Iterable[NodeProto], names: Mapping[str, str]) -> None:
    for node in nodes:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]


def _shape(value: onnx.ValueInfoProto, kind: int, dims: Sequence[str | int]) -> None:
    value.CopyFrom(helper.make_tensor_value_info(value.name, kind, dims))
