"""Run exported networks with ONNX Runtime."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime

from soundgate.audio.formats.exported import INFO, NETWORK_INT8
from soundgate.audio.formats.model import digest as model_digest
from soundgate.errors import DataError, unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

    from soundgate.audio.classification.evaluation import Quantized
    from soundgate.audio.classification.inference import Classifier

    Array = npt.NDArray[Any]


def session(model: bytes | Path, *, threads: int = 0) -> onnxruntime.InferenceSession:
    """A session on the CPU that keeps quiet; ``threads`` of 0: as many as there are cores.

    Raises:
        DataError: the file is missing or no model that ONNX Runtime can run.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    source = model if isinstance(model, bytes) else str(model)
    try:
        return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions share no base but this
        name = "the exported model" if isinstance(model, bytes) else model
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{name}: ONNX Runtime cannot run it; export again: {reason}") from error


def int8_network(exported: Path, model: Path) -> Quantized:
    """The int8 network of an ``exported/`` folder, to be fed as its model is.

    Args:
        exported: the folder.
        model: the model that it must have been made of.

    Raises:
        DataError: a file is missing or damaged, or the folder was made of another model.
    """
    # torch takes seconds to import; a program runs without
    from soundgate.audio.classification.evaluation import Quantized
    from soundgate.audio.classification.inference import load

    held = int8_bytes(exported, model)
    return Quantized(ExportedNetwork(load(model), session(held)), len(held))


def int8_bytes(exported: Path, model: Path) -> bytes:
    """The file of the int8 network, checked; arguments and errors as of ``int8_network``."""
    path = exported / INFO
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
        made_of, digest = info["model"]["sha256"], info["files"][NETWORK_INT8]["sha256"]
        held = (exported / NETWORK_INT8).read_bytes()
    except OSError as error:
        raise unreadable(error.filename, error) from error
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f"{path}: is damaged; export the model again: {error!r}") from error
    if made_of != model_digest(model):
        raise DataError(
            f"{path}: was exported from another model than {model}; export {model} again"
        )
    if hashlib.sha256(held).hexdigest() != digest:
        raise DataError(f"{exported / NETWORK_INT8}: is damaged; export the model again")
    return held


@dataclass(frozen=True)
class ExportedNetwork:
    """A network as it was exported, fed as the classifier it was made of; see ``Classifier``."""

    classifier: Classifier
    session: onnxruntime.InferenceSession

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the scores."""
        return self.classifier.classes

    @property
    def multi_label(self) -> bool:
        """Whether each score stands on its own."""
        return self.classifier.multi_label

    def patches(self, frames: Array, *, at_most: int) -> Iterator[Array]:
        """Cut a clip (frame, mel) into patches (patch, mel, frame)."""
        return self.classifier.patches(frames, at_most=at_most)

    def scores(self, patches: Array) -> Array:
        """Scores float32 (patch, class) of patches (patch, mel, frame)."""
        return run_network(self.session, self.classifier.standardised(patches).cpu().numpy())


def run_network(opened: onnxruntime.InferenceSession, batch: Array) -> Array:
    """Scores float32 (patch, class) of what an exported network takes, float32 (patch, ...).

    Where the network takes or gives whole numbers, its own scales lead to and from them.
    """
    value, result = opened.get_inputs()[0], opened.get_outputs()[0]
    noted = opened.get_modelmeta().custom_metadata_map
    if value.type != "tensor(float)":
        scale, zero_point, dtype = _scale_of(noted, value)
        limits = np.iinfo(dtype)
        whole = np.rint(batch / scale) + zero_point
        batch = np.clip(whole, limits.min, limits.max).astype(dtype)
    scores: Array = opened.run(None, {value.name: batch})[0]
    if result.type != "tensor(float)":
        scale, zero_point, _ = _scale_of(noted, result)
        scores = (scores.astype(np.float32) - zero_point) * scale
    return scores


def _scale_of(noted: dict[str, str], end: Any) -> tuple[np.float32, int, Any]:
    dtype = {"tensor(int8)": np.int8, "tensor(uint8)": np.uint8}[end.type]
    scale, zero_point = noted[f"{end.name}.scale"], noted[f"{end.name}.zero_point"]
    return np.float32(scale), int(zero_point), dtype
