"""The user config of ``pipelines.spot``: front end, network, augmentation, training of a detector.

Values are named as users of ANIMAL-SPOT know them, with the unit behind; the files of that program
are read too, see ``animal_spot``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from soundgate.audio.config import plain
from soundgate.audio.config.reading import text_of
from soundgate.audio.config.sections.general import Evaluation, General, Quantization
from soundgate.audio.config.sections.section import Section

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pydantic import JsonValue

Range = tuple[float, float]
Rate = Annotated[float, Field(gt=0)]


class Audio(Section):
    """From a recording to the images of its windows."""

    sample_rate_hz: int = Field(default=48_000, ge=1)
    """Rate to which recordings are resampled."""
    downsample: bool = False
    """Whether recordings of more than twice that rate are taken; what lies above half the rate is
    then lost."""
    sequence_len_ms: float = Field(default=400.0, gt=0)
    """Length of the windows that the network is trained with."""
    pre_emphasis: float = Field(default=0.98, ge=0, lt=1)
    """Share of the sample before that is subtracted from each."""
    n_fft: int = Field(default=2048, ge=2)
    """Length of the Fourier transform and of its window, samples."""
    hop_length: int = Field(default=1024, ge=1)
    """Distance between frames, samples."""
    freq_compression: Literal["linear", "mel", "mfcc"] = "linear"
    """FFT bins, mel bands, or cepstral coefficients of mel bands."""
    n_freq_bins: int = Field(default=128, ge=1)
    """Bins or bands; of ``mfcc``, those of which 32 coefficients are made."""
    fmin_hz: float = Field(default=200.0, ge=0)
    """Lowest frequency."""
    fmax_hz: float = Field(default=4000.0, gt=0)
    """Highest frequency."""
    min_level_db: float = -100.0
    """Quieter is this quiet."""
    ref_level_db: float = 20.0
    """The level that ``reference`` brings to 1."""
    normalisation: Literal["min_max", "reference"] = "min_max"
    """``min_max`` brings the least level of a window to 0 and its highest to 1, ``reference`` fixed
    levels."""

    @property
    def window_s(self) -> float:
        """Length of the windows, seconds."""
        return self.sequence_len_ms / 1000


class DetectorNetwork(Section):
    """The network."""

    name: str = "RESNET18"
    """RESNET18, 34, 50, 101 or 152; RESNET10, PLAIN, YAMNET or MINIRESNET for machines without a
    GPU; or a network of images of docs/tagging.md."""
    width: int = Field(default=64, ge=1)
    """RESNET: channels of its first stage."""
    conv_kernel_size: int = Field(default=7, ge=1)
    """RESNET: size of its first convolution."""
    max_pool: int = Field(default=1, ge=0, le=2)
    """RESNET: what follows it: 1 a maximum of stride 2, 0 a stage of stride 2, 2 neither."""
    pooling: Literal["avg", "max"] = "avg"
    """RESNET: over the last maps."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of the embedding's values that training sets to zero."""
    pretrained_weights: str | None = None
    """Weights to start from, by path: a ``model/`` folder, or ANIMAL-SPOT's ``.pk``; null: fresh
    ones."""
    other_classes: Literal["refuse", "new_head"] = "refuse"
    """What to do with weights that were trained for other classes."""
    frozen: tuple[str, ...] = ()
    """Parts that do not learn: ``encoder``, or ``encoder.layer1`` and the like."""


class DetectorAugmentation(Section):
    """What is done to training windows; null leaves one out."""

    enabled: bool = True
    """Whether anything is done."""
    amplitude_db: Range | None = (-6.0, 3.0)
    """How much quieter and louder."""
    pitch: Range | None = (0.5, 1.5)
    """Factors of all frequencies."""
    stretch: Range | None = (0.5, 2.0)
    """Factors of the length at the same pitch."""
    snr_db: Range | None = (-3.0, 12.0)
    """How far a window is above the training noise that is added to it."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name in ("amplitude_db", "pitch", "stretch", "snr_db"):
            found = getattr(self, name)
            if found is not None and not found[0] <= found[1]:
                raise ValueError(f"{name}: {found[0]:g} to {found[1]:g} must rise")
        for name in ("pitch", "stretch"):
            found = getattr(self, name)
            if found is not None and not 0.25 <= found[0] <= found[1] <= 4:
                raise ValueError(f"{name}: factors must be between 0.25 and 4")
        return self


class DetectorTraining(Section):
    """How the network is fitted."""

    epochs: int = Field(default=40, ge=1)
    """Passes over the training clips at most."""
    batch_size: int = Field(default=16, ge=1)
    """Windows a batch."""
    learning_rate: Rate = 1.6e-4
    """Of Adam; ANIMAL-SPOT's ``lr`` times its batch size."""
    beta1: float = Field(default=0.5, ge=0, lt=1)
    """Decay of Adam's mean of gradients."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Decay of weights; biases and scales never decay."""
    schedule: Literal["plateau", "constant", "cosine", "one_cycle"] = "plateau"
    """Course of the learning rate; ``plateau`` lowers it where validation accuracy stands still."""
    lr_patience_epochs: int = Field(default=8, ge=1)
    """``plateau``: epochs without improvement before the rate is lowered."""
    lr_decay_factor: float = Field(default=0.5, gt=0, lt=1)
    """``plateau``: the new rate as a share of the old one."""
    early_stopping_patience_epochs: int = Field(default=10, ge=1)
    """Epochs without improvement of the validation accuracy before the training ends."""
    balanced: bool = True
    """Whether every class is drawn equally often; otherwise every clip once an epoch."""
    fill: Literal["noise", "silence"] = "noise"
    """What stands around a clip that is shorter than a window: training noise, or nothing."""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format of the network's passes."""


class SpotConfig(Section):
    """Every value of a detector; each section may be missing."""

    general: General = General(project_name="spot_project", batch_size=64)
    """What concerns every step; ``batch_size``: windows scored at once."""
    audio: Audio = Audio()
    """From a recording to the images of its windows."""
    model: DetectorNetwork = DetectorNetwork()
    """The network."""
    augmentation: DetectorAugmentation = DetectorAugmentation()
    """What is done to training windows."""
    training: DetectorTraining = DetectorTraining()
    """How the network is fitted."""
    evaluation: Evaluation = Evaluation()
    """How a model is judged."""
    quantization: Quantization = Quantization(quantization_input_type="float")
    """The int8 model."""

    def starting_from(self, weights: Path) -> Self:
        """Return the config with ``weights`` as what its network starts from."""
        network = self.model.model_copy(update={"pretrained_weights": str(weights)})
        return self.model_copy(update={"model": network})

    def with_values(self, values: Mapping[str, object]) -> Self:
        """Return the config with values by their dotted names, ``audio.n_fft``.

        Raises:
            ValidationError: pydantic's, for a value that is not allowed.
        """
        fields = self.model_dump()
        for name, value in values.items():
            section, _, key = name.partition(".")
            fields[section][key] = value
        return type(self).model_validate(fields)


def load_spot(path: Path | str) -> SpotConfig:
    """Read the config at ``path``.

    Raises:
        ConfigError: the file cannot be read, or a key or a value in it is wrong.
    """
    return parse_spot(text_of(path), str(path))


def parse_spot(text: str, name: str) -> SpotConfig:
    """Read a config from its ``text``; ``name`` stands in front of errors.

    Raises:
        ConfigError: one line with file, line, dotted key and the fix.
    """
    return plain.parse(text, name, SpotConfig)


def check_spot(text: str, name: str) -> tuple[dict[str, JsonValue], str]:
    """Check a config where it is submitted: its sections without defaults, and no notice.

    Raises:
        ConfigError: as ``parse_spot``.
    """
    return plain.sections_given(parse_spot(text, name)), ""
