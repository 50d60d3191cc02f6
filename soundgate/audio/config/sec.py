"""The user config of ``pipelines.sec``: classes, windows, noise, splits, encoder.

Keys and defaults are those of SEC_pipeline's files, which are read as they are; what is new stands
in sections of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from soundgate.audio.config import plain
from soundgate.audio.config.reading import text_of
from soundgate.audio.config.sections.data import Dataset
from soundgate.audio.config.sections.dataset_specific import DatasetSpecific
from soundgate.audio.config.sections.general import Evaluation, General
from soundgate.audio.config.sections.section import Section

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import JsonValue

RATES_HZ: Final = {
    "clap-2023": 44_100,
    "clap-2022": 44_100,
    "msclap-2023": 44_100,
    "laion-clap": 48_000,
    "ast": 16_000,
    "wav2vec2": 16_000,
    "hubert": 16_000,
    "wavlm": 16_000,
    "whisper": 16_000,
    "yamnet": 16_000,
}
"""What encoders hear, where their names tell; that of others is checked when they are loaded."""

Size = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(gt=0)]
Split = Literal["train", "es", "valid", "test"]


class SecEncoder(Section):
    """What makes embeddings of segments."""

    name: str = "clap-2023"
    """An encoder of docs/encoders.md."""
    path: str | None = None
    """Its weights: a file, or a folder."""
    text_path: str | None = None
    """Folder of the text tower's config and tokens, for sentences; null: none."""
    precision: Literal["fp32", "bf16", "int8"] = "fp32"
    """bf16 for GPUs, int8 for CPUs by an ONNX program."""
    sample_rate_hz: int | None = Field(default=None, ge=1)
    """Of ``onnx``: its rate, where the program does not say it."""
    window_s: Seconds | None = None
    """Window that the encoder hears at once; null: its own."""
    hop_s: Seconds | None = None
    """From the start of a window to the next one's in segments of several; null: the window."""
    pooling: Literal["mean", "max"] = "mean"
    """How the windows of a segment become one embedding."""
    fill: Literal["zeros", "repeat", "repeatpad"] = "zeros"
    """What follows the sound where a segment is shorter than its window."""
    batch_size: int = Field(default=16, ge=1)
    """Windows computed at once."""


class SecConfig(Section):
    """Every value of a campaign's run; each may be missing."""

    classes: tuple[str, ...] = ()
    """Classes that are embedded; empty: all that the data set has, sorted."""
    patience: int = Field(default=10, ge=1)
    """Epochs without improvement before the training of a classifier ends."""
    epochs: int = Field(default=150, ge=1)
    """Of the training of a classifier at most."""
    batch_size: int = Field(default=128, ge=1)
    """Embeddings a batch of that training."""
    sampling_rate: int | None = Field(default=None, ge=1)
    """Rate that segments are heard at; the encoder's, or ``resample`` must be set."""
    resample: bool = False
    """Whether a ``sampling_rate`` that is not the encoder's is resampled to that."""
    ref: float = Field(default=2e-5, gt=0)
    """Root mean square of 0 dB, in the unit of the samples: 20 uPa where they are pascals."""
    noise_perc: float = Field(default=0.3, ge=0, le=1)
    """Share of uniform noise in a segment, as loud as its mean absolute sample."""
    noise_splits: tuple[Split, ...] = ("train", "es", "valid", "test")
    """Splits whose segments have noise."""
    seed: int = Field(default=1, ge=0)
    """Seed of tracks' order, offsets and noise."""
    center_freqs: tuple[Annotated[float, Field(gt=0)], ...] | None = None
    """Must be null: IEC 61260-1 says which centres a fraction of an octave has."""
    valid_cut_secs: tuple[Seconds, ...] = (7.0,)
    """Lengths of segments; each is a run of its own."""
    train_size: Size = 500
    """Segments of each class to train on."""
    es_size: Size = 100
    """Segments of each class by which a training stops early."""
    valid_size: Size = 100
    """Segments of each class by which a classifier is chosen."""
    test_size: Size = 100
    """Segments of each class that results are reported on."""
    split_by: Literal["track", "count", "data set"] = "track"
    """``track``: no recording is on two sides; ``count``: sizes are filled one after another, as
    SEC_pipeline does it; ``data set``: its own splits or folds."""
    every_segment: bool = False
    """Whether each track is cut once, whole; the sizes are then shares of the sides."""
    encoder: SecEncoder = SecEncoder()
    """What makes embeddings of segments."""
    general: General = General(project_name="sec_project", batch_size=256)
    """What concerns every step."""
    dataset: Dataset = Dataset(name="folder")
    """The data set."""
    dataset_specific: DatasetSpecific = DatasetSpecific()
    """Values that only one data set needs."""
    evaluation: Evaluation = Evaluation()
    """How a model is judged."""

    @property
    def sizes(self) -> dict[str, int]:
        """Segments of each class by split."""
        return {
            "train": self.train_size,
            "es": self.es_size,
            "valid": self.valid_size,
            "test": self.test_size,
        }

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(set(self.classes)) < len(self.classes):
            raise ValueError("classes: name each class once")
        if self.center_freqs is not None:
            raise ValueError(
                "center_freqs: remove them; the centres of a fraction of an octave are those of "
                "IEC 61260-1:2014, and are named in bands.json"
            )
        if not self.train_size:
            raise ValueError("train_size must be at least 1, got 0")
        for cut_s in self.valid_cut_secs:
            if abs(cut_s * 1000 - round(cut_s * 1000)) > 1e-6:
                raise ValueError(f"valid_cut_secs: {cut_s} must be whole milliseconds")
        check_rate(self, RATES_HZ.get(self.encoder.name))
        return self


def check_rate(config: SecConfig, rate_hz: int | None) -> None:
    """Refuse a rate that the encoder does not hear.

    Args:
        config: the user config.
        rate_hz: of the encoder; None: not known.

    Raises:
        ValueError: ``sampling_rate`` is another, and ``resample`` is not set.
    """
    asked = config.sampling_rate
    if asked is None or rate_hz is None or asked == rate_hz or config.resample:
        return
    heard = "lower" if asked > rate_hz else "higher"
    raise ValueError(
        f"sampling_rate: {config.encoder.name} hears {rate_hz} Hz; at {asked} Hz all sound would "
        f"be heard {abs(asked / rate_hz - 1):.1%} {heard}: write {rate_hz}, or resample: true"
    )


def load_sec(path: Path | str) -> SecConfig:
    """Read the config at ``path``.

    Raises:
        ConfigError: the file cannot be read, or a key or a value in it is wrong.
    """
    return parse_sec(text_of(path), str(path))


def parse_sec(text: str, name: str) -> SecConfig:
    """Read a config from its ``text``; ``name`` stands in front of errors.

    Raises:
        ConfigError: one line with file, line, dotted key and the fix.
    """
    return plain.parse(text, name, SecConfig)


def check_sec(text: str, name: str) -> tuple[dict[str, JsonValue], str]:
    """Check a config where it is submitted: its values without defaults, and no notice.

    Raises:
        ConfigError: as ``parse_sec``.
    """
    return plain.sections_given(parse_sec(text, name)), ""
