"""What stands where in an ``exported/`` folder; see ``folder``."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from soundgate.audio import model_folder

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = "soundgate.export/1"
PROGRAM, GRAPH, GRAPH_INT8 = "model.pt2", "model.onnx", "model_int8.onnx"
NETWORK, NETWORK_INT8 = "network.onnx", "network_int8.onnx"
LABELS, INFO = "labels.txt", "export.json"


def model_digest(model: Path) -> str:
    """SHA-256 of ``model.json`` followed by ``weights.safetensors``: which model a file is of."""
    digest = hashlib.sha256()
    for name in (model_folder.DESCRIPTION, model_folder.WEIGHTS):
        digest.update((model / name).read_bytes())
    return digest.hexdigest()
