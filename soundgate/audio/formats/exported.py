"""The ``exported/`` folder: programs of a model that run without this code; ``export.json``.

    model.pt2           torch.export program: waveform to scores; torch.export.load reads it
    model.onnx          the same as ONNX graph
    model_int8.onnx     the same with the network in 8 bits; the front end stays float
    network.onnx        the network alone: standardised log-mel patches, or images, to scores
    network_int8.onnx   the same in 8 bits: for devices that compute their own features
    labels.txt          a class a line, in the order of the scores
    export.json         inputs, outputs, settings, standardisation, quantisation, checks, digests

Waveforms are mono at ``sample_rate_hz``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from pydantic import Field

from soundgate.audio.config.sections.sound import FeatureExtraction, Preprocessing
from soundgate.audio.formats.model import Normalization
from soundgate.audio.formats.models.detector import DetectorFrontEndRecord
from soundgate.audio.formats.models.tagger import Chunks, FrontEndRecord, Probability
from soundgate.audio.formats.record import OpenRecord, Record, read_record, write_record

if TYPE_CHECKING:
    from pathlib import Path

FORMAT: Final = "soundgate.export/1"
PROGRAM, GRAPH, GRAPH_INT8 = "model.pt2", "model.onnx", "model_int8.onnx"
NETWORK, NETWORK_INT8 = "network.onnx", "network_int8.onnx"
LABELS, INFO = "labels.txt", "export.json"


class Tensor(Record):
    """An input or an output; a name in ``shape`` is an axis of any length."""

    name: str
    type: str
    shape: tuple[int | str, ...]


class ProgramFile(Record):
    """A file of the folder."""

    bytes: int
    sha256: str
    inputs: tuple[Tensor, ...] = ()
    outputs: tuple[Tensor, ...] = ()


class ModelFacts(OpenRecord):
    """The model that was exported, and how it was trained."""

    architecture: str = ""
    sha256: str = ""
    """Of ``model.json`` followed by ``weights.safetensors``."""


class Samples(Record):
    """Shorter clips are repeated up to ``at_least``; what exceeds ``at_most`` is cut off."""

    at_least: int
    at_most: int | None
    """None: nothing is cut off."""


class CalibrationClips(Record):
    """The clips from which the ranges of the int8 network were learnt."""

    source: str
    clips: tuple[str, ...]
    patches: int | None = None


class Quantization(OpenRecord):
    """Settings; and of whole-number ends, value = (whole - zero_point) * scale."""

    calibration: CalibrationClips | None = None


class Int8Difference(Record):
    """How far clip scores of the int8 program are from torch's, on clips of the data set."""

    clips: int
    largest: float
    mean: float
    decisions_alike: float
    """Share of labels of clips that are decided alike, by the model's thresholds."""


class Checks(Record):
    """Every program was compared with torch before it was written."""

    tolerance: float
    shapes: tuple[tuple[int, ...], ...]
    largest_difference: dict[str, float]
    """Of a score, by file."""
    int8: Int8Difference | None = None
    """Of a tagger; a classifier's int8 network is judged on the test clips."""


class Export(Record):
    """``export.json``."""

    format: Literal["soundgate.export/1"] = FORMAT
    model: ModelFacts = ModelFacts()
    classes: tuple[str, ...] = ()
    multi_label: bool = False
    threshold: float | None = None
    """A class is given from this score on; None: the best score decides."""
    sample_rate_hz: int | None = None
    samples: Samples | None = None
    preprocessing: Preprocessing | None = None
    feature_extraction: FeatureExtraction | None = None
    normalization: Normalization | None = None
    front_end: FrontEndRecord | DetectorFrontEndRecord | None = None
    """Of a tagger or a detector; those three fields are of a classifier."""
    chunks: Chunks | None = None
    """Of these: what the program cuts clips into, and how their scores are joined."""
    thresholds: dict[str, Probability] | None = None
    """Of a tagger: the score from which on each label is given."""
    files: dict[str, ProgramFile] = Field(default_factory=dict)
    """None before the programs are made; in a folder, every one of it."""
    quantization: Quantization | None = None
    checks: Checks | None = None
    versions: dict[str, str | int] = Field(default_factory=dict)
    """Of the libraries, and the ONNX operator set."""

    @property
    def said(self) -> str:
        """One line: how far the programs are from torch, and how large the small one is."""
        if self.checks is None:
            return "no program was compared with torch"
        largest = max(self.checks.largest_difference.values())
        size_kb = self.files[NETWORK_INT8].bytes / 1000
        told = (
            f"scores differ by at most {largest:.1e} from torch's; int8 network: {size_kb:.0f} kB"
        )
        if (small := self.checks.int8) is None:
            return told
        differ = f"scores differ by {small.mean:.1e} on average, at most {small.largest:.1e}"
        return f"{told}, {differ}"

    def with_programs(
        self,
        *,
        files: dict[str, ProgramFile],
        quantization: Quantization,
        checks: Checks,
        versions: dict[str, str | int],
    ) -> Export:
        """What was known before, and the programs that were made."""
        made = {"files": files, "quantization": quantization, "checks": checks}
        return self.model_copy(update=made | {"versions": versions})


def read_export(folder: Path) -> Export:
    """What the folder holds.

    Raises:
        DataError: ``export.json`` is missing, damaged or of another format.
    """
    return read_record(folder / INFO, Export, remedy="export the model again")


def write_export(folder: Path, export: Export) -> None:
    """Write ``export.json``, which says that the folder is whole."""
    write_record(folder / INFO, export)
