"""The user config of ``pipelines.tagging``: front end, network, augmentation, training.

Keys are spelt as users of instrument taggers know them; names in capitals are taken in any case.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

from pydantic import Field, model_validator

from soundgate.audio.config import plain
from soundgate.audio.config.reading import text_of
from soundgate.audio.config.sections.data import Dataset
from soundgate.audio.config.sections.dataset_specific import DatasetSpecific
from soundgate.audio.config.sections.general import Evaluation, General, Quantization
from soundgate.audio.config.sections.inspection import Inspection
from soundgate.audio.config.sections.section import Section
from soundgate.errors import nearest

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import JsonValue

EPOCH_FIGURES: Final = {
    "VAL_F1": "validation_macro_f1",
    "VAL_HAMMING": "validation_hamming",
    "VAL_MAP": "validation_mean_average_precision",
    "VAL_LOSS": "validation_loss",
    "LOSS": "loss",
}
"""Figures by which epochs may be compared: the users' words, and the names in ``history.jsonl``."""

Rate = Annotated[float, Field(gt=0)]


class AudioTransform(Section):
    """From a waveform to what the network takes."""

    name: str = "MEL_SPECTROGRAM"
    """MEL_SPECTROGRAM, MFCC, MULTI_SPECTROGRAM, WAVELET, AST or WAV2VEC."""
    n_fft: int = Field(default=1024, ge=2)
    """Length of the Fourier transform and of its window, samples."""
    hop_length: int = Field(default=160, ge=1)
    """Distance between frames, samples."""
    n_mels: int = Field(default=128, ge=1)
    """Mel bands, or wavelets."""
    n_mfcc: int = Field(default=20, ge=1)
    """Coefficients that MFCC keeps."""
    fmin_hz: float = Field(default=0.0, ge=0)
    """Lowest frequency."""
    fmax_hz: float | None = Field(default=None, gt=0)
    """Highest frequency; null: half the sample rate."""
    normalisation: Literal["measured", "fixed"] = "measured"
    """Mean and standard deviation of what the network takes: measured on the training clips, for
    each band (each channel of MULTI_SPECTROGRAM), or the front end's fixed numbers. AST and WAV2VEC
    keep theirs."""
    image_size: int | None = Field(default=None, ge=8)
    """Rows to which images are scaled; null: as many as there are bands."""
    frames: int | None = Field(default=1024, ge=1)
    """AST alone: frames to which each image is cut or filled; null: as many as the chunk has."""


class Network(Section):
    """The network and its head."""

    name: str = "EFFICIENT_NET_V2_S"
    """EFFICIENT_NET_V2_S, _M, _L; CONVNEXT_TINY, _SMALL, _BASE, _LARGE; RESNEXT50_32X4D,
    RESNEXT101_32X8D, RESNEXT101_64X4D; MOBILENET_V3_LARGE; MOBNET, one MobileNet a label; AST;
    WAV2VEC, WAV2VEC_CNN; or a small network for machines without a GPU, see docs/tagging.md."""
    head: str = "DEEP_HEAD"
    """DEEP_HEAD, ATTENTION_HEAD, or LINEAR, the last layer that pretrained networks come with."""
    head_hidden_dim: tuple[Annotated[int, Field(ge=1)], ...] = ()
    """Sizes of the head's hidden layers."""
    dropout: float = Field(default=0.3, ge=0, lt=1)
    """Share of values that training sets to zero before each layer of the head but the first."""
    use_fluffy: bool = False
    """Whether each label has a head of its own."""
    use_rgb: bool = False
    """Whether an image of one channel is copied into three."""
    pretrained_weights: str | None = None
    """Weights to start from, by path: a ``model/`` folder of a training, ``.pth``,
    ``.safetensors``, or a folder of ``transformers``; null: fresh ones. None are shipped."""
    architecture: str | None = None
    """AST and WAV2VEC: folder whose ``config.json`` says how large the network is; null: the base
    size of its library, or what the weights say."""
    other_labels: Literal["refuse", "new_head"] = "refuse"
    """What to do with weights whose head is for another number of labels."""


class Augmentation(Section):
    """What is done to training clips, each by its name."""

    names: tuple[str, ...] = ()
    """Such as TIME_STRETCH, PITCH, FREQ_MASK; see docs/tagging.md."""
    aug_kwargs: dict[str, Any] = Field(default_factory=dict)
    """Their arguments: ``stretch_factors: [0.8, 1.25]``, ``freq_mask_param: 30`` and the like."""

    def words(self) -> list[str]:
        """The arguments as ``key=value``."""
        return [
            f"{key}={','.join(map(str, value)) if isinstance(value, list | tuple) else value}"
            for key, value in self.aug_kwargs.items()
        ]


class Training(Section):
    """How the network is fitted, in two stages: the head, then head and backbone."""

    epochs: int = Field(default=40, ge=1)
    """Passes over the training clips in both stages together."""
    batch_size: int = Field(default=4, ge=1)
    """Chunks a batch."""
    accumulate: int = Field(default=1, ge=1)
    """Batches a step of the optimiser."""
    chunk_s: float = Field(default=3.0, ge=0)
    """Length of what is learnt from, cut at a random place of each clip; a clip is scored in such
    chunks too. 0: whole clips, in batches of like length."""
    finetune_head: bool = True
    """Whether the head alone is fitted first."""
    finetune_head_epochs: int = Field(default=5, ge=1)
    """Epochs of that stage."""
    head_after: str = ""
    """Part of the network from which on it counts as head; empty: the head."""
    backbone_after: str = ""
    """Part of the backbone from which on it learns in the second stage, ``features.5`` say; empty:
    all of it."""
    finetune_train_bn: bool = True
    """Whether the normalisation of pretrained layers follows the new data."""
    optimizer: Literal["ADAM", "ADAMW", "adam", "adamw"] = "ADAMW"
    """Algorithm."""
    weight_decay: float = Field(default=1e-2, ge=0)
    """Decay of weights; biases and scales never decay."""
    scheduler: Literal["ONECYCLE", "COSINEANNEALING", "PLATEAU", "CONSTANT", "AUTO_LR"] = "ONECYCLE"
    """Course of the learning rate in the second stage; AUTO_LR is ONECYCLE with ``lr_range_test``
    ``end``."""
    lr_range_test: Literal["off", "go_on", "end"] = "off"
    """Whether learning rates are tried out before the training (Smith 2017): ``go_on`` trains with
    the suggested one, ``end`` draws the plot and ends there."""
    lr: Rate = 5e-5
    """Learning rate that the first stage ends with and the second begins with."""
    lr_warmup: Rate = 3e-4
    """Learning rate that the first stage begins with."""
    lr_onecycle_max: Rate = 5e-4
    """Highest learning rate of ONECYCLE."""
    plateau_patience: int = Field(default=3, ge=1)
    """PLATEAU: epochs without improvement before the rate is halved."""
    loss_function: str = "CROSS_ENTROPY"
    """CROSS_ENTROPY, CROSS_ENTROPY_POS_WEIGHT, FOCAL_LOSS, FOCAL_LOSS_POS_WEIGHT or
    INSTRUMENT_FAMILY_LOSS."""
    loss_function_kwargs: dict[str, float] = Field(default_factory=dict)
    """``gamma`` of the focal losses, ``family_weight`` of INSTRUMENT_FAMILY_LOSS."""
    label_families: dict[str, tuple[str, ...]] | None = None
    """Labels of each family; null: those of IRMAS, where the labels are its own."""
    use_weighted_train_sampler: bool = False
    """Whether clips of rare labels are drawn more often."""
    metric: str = "VAL_F1"
    """Figure by which epochs are compared: VAL_F1, VAL_HAMMING, VAL_MAP, VAL_LOSS, or LOSS, that of
    the training clips; or their names in ``history.jsonl``."""
    metric_mode: Literal["MIN", "MAX"] | None = None
    """Whether the figure should fall or rise; null: by its name."""
    early_stopping_metric_patience: int = Field(default=10, ge=1)
    """Epochs of the second stage without improvement before it ends."""
    skip_validation: bool = False
    """Whether nothing is validated: the last epoch is kept, thresholds are 0.5."""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format of the network's passes."""

    @property
    def range_test(self) -> Literal["off", "go_on", "end"]:
        """What ``lr_range_test`` and ``scheduler`` ask for together."""
        return "end" if self.scheduler == "AUTO_LR" else self.lr_range_test

    @property
    def highest_rate(self) -> float:
        """Highest learning rate of the second stage."""
        return self.lr_onecycle_max if self.scheduler in ("ONECYCLE", "AUTO_LR") else self.lr

    def with_highest_rate(self, rate: float) -> Self:
        """The same with every learning rate multiplied by what makes ``rate`` the highest."""
        factor = rate / self.highest_rate
        names = ("lr", "lr_warmup", "lr_onecycle_max")
        return self.model_copy(update={name: getattr(self, name) * factor for name in names})

    @property
    def figure(self) -> str:
        """The name in ``history.jsonl`` of what epochs are compared by."""
        return EPOCH_FIGURES.get(self.metric.upper(), self.metric)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.finetune_head and self.finetune_head_epochs >= self.epochs:
            raise ValueError(
                f"finetune_head_epochs {self.finetune_head_epochs} leave none of epochs "
                f"{self.epochs} to the rest; lower them, or set finetune_head to false"
            )
        if self.figure not in EPOCH_FIGURES.values():
            close = nearest(self.metric.upper(), EPOCH_FIGURES)
            raise ValueError(
                f"metric: no epoch has the figure {self.metric!r}{close}; known: "
                f"{', '.join(EPOCH_FIGURES)}"
            )
        unknown = set(self.loss_function_kwargs) - {"gamma", "family_weight"}
        if unknown:
            raise ValueError(
                f"loss_function_kwargs: unknown {min(unknown)!r}; known: family_weight, gamma"
            )
        return self


class TaggerQuantization(Quantization):
    """The int8 model, made by post-training quantisation."""

    quantization_input_type: Literal["int8", "uint8", "float"] = "float"
    """Number format of the model's input; not every network can take whole numbers."""


class TaggingConfig(Section):
    """Every value of a tagging pipeline; each section may be missing."""

    general: General = General(project_name="tagging_project", batch_size=32)
    """What concerns every step."""
    dataset: Dataset = Dataset(name="synthetic-instruments", multi_label=True)
    """The data set of the catalogue; clips of your own are parameters: ``train_paths``."""
    dataset_specific: DatasetSpecific = DatasetSpecific()
    """Values that only one data set needs."""
    inspection: Inspection = Inspection()
    """What a data set may hold before it is trained on."""
    audio_transform: AudioTransform = AudioTransform()
    """From a waveform to what the network takes."""
    model: Network = Network()
    """The network."""
    augmentation: Augmentation = Augmentation()
    """What is done to training clips."""
    training: Training = Training()
    """How the network is fitted."""
    evaluation: Evaluation = Evaluation()
    """How a model is judged."""
    quantization: TaggerQuantization = TaggerQuantization()
    """The int8 model."""

    def starting_from(self, weights: Path) -> Self:
        """Return the config with ``weights`` as what its network starts from."""
        network = self.model.model_copy(update={"pretrained_weights": str(weights)})
        return self.model_copy(update={"model": network})


def load_tagging(path: Path | str) -> TaggingConfig:
    """Read the config at ``path``.

    Raises:
        ConfigError: the file cannot be read, or a key or a value in it is wrong.
    """
    return parse_tagging(text_of(path), str(path))


def parse_tagging(text: str, name: str) -> TaggingConfig:
    """Read a config from its ``text``; ``name`` stands in front of errors.

    Raises:
        ConfigError: one line with file, line, dotted key and the fix.
    """
    return plain.parse(text, name, TaggingConfig)


def check_tagging(text: str, name: str) -> tuple[dict[str, JsonValue], str]:
    """Check a config where it is submitted: its sections without defaults, and no notice.

    Raises:
        ConfigError: as ``parse_tagging``.
    """
    return plain.sections_given(parse_tagging(text, name)), ""
