"""``model.json`` of a detector: windows of sound to probabilities of classes.

The folder also has ``weights.safetensors`` and ``split.jsonl``, as every model's has: see
``soundgate.audio.formats.model``.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import Field

from soundgate.audio.formats.model import DESCRIPTION, Pretrained
from soundgate.audio.formats.record import Record, read_record
from soundgate.audio.signal.front_ends.detector_settings import DetectorFrontEndSettings

if TYPE_CHECKING:
    from pathlib import Path

FORMAT: Final = "soundgate.detector/1"
REMEDY: Final = "train the model again"
NOISE: Final = "noise"
"""Name of the first class."""


class DetectorFrontEndRecord(Record):
    """From a window to an image: the fields of ``DetectorFrontEndSettings``."""

    sample_rate_hz: int
    pre_emphasis: float
    n_fft: int
    hop_length: int
    freq_compression: Literal["linear", "mel", "mfcc"]
    n_freq_bins: int
    fmin_hz: float
    fmax_hz: float
    min_level_db: float
    normalisation: Literal["min_max", "reference"]
    ref_level_db: float

    @classmethod
    def of(cls, settings: DetectorFrontEndSettings) -> DetectorFrontEndRecord:
        """The record of a front end's settings."""
        return cls.model_validate(asdict(settings))

    def settings(self) -> DetectorFrontEndSettings:
        """What makes the front end."""
        return DetectorFrontEndSettings(**dict(self))


class DetectorNetworkRecord(Record):
    """The network: the fields of ``DetectorSettings``, front end and window apart."""

    network: str
    width: int
    conv_kernel_size: int
    max_pool: int
    pooling: str
    dropout: float


class DetectorFile(Record):
    """``model.json`` of a detector."""

    format: Literal["soundgate.detector/1"] = FORMAT
    name: str = ""
    """What its training was called: the name of the variant."""
    architecture: str
    """Name of the network, for a reader."""
    classes: Annotated[tuple[str, ...], Field(min_length=2)]
    """In the order of the network's outputs; the first is noise."""
    multi_label: Literal[False] = False
    sample_rate_hz: int
    window_s: Annotated[float, Field(gt=0)]
    """Length of the windows that it was trained with."""
    front_end: DetectorFrontEndRecord
    network: DetectorNetworkRecord
    seed: int | None = None
    epochs: int | None = None
    best_epoch: int | None = None
    """The epoch whose weights are the model's, counted from 1."""
    parameters: int | None = None
    """Numbers that the network learnt."""
    pretrained: Pretrained | None = None


def read_detector(folder: Path) -> DetectorFile:
    """The description of the detector in ``folder``.

    Raises:
        DataError: the file is missing, damaged or of another format.
    """
    return read_record(folder / DESCRIPTION, DetectorFile, remedy=REMEDY)
