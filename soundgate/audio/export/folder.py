"""Write and describe the ``exported/`` folder.

    model.pt2           torch.export program: waveform to scores; torch.export.load reads it
    model.onnx          the same as ONNX graph
    model_int8.onnx     the same with the network in 8 bits; the front end stays float
    network.onnx        the network alone: standardised log-mel patches to scores
    network_int8.onnx   the same in 8 bits: for devices that compute their own features
    labels.txt          a class a line, in the order of the scores
    export.json         inputs, outputs, settings, standardisation, quantisation, checks, digests

Waveforms are mono at ``sample_rate_hz``. All programs are checked before any file is written. The
same model gives the same bytes on one machine.

``export.json``:

    format, classes, multi_label, threshold (null where the best score decides), sample_rate_hz
    model             architecture, sha256 of model.json followed by weights.safetensors, training
    preprocessing, feature_extraction   what the front end does; what a device has to do
    samples           at_least: shorter clips are repeated up to it; at_most: the rest is cut off
    normalization     mean and standard_deviation of each mel band
    files             of each: bytes, sha256, inputs and outputs (name, type, shape)
    quantization      settings; calibration (source, clips, patches); scale and zero_point of
                      whole-number inputs and outputs: value = (whole - zero_point) * scale
    checks            tolerance, shapes compared, largest_difference of scores by file
    versions          of the libraries, and the ONNX operator set
"""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from onnx import ModelProto, TensorProto

from soundgate.audio.classification import inference
from soundgate.audio.export import calibration, checks, graphs, opsets, program, quantisation
from soundgate.audio.export.front_end import least_samples, most_samples
from soundgate.audio.export.names import (
    FORMAT,
    GRAPH,
    GRAPH_INT8,
    INFO,
    LABELS,
    NETWORK,
    NETWORK_INT8,
    PROGRAM,
)
from soundgate.audio.export.quiet import quiet
from soundgate.audio.export.runtime import session
from soundgate.audio.formats.feature_set import read_features
from soundgate.audio.formats.model import check_same_features
from soundgate.audio.formats.model import digest as model_digest
from soundgate.audio.metrics.classification import THRESHOLD
from soundgate.audio.networks import models

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt
    from onnx import ValueInfoProto
    from torch.export import ExportedProgram

    from soundgate.audio.classification.inference import Classifier
    from soundgate.audio.config import UserConfig
    from soundgate.audio.formats.model import Description

    Array = npt.NDArray[Any]

_LIBRARIES = ("torch", "onnx", "onnxscript", "onnxruntime")
_TYPES: dict[int, str] = {
    TensorProto.FLOAT: "float32",
    TensorProto.INT64: "int64",
    TensorProto.INT8: "int8",
    TensorProto.UINT8: "uint8",
}


def export(
    features: Path,
    model: Path,
    exported: Path,
    config: UserConfig,
    *,
    calibration_clips: Path | None = None,
) -> dict[str, Any]:
    """Write the programs of a model.

    Args:
        features: the features that the model was trained with; calibration takes of them.
        model: folder that training wrote.
        exported: folder to write.
        config: ``quantization``, ``dataset.quantization_*`` and ``dataset.seed`` are used.
        calibration_clips: folder of audio to calibrate with instead of training clips; goes before
            ``dataset.quantization_audio_path``.

    Returns:
        What ``export.json`` holds.

    Raises:
        ConfigError: ``quantization`` asks for what cannot be done.
        DataError: the model cannot be exported, or a program does not compute what torch does.
    """
    opsets.check(config.quantization.target_opset)
    description, network = inference.read_network(model)
    clips = read_features(features)
    check_same_features(clips, description, model)
    classifier = inference.load(model, torch.device("cpu"))
    source = calibration_clips or config.dataset.quantization_audio_path
    if source:
        held = calibration.of_folder(Path(source), description)
    else:
        share, seed = config.dataset.quantization_split, config.dataset.seed
        held = calibration.of_training(clips, model, share, seed)
    facts = _facts(description, model)
    network.requires_grad_(requires_grad=False)
    network = models.place(network, torch.device("cpu"))
    whole = program.Program(description, network)
    traced = program.trace(whole, description.architecture)
    made = _make(traced, description, config, facts, held.batches(classifier))
    info = {
        **_about(description, facts),
        "files": {name: made.about(name) for name in made.content},
        "quantization": {
            **config.quantization.model_dump(mode="json"),
            "calibration": {
                "source": held.source,
                "clips": list(held.clips),
                "patches": held.patches,
            },
            **made.scales(),
        },
        "checks": _check(made, description, classifier),
        "versions": {"opset": config.quantization.target_opset}
        | {name: version(name) for name in _LIBRARIES},
    }
    _write(exported, made.content, info)
    return info


@dataclass(frozen=True)
class _Made:
    """All programs, in memory."""

    graphs: dict[str, ModelProto]
    content: dict[str, bytes]
    """What each file holds."""

    def about(self, name: str) -> dict[str, Any]:
        """Size, digest, inputs and outputs of a file."""
        held = self.content[name]
        # The torch program has the inputs and outputs of the graph made of it.
        graph = self.graphs.get(name, self.graphs[GRAPH]).graph
        return {
            "bytes": len(held),
            "sha256": hashlib.sha256(held).hexdigest(),
            "inputs": [_value(value) for value in graph.input],
            "outputs": [_value(value) for value in graph.output],
        }

    def scales(self) -> dict[str, Any]:
        """Scale and zero point of the whole-number ends of the int8 network."""
        return {
            name: {"scale": float(scale), "zero_point": int(zero_point)}
            for name, scale, zero_point in graphs.ends(self.graphs[NETWORK_INT8])
        }


def _make(
    traced: ExportedProgram,
    description: Description,
    config: UserConfig,
    facts: Mapping[str, str],
    patches: Iterator[Array],
) -> _Made:
    whole, cut = graphs.program_graph(
        traced, len(description.classes), config.quantization.target_opset
    )
    network = graphs.network_graph(whole, cut, description)
    small = quantisation.quantise(network, patches, config.quantization)
    made = {
        GRAPH: whole,
        GRAPH_INT8: graphs.with_network(whole, cut, small),
        NETWORK: network,
        NETWORK_INT8: small,
    }
    content = {PROGRAM: _torch_file(traced, facts)}
    for name, graph in made.items():
        graphs.note(graph, facts)
        content[name] = graph.SerializeToString(deterministic=True)
    return _Made(made, content)


def _torch_file(traced: ExportedProgram, facts: Mapping[str, str]) -> bytes:
    # The example would be stored as a pickle.
    traced._example_inputs = None  # noqa: SLF001
    with tempfile.TemporaryDirectory(prefix="soundgate-") as folder, quiet():
        path = Path(folder) / PROGRAM
        torch.export.save(traced, path, extra_files={INFO: json.dumps(facts, ensure_ascii=False)})
        return path.read_bytes()


def _check(made: _Made, description: Description, classifier: Classifier) -> dict[str, Any]:
    """Compare every program with torch.

    Raises:
        DataError: one of them differs.
    """
    held = checks.cases(description, classifier)
    with quiet():
        loaded = torch.export.load(io.BytesIO(made.content[PROGRAM])).module()
    graph = session(made.content[GRAPH])

    def in_torch(waveform: Array) -> list[Array]:
        with torch.inference_mode():
            return [value.numpy() for value in loaded(torch.from_numpy(waveform))]

    def in_onnx(waveform: Array) -> list[Array]:
        return list(graph.run(None, {program.INPUT: waveform}))

    checks.same_network(made.graphs[GRAPH_INT8], made.content[NETWORK_INT8], held)
    return {
        "tolerance": checks.TOLERANCE,
        "shapes": [list(case.waveform.shape) for case in held],
        "largest_difference": {
            PROGRAM: checks.compare(PROGRAM, in_torch, held),
            GRAPH: checks.compare(GRAPH, in_onnx, held),
        },
    }


def _about(description: Description, facts: Mapping[str, str]) -> dict[str, Any]:
    """What a device has to know to feed a program and to read its answer."""
    held = description.as_json()
    preprocessing, spec = description.preprocessing, description.feature_extraction
    return {
        "format": FORMAT,
        "model": {
            "architecture": description.architecture,
            "sha256": facts["model_sha256"],
            **description.training,
        },
        "classes": list(description.classes),
        "multi_label": description.multi_label,
        "threshold": THRESHOLD if description.multi_label else None,
        "sample_rate_hz": preprocessing.target_rate,
        "samples": {
            "at_least": least_samples(preprocessing, spec),
            "at_most": most_samples(preprocessing),
        },
        **{key: held[key] for key in ("preprocessing", "feature_extraction", "normalization")},
    }


def _facts(description: Description, model: Path) -> dict[str, str]:
    """What stands in the metadata of every file."""
    return {
        "format": FORMAT,
        "labels": json.dumps(description.classes, ensure_ascii=False),
        "model_sha256": model_digest(model),
        "multi_label": json.dumps(description.multi_label),
        "sample_rate_hz": str(description.preprocessing.target_rate),
    }


def _value(value: ValueInfoProto) -> dict[str, Any]:
    tensor = value.type.tensor_type
    shape = [dim.dim_param or dim.dim_value for dim in tensor.shape.dim]
    return {"name": value.name, "type": _TYPES[tensor.elem_type], "shape": shape}


def _write(exported: Path, content: Mapping[str, bytes], info: Mapping[str, Any]) -> None:
    """Write the files, ``export.json`` last."""
    exported.mkdir(parents=True, exist_ok=True)
    for name, held in content.items():
        (exported / name).write_bytes(held)
    labels = "".join(f"{label}\n" for label in info["classes"])
    (exported / LABELS).write_text(labels, encoding="utf-8", newline="\n")
    text = json.dumps(info, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    (exported / INFO).write_text(text, encoding="utf-8", newline="\n")
