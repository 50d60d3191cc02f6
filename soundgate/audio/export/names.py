"""What stands where in an ``exported/`` folder; see ``folder``."""

from __future__ import annotations

FORMAT = "soundgate.export/1"
PROGRAM, GRAPH, GRAPH_INT8 = "model.pt2", "model.onnx", "model_int8.onnx"
NETWORK, NETWORK_INT8 = "network.onnx", "network_int8.onnx"
LABELS, INFO = "labels.txt", "export.json"
