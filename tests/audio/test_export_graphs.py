from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx_texts import graph

from soundgate.audio.export import checks, opsets
from soundgate.audio.export.slices import slice_ranges
from soundgate.errors import ConfigError, DataError

pytestmark = pytest.mark.slow


def test_graphs_are_rewritten_for_older_opsets():
    newer = graph("""<ir_version: 9, opset_import: ["": 18]>
        g (float[n, 3, 4] x) => (float[n, 3] y, float[n, 1, 4] z)
        <int64[1] last = {2}, int64[1] middle = {1}> {
            y = ReduceMax <keepdims = 0> (x, last)
            z = ReduceMean (x, middle)
        }""")
    older = opsets.to_opset(onnx.ModelProto.FromString(newer.SerializeToString()), 15)
    assert older.opset_import[0].version == 15
    assert [len(node.input) for node in older.graph.node] == [1, 1]
    x = np.random.default_rng(0).normal(size=(5, 3, 4)).astype(np.float32)
    y, z = onnxruntime.InferenceSession(older.SerializeToString()).run(None, {"x": x})
    np.testing.assert_allclose(y, x.max(2), atol=1e-6)
    np.testing.assert_allclose(z, x.mean(1, keepdims=True), atol=1e-6)
    gelu = graph("""<ir_version: 9, opset_import: ["": 20]>
        g (float[n] x) => (float[n] y) { y = Gelu (x) }""")
    with pytest.raises(ConfigError, match=r"target_opset: the model cannot be written with 17"):
        opsets.to_opset(gelu, 17)


def test_picking_neighbours_one_by_one_becomes_a_slice():
    model = graph("""<ir_version: 8, opset_import: ["": 17]>
        g (float[2, n] x, int64 begin, int64 end) => (float[2, m] y, float[2, m] z)
        <int64 one = {1}, int64 two = {2}, int64[1] all = {-1}> {
            near = Range (begin, end, one)
            near_flat = Reshape (near, all)
            y = Gather <axis = 1> (x, near_flat)
            far = Range (begin, end, two)
            z = Gather <axis = 1> (x, far)
        }""")
    x = np.arange(20, dtype=np.float32).reshape(2, 10)
    feeds = {"x": x, "begin": np.array(3), "end": np.array(8)}
    slice_ranges(model)
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node].count("Gather") == 1
    assert {"Slice", "Range"} <= {node.op_type for node in model.graph.node}
    used = {name for node in model.graph.node for name in node.input}
    assert {tensor.name for tensor in model.graph.initializer} <= used
    y, z = onnxruntime.InferenceSession(model.SerializeToString()).run(None, feeds)
    np.testing.assert_array_equal(y, x[:, 3:8])
    np.testing.assert_array_equal(z, x[:, 3:8:2])


def _case(patches):
    return checks.Case(np.zeros((1, 8), np.float32), [np.full((patches, 2), 0.5, np.float32)])


@pytest.mark.parametrize(
    ("scores", "patch_scores", "count", "message"),
    [
        ([0.5, 0.5002], [[0.5, 0.5], [0.5, 0.5]], 2, "scores differ from torch's by 0.0002"),
        ([0.5, 0.5], [[0.5, 0.5], [0.5, 0.4]], 2, "scores differ from torch's by 0.1"),
        ([0.5, 0.5], [[0.5, 0.5], [0.5, 0.5], [0, 0.3]], 2, "differ from torch's by 0.3"),
        ([np.nan, 0.5], [[0.5, 0.5], [0.5, 0.5]], 2, "scores differ from torch's by nan"),
        ([0.5, 0.5], [[0.5, 0.5]], 1, r"clips of 8 samples have \[1\] patches instead of \[2\]"),
    ],
)
def test_a_program_that_computes_something_else_is_refused(scores, patch_scores, count, message):
    answer = [np.array(value)[None] for value in (scores, patch_scores, count)]
    with pytest.raises(DataError, match=f"^model.onnx: .*{message}"):
        checks.compare("model.onnx", lambda _: answer, [_case(2)])
    right = [np.full((1, 2), 0.5), np.full((1, 2, 2), 0.5), np.array([2])]
    assert checks.compare("model.onnx", lambda _: right, [_case(2)]) == 0.0
