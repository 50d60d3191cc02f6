"""Write and describe the ``exported/`` folder.

    model.pt2           torch.export program: waveform to scores; torch.export.load reads it
    model.onnx          the same as ONNX graph
    model_int8.onnx     the same with the network in 8 bits; the front end stays float
    network.onnx        the network alone: standardised log-mel patches, or images, to scores
    network_int8.onnx   the same in 8 bits: for devices that compute their own features
    labels.txt          a class a line, in the order of the scores
    export.json         inputs, outputs, settings, standardisation, quantisation, checks, digests

Waveforms are mono at ``sample_rate_hz``. All programs are checked before any file is written. The
same model gives the same bytes on one machine.

``export.json``:

    format, classes, multi_label, threshold (null where the best score decides), sample_rate_hz
    model             architecture, sha256 of model.json followed by weights.safetensors, training
    preprocessing, feature_extraction, normalization (a classifier's), front_end, chunks and
                      thresholds (a tagger's): what the front end does; what a device has to do
    samples           at_least: shorter clips are repeated up to it; at_most: the rest is cut off
    files             of each: bytes, sha256, inputs and outputs (name, type, shape)
    quantization      settings; calibration (source, clips, patches); scale and zero_point of
                      whole-number inputs and outputs: value = (whole - zero_point) * scale
    checks            tolerance, shapes compared, largest_difference of scores by file; int8: how
                      far the int8 program is from torch on clips of the data set
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

from soundgate.audio.export import checks, graphs, opsets, program, quantisation
from soundgate.audio.export.quiet import quiet
from soundgate.audio.export.runtime import session
from soundgate.audio.formats.exported import (
    FORMAT,
    GRAPH,
    GRAPH_INT8,
    INFO,
    LABELS,
    NETWORK,
    NETWORK_INT8,
    PROGRAM,
    CalibrationClips,
    Checks,
    Export,
    ProgramFile,
    Tensor,
    write_export,
)
from soundgate.audio.formats.exported import Quantization as Quantized

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt
    from onnx import ValueInfoProto
    from torch.export import ExportedProgram

    from soundgate.audio.config.sections.general import Quantization
    from soundgate.audio.export.calibration import Calibration, Feed

    Array = npt.NDArray[Any]

_LIBRARIES = ("torch", "onnx", "onnxscript", "onnxruntime")
_TYPES: dict[int, str] = {
    TensorProto.FLOAT: "float32",
    TensorProto.INT64: "int64",
    TensorProto.INT8: "int8",
    TensorProto.UINT8: "uint8",
}


@dataclass(frozen=True, kw_only=True)
class Source:
    """A model as it is exported; each system makes its own."""

    about: Export
    """What ``export.json`` says of the model, and of how a device feeds it and reads its answer."""
    traced: ExportedProgram
    taken: tuple[int | str, ...]
    """Shape of what its network takes of a patch; a name is an axis of any length."""
    feed: Feed
    calibration: Calibration
    cases: Sequence[checks.Case]
    """Waveforms, and what evaluation makes of them."""
    thresholds: Array | None = None
    """The score (class,) from which on each class is given, where clips are decided by such."""

    @property
    def facts(self) -> dict[str, str]:
        """What stands in the metadata of every file."""
        return {
            "format": FORMAT,
            "labels": json.dumps(self.about.classes, ensure_ascii=False),
            "model_sha256": self.about.model.sha256,
            "multi_label": json.dumps(self.about.multi_label),
            "sample_rate_hz": str(self.about.sample_rate_hz),
        }


def export(source: Source, settings: Quantization, exported: Path) -> Export:
    """Write the programs of a model.

    Args:
        source: the model.
        settings: of the int8 network.
        exported: folder to write.

    Returns:
        What ``export.json`` holds.

    Raises:
        ConfigError: ``settings`` ask for what cannot be done.
        DataError: the model cannot be exported, or a program does not compute what torch does.
    """
    opsets.check(settings.target_opset)
    made = _make(source, settings)
    held = source.calibration
    about = source.about.with_programs(
        files={name: made.about(name) for name in made.content},
        quantization=Quantized(
            calibration=CalibrationClips(
                source=held.source, clips=tuple(held.clips), patches=held.patches
            ),
            **settings.model_dump(mode="json"),
            **made.scales(),
        ),
        checks=_check(made, source),
        versions={"opset": settings.target_opset} | {name: version(name) for name in _LIBRARIES},
    )
    _write(exported, made.content, about)
    return about


@dataclass(frozen=True)
class _Made:
    """All programs, in memory."""

    graphs: dict[str, ModelProto]
    content: dict[str, bytes]
    """What each file holds."""

    def about(self, name: str) -> ProgramFile:
        """Size, digest, inputs and outputs of a file."""
        held = self.content[name]
        # The torch program has the inputs and outputs of the graph made of it.
        graph = self.graphs.get(name, self.graphs[GRAPH]).graph
        return ProgramFile(
            bytes=len(held),
            sha256=hashlib.sha256(held).hexdigest(),
            inputs=tuple(map(_value, graph.input)),
            outputs=tuple(map(_value, graph.output)),
        )

    def scales(self) -> dict[str, dict[str, float]]:
        """Scale and zero point of the whole-number ends of the int8 network."""
        return {
            name: {"scale": float(scale), "zero_point": int(zero_point)}
            for name, scale, zero_point in graphs.ends(self.graphs[NETWORK_INT8])
        }


def _make(source: Source, settings: Quantization) -> _Made:
    classes = len(source.about.classes)
    whole, cut = graphs.program_graph(source.traced, classes, settings.target_opset)
    network = graphs.network_graph(whole, cut, source.taken, classes)
    small = quantisation.quantise(network, source.calibration.batches(source.feed), settings)
    made = {
        GRAPH: whole,
        GRAPH_INT8: graphs.with_network(whole, cut, small),
        NETWORK: network,
        NETWORK_INT8: small,
    }
    content = {PROGRAM: _torch_file(source.traced, source.facts)}
    for name, graph in made.items():
        graphs.note(graph, source.facts)
        content[name] = graph.SerializeToString(deterministic=True)
    return _Made(made, content)


def _torch_file(traced: ExportedProgram, facts: Mapping[str, str]) -> bytes:
    # The example would be stored as a pickle.
    traced._example_inputs = None  # noqa: SLF001
    with tempfile.TemporaryDirectory(prefix="soundgate-") as folder, quiet():
        path = Path(folder) / PROGRAM
        torch.export.save(traced, path, extra_files={INFO: json.dumps(facts, ensure_ascii=False)})
        return path.read_bytes()


def _check(made: _Made, source: Source) -> Checks:
    """Compare every program with torch.

    Raises:
        DataError: one of them differs.
    """
    held = source.cases
    with quiet():
        loaded = torch.export.load(io.BytesIO(made.content[PROGRAM])).module()

    def in_torch(waveform: Array) -> list[Array]:
        with torch.inference_mode():
            return [value.numpy() for value in loaded(torch.from_numpy(waveform))]

    checks.same_network(made.graphs[GRAPH_INT8], made.content[NETWORK_INT8], held)
    small = None
    if source.thresholds is not None:
        run = _runner(made.content[GRAPH_INT8])
        small = checks.int8_difference(run, held, source.thresholds)
    return Checks(
        tolerance=checks.TOLERANCE,
        shapes=tuple(case.waveform.shape for case in held),
        largest_difference={
            PROGRAM: checks.compare(PROGRAM, in_torch, held),
            GRAPH: checks.compare(GRAPH, _runner(made.content[GRAPH]), held),
        },
        int8=small,
    )


def _runner(graph: bytes) -> Callable[[Array], Sequence[Array]]:
    opened = session(graph)
    return lambda waveform: list(opened.run(None, {program.INPUT: waveform}))


def _value(value: ValueInfoProto) -> Tensor:
    tensor = value.type.tensor_type
    shape = tuple(dim.dim_param or dim.dim_value for dim in tensor.shape.dim)
    return Tensor(name=value.name, type=_TYPES[tensor.elem_type], shape=shape)


def _write(exported: Path, content: Mapping[str, bytes], about: Export) -> None:
    """Write the files, ``export.json`` last."""
    exported.mkdir(parents=True, exist_ok=True)
    for name, held in content.items():
        (exported / name).write_bytes(held)
    labels = "".join(f"{label}\n" for label in about.classes)
    (exported / LABELS).write_text(labels, encoding="utf-8", newline="\n")
    write_export(exported, about)
