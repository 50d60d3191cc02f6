"""``model.json`` of a tagger: a network that says of every label whether it is heard in a clip.

The folder is that of every model (``model.py``); this file says how sound becomes the network's
input, from which score on a label is given, and how the scores of a long clip are joined.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import Field

from soundgate.audio.formats.model import DESCRIPTION, Pretrained
from soundgate.audio.formats.record import Record, read_record
from soundgate.audio.signal.front_ends.settings import FrontEndSettings

if TYPE_CHECKING:
    from pathlib import Path

FORMAT: Final = "soundgate.tagger/1"
REMEDY: Final = "train the model again"

Probability = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(gt=0)]


class FrontEndRecord(Record):
    """From a waveform to what the network takes: the fields of ``FrontEndSettings``."""

    name: str
    sample_rate_hz: int
    n_fft: int
    hop_length: int
    n_mels: int
    n_mfcc: int
    fmin_hz: float
    fmax_hz: float | None
    height: int | None
    frames: int | None
    mean: tuple[float, ...]
    standard_deviation: tuple[float, ...]

    @classmethod
    def of(cls, settings: FrontEndSettings) -> FrontEndRecord:
        """The record of a front end's settings."""
        return cls.model_validate(asdict(settings))

    def settings(self) -> FrontEndSettings:
        """What makes the front end."""
        return FrontEndSettings(**dict(self))


class NetworkRecord(Record):
    """The network: the fields of ``TaggerSettings``, the front end apart."""

    network: str
    head: str
    head_hidden: tuple[int, ...] = ()
    dropout: float
    use_fluffy: bool
    use_rgb: bool


class Chunks(Record):
    """How a clip is cut for the network, and how the scores of its parts become the clip's."""

    length_s: Seconds | None = None
    """Length of a chunk; None: the clip is scored whole."""
    hop_s: Seconds | None = None
    """From the start of a chunk to the next one's."""
    join: Literal["max", "mean"] = "max"
    """Over chunks, for each label."""


class TaggerFile(Record):
    """``model.json`` of a tagger."""

    format: Literal["soundgate.tagger/1"] = FORMAT
    architecture: str
    """Name of the network, for a reader."""
    classes: tuple[str, ...]
    """The labels, in the order of the network's outputs."""
    multi_label: Literal[True] = True
    sample_rate_hz: int
    front_end: FrontEndRecord
    network: NetworkRecord
    chunks: Chunks = Chunks()
    thresholds: dict[str, Probability]
    """The score from which on a label is given, chosen on the validation clips."""
    undecided: tuple[str, ...] = ()
    """Labels for whose threshold validation had no clips with and without them: the default's."""
    families: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Labels of each family."""
    seed: int
    stages: dict[str, int]
    """Epochs of each stage by name, in their order."""
    epochs: int
    best_epoch: int
    """The epoch whose weights are the model's, counted from 1 over all stages."""
    parameters: int
    pretrained: Pretrained | None = None


def read_tagger(folder: Path) -> TaggerFile:
    """The description of the tagger in ``folder``.

    Raises:
        DataError: the file is missing, damaged or of another format.
    """
    return read_record(folder / DESCRIPTION, TaggerFile, remedy=REMEDY)
