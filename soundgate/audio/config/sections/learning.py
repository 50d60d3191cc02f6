"""The sections about learning: ``data_augmentation`` and ``training``."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from soundgate.audio.config.sections.section import Section


class GaussianNoise(Section):
    """Normal noise on the log-mel values."""

    enable: bool = True
    """Whether it is used."""
    scale: float = Field(default=0.1, ge=0)
    """Standard deviation, in the unit of the features."""


class VolumeAugment(Section):
    """One random factor for the log-mel values of a patch."""

    enable: bool = True
    """Whether it is used."""
    min_scale: float = Field(default=0.8, gt=0)
    """Smallest factor."""
    max_scale: float = Field(default=1.2, gt=0)
    """Largest factor."""


class SpecAug(Section):
    """Masked bands and frames (SpecAugment, Park et al., 2019)."""

    enable: bool = True
    """Whether it is used."""
    freq_mask_param: int = Field(default=12, ge=0)
    """Widest mask, mel bands."""
    time_mask_param: int = Field(default=18, ge=0)
    """Longest mask, frames."""
    n_freq_mask: int = Field(default=1, ge=0)
    """Masks over frequency, per patch."""
    n_time_mask: int = Field(default=1, ge=0)
    """Masks over time, per patch."""
    mask_value: float = 0.0
    """What fills a mask, in standardised features: 0 is the mean of the band."""


class Gain(Section):
    """A random loudness: one number added to the log-mel values of a patch."""

    enable: bool = True
    """Whether it is used."""
    scale: float = Field(default=0.2, ge=0)
    """Standard deviation, in standardised features."""


class Mixup(Section):
    """Blends of two patches and of their labels (Zhang et al., 2018)."""

    enable: bool = True
    """Whether it is used."""
    alpha: float = Field(default=0.3, gt=0)
    """Both parameters of the Beta distribution that the share is drawn from."""


class DataAugmentation(Section):
    """What is done to training patches; only what is listed is on.

    A config without the section trains with gain, mixup and SpecAug; with ``training.fine_tune``,
    whose fitted classifier blends and masks would only undo, with nothing.
    """

    gaussian_noise: GaussianNoise = Field(GaussianNoise(enable=False), alias="GaussianNoise")
    """Noise on the features."""
    volume_augment: VolumeAugment = Field(VolumeAugment(enable=False), alias="VolumeAugment")
    """A factor on the features."""
    spec_aug: SpecAug = Field(SpecAug(enable=False), alias="SpecAug")
    """Masks over bands and frames."""
    gain: Gain = Gain(enable=False)
    """A random loudness."""
    mixup: Mixup = Mixup(enable=False)
    """Blends of two patches."""


RECOMMENDED_AUGMENTATION = DataAugmentation(gain=Gain(), mixup=Mixup(), spec_aug=SpecAug())


class Model(Section):
    """The network."""

    name: Literal["plain", "yamnet", "miniresnet"] = "plain"
    """Architecture."""
    width: float = Field(default=1.0, gt=0)
    """Factor on the number of channels."""
    embedding_size: int = Field(default=256, ge=1)
    """Channels before the classifier of ``yamnet``: 256, 512 or 1024."""
    n_stacks: int = Field(default=1, ge=1)
    """Number of stacks of ``miniresnet``."""
    version: Literal["v1", "v2"] = "v2"
    """Order of the layers in a block of ``miniresnet``: v2 activates before the convolution."""
    pooling: Literal["avg", "max", "flatten"] | None = None
    """Pooling before the classifier; null: the architecture's own. ``flatten`` is ``miniresnet``'s,
    and keeps every value, as the model zoo does where it has no pooling."""
    pretrained_weights: bool | str = False
    """What to start from: a folder ``model/`` of a training, or a Keras ``.h5`` backbone (YAMNet
    or MiniResNet of the STM32 model zoo); false: fresh weights. None are shipped."""


class Optimizer(Section):
    """The optimiser; its learning rate and weight decay are ``training``'s."""

    name: Literal["adamw", "adam", "sgd", "rmsprop"] = "adamw"
    """Algorithm."""
    momentum: float = Field(default=0.0, ge=0, lt=1)
    """Momentum of ``sgd`` and ``rmsprop``."""
    nesterov: bool = False
    """Whether the momentum of ``sgd`` is Nesterov's."""
    beta_1: float = Field(default=0.9, ge=0, lt=1)
    """Decay of the first moment of ``adam`` and ``adamw``."""
    beta_2: float = Field(default=0.999, ge=0, lt=1)
    """Decay of the second moment of ``adam`` and ``adamw``."""
    epsilon: float = Field(default=1e-8, gt=0)
    """Keeps the division from zero."""
    clipnorm: float | None = Field(default=None, gt=0)
    """Largest norm of a gradient step; null: not limited."""


Monitor = Literal["val_accuracy", "val_loss"]


class ReduceLROnPlateau(Section):
    """Lower the learning rate when a figure stops improving (Keras's arguments)."""

    monitor: Monitor = "val_accuracy"
    """The figure."""
    mode: Literal["auto", "max", "min"] = "auto"
    """Whether the figure should rise or fall; auto: by its name."""
    factor: float = Field(default=0.5, gt=0, lt=1)
    """New learning rate, in shares of the old one."""
    patience: int = Field(default=10, ge=0)
    """Epochs without improvement before it acts."""
    min_delta: float = Field(default=0.0, ge=0)
    """Smallest change that counts as an improvement."""
    cooldown: int = Field(default=0, ge=0)
    """Epochs it rests after it acted."""
    min_lr: float = Field(default=0.0, ge=0)
    """Smallest learning rate."""


class EarlyStopping(Section):
    """End the training when a figure stops improving (Keras's arguments)."""

    monitor: Monitor = "val_accuracy"
    """The figure."""
    mode: Literal["auto", "max", "min"] = "auto"
    """Whether the figure should rise or fall; auto: by its name."""
    patience: int = Field(default=60, ge=0)
    """Epochs without improvement before it acts."""
    min_delta: float = Field(default=0.0, ge=0)
    """Smallest change that counts as an improvement."""
    start_from_epoch: int = Field(default=0, ge=0)
    """Epochs at the start that are not watched."""
    restore_best_weights: bool = True
    """Whether the best epoch is kept rather than the last."""


class Callbacks(Section):
    """What watches the training, in Keras's spelling."""

    reduce_lr_on_plateau: ReduceLROnPlateau | None = Field(None, alias="ReduceLROnPlateau")
    """Lowers the learning rate; null: does not."""
    early_stopping: EarlyStopping | None = Field(None, alias="EarlyStopping")
    """Ends the training early; null: every epoch runs."""


class Training(Section):
    """How the network is fitted."""

    model: Model = Model()
    """The network."""
    fine_tune: bool = False
    """Whether pretrained layers learn too, once the classifier is fitted; otherwise the classifier
    alone is fitted, to convergence: then epochs, batches, optimiser and augmentation play no
    part."""
    l2: float = Field(default=0.01, gt=0)
    """Penalty on the classifier's squared weights where it alone is fitted."""
    dropout: float = Field(default=0.2, ge=0, lt=1)
    """Share of the embedding that is dropped before the classifier."""
    batch_size: int = Field(default=32, ge=1)
    """Patches a step."""
    epochs: int = Field(default=20, ge=1)
    """Passes over the training clips."""
    crops_per_clip: int = Field(default=4, ge=1)
    """Patches cut at random places of each clip in an epoch."""
    optimizer: Optimizer = Optimizer()
    """The algorithm."""
    learning_rate: float = Field(default=3e-3, gt=0)
    """Highest learning rate of the schedule; by default 1e-4 with ``fine_tune``."""
    weight_decay: float = Field(default=0.05, ge=0)
    """Decay of the weight matrices; by default 0 with any optimiser but ``adamw``."""
    schedule: Literal["one_cycle", "cosine", "plateau", "constant"] = "one_cycle"
    """Course of the learning rate; ``plateau`` is ``callbacks.ReduceLROnPlateau``."""
    warmup_fraction: float = Field(default=0.2, ge=0, lt=1)
    """Share of the steps in which ``one_cycle`` and ``cosine`` rise to the learning rate."""
    label_smoothing: float = Field(default=0.05, ge=0, lt=1)
    """Share of each target that is spread over all classes; by default 0 with ``fine_tune``."""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format of the network's passes; auto: bfloat16 where the machine computes with it."""
    callbacks: Callbacks = Callbacks()
    """What watches the training."""

    @model_validator(mode="before")
    @classmethod
    def _defaults_that_depend(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        values = dict(data)
        optimizer = values.get("optimizer")
        if isinstance(optimizer, dict) and optimizer.get("name", "adamw") != "adamw":
            values.setdefault("weight_decay", 0.0)
        if values.get("fine_tune") is True:
            values.setdefault("learning_rate", 1e-4)
            values.setdefault("label_smoothing", 0.0)
        if values.get("schedule") == "plateau":
            callbacks = values.get("callbacks") or {}
            if isinstance(callbacks, dict):
                values["callbacks"] = {"ReduceLROnPlateau": {}} | callbacks
        return values
