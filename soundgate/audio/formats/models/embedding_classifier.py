"""``model.json`` of an embedding classifier: a head on the embeddings of a frozen encoder.

The folder is that of every model (``formats/model.py``). The encoder's weights are not in it: the
file names the encoder and the digest of all that changes its numbers, and whoever predicts gives
its path. ``weights.safetensors`` holds ``layers.0.weight``, ``layers.0.bias`` and so on, which take
raw embeddings, or ``booster``, the bytes of XGBoost's own format (UBJSON).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import Field, TypeAdapter, ValidationError

from soundgate.audio.formats.embeddings.vectors import EncoderUsed
from soundgate.audio.formats.model import DESCRIPTION
from soundgate.audio.formats.record import Record, read_record
from soundgate.errors import ConfigError, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

FORMAT: Final = "soundgate.embedding_classifier/1"
REMEDY: Final = "train the head again"
KINDS: Final = ("linear", "mlp", "ridge", "xgboost")

NotNegative = Annotated[float, Field(ge=0)]
Above = Annotated[float, Field(gt=0)]
Positive = Annotated[int, Field(ge=1)]


class RidgeSettings(Record):
    """Least squares on the classes as 0 and 1, in closed form."""

    kind: Literal["ridge"] = "ridge"
    regularisation: NotNegative = 1.0
    """Added to the squared error is so much times the squared weights of standardised numbers."""


class NetworkSettings(Record):
    """A layer, or several of them, trained by gradients."""

    optimiser: Literal["adam", "adamw", "sgd", "rmsprop"] = "adam"
    learning_rate: Above = 0.001
    weight_decay: NotNegative = 0.0
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Of ``sgd``."""


class LinearSettings(NetworkSettings):
    """Multinomial logistic regression."""

    kind: Literal["linear"] = "linear"


class MlpSettings(NetworkSettings):
    """Hidden layers with ReLU and dropout before the last one."""

    kind: Literal["mlp"] = "mlp"
    hidden: tuple[Positive, ...] = (512,)
    """Sizes of the hidden layers."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2


class TreesSettings(Record):
    """Gradient-boosted trees of XGBoost, by its own names."""

    kind: Literal["xgboost"] = "xgboost"
    learning_rate: Above = 0.1
    gamma: NotNegative = 0.0
    reg_lambda: NotNegative = 1.0
    max_depth: Positive = 6
    n_estimators: Positive = 100
    """Rounds at most; fewer where ``es`` stops early."""


HeadSettings = Annotated[
    RidgeSettings | LinearSettings | MlpSettings | TreesSettings, Field(discriminator="kind")
]
_SETTINGS: TypeAdapter[RidgeSettings | LinearSettings | MlpSettings | TreesSettings] = TypeAdapter(
    HeadSettings
)


class EmbeddingClassifierFile(Record):
    """``model.json`` of an embedding classifier."""

    format: Literal["soundgate.embedding_classifier/1"] = FORMAT
    name: str = ""
    """What the head was called among those that were tried."""
    classes: tuple[str, ...]
    multi_label: Literal[False] = False
    sample_rate_hz: int
    """Of the encoder."""
    encoder: EncoderUsed
    segment_s: Above
    """Length of what one embedding stands for; longer clips are cut, their scores averaged."""
    head: HeadSettings
    temperature: Above = 1.0
    """Scores are a softmax of the outputs divided by it, which is folded into the weights."""
    seed: int
    epochs: int | None = None
    best_epoch: int | None = None
    """The epoch whose weights are the model's, counted from 1."""
    parameters: int
    """Numbers that were learnt; of trees, their leaves."""


def read_embedding_classifier(folder: Path) -> EmbeddingClassifierFile:
    """The description of the head in ``folder``.

    Raises:
        DataError: the file is missing, damaged or of another format.
    """
    return read_record(folder / DESCRIPTION, EmbeddingClassifierFile, remedy=REMEDY)


def head_settings(
    kind: str, values: Sequence[str]
) -> RidgeSettings | LinearSettings | MlpSettings | TreesSettings:
    """Settings of a head from ``KEY=VALUE`` texts; several values of a key are ``256,64``.

    Raises:
        ConfigError: there is no such head or key, or a value is wrong.
    """
    if kind not in KINDS:
        raise ConfigError(f"head: unknown head {kind!r}{nearest(kind, KINDS)}")
    fields: dict[str, object] = {"kind": kind}
    for text in values:
        key, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"settings: {text!r}: write KEY=VALUE")
        fields[key] = value.split(",") if key == "hidden" else value
    try:
        return _SETTINGS.validate_python(fields)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        field = fault["loc"][1] if len(fault["loc"]) > 1 else ""
        raise ConfigError(f"settings: {kind}.{field}: {fault['msg']}") from error
