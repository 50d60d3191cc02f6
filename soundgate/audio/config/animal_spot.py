"""ANIMAL-SPOT's configuration files: ``key=value`` a line, read into the config of a detector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from soundgate.errors import ConfigError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from soundgate.audio.config.spot import SpotConfig

VALUES: Final = {
    "sr": "audio.sample_rate_hz",
    "preemphases": "audio.pre_emphasis",
    "sequence_len": "audio.sequence_len_ms",
    "n_fft": "audio.n_fft",
    "hop_length": "audio.hop_length",
    "freq_compression": "audio.freq_compression",
    "n_freq_bins": "audio.n_freq_bins",
    "num_mels": "audio.n_freq_bins",
    "fmin": "audio.fmin_hz",
    "fmax": "audio.fmax_hz",
    "min_level_db": "audio.min_level_db",
    "ref_level_db": "audio.ref_level_db",
    "conv_kernel_size": "model.conv_kernel_size",
    "max_pool": "model.max_pool",
    "max_train_epochs": "training.epochs",
    "batch_size": "training.batch_size",
    "beta1": "training.beta1",
    "lr_patience_epochs": "training.lr_patience_epochs",
    "lr_decay_factor": "training.lr_decay_factor",
    "early_stopping_patience_epochs": "training.early_stopping_patience_epochs",
}
"""Its keys, and what they are called here."""

FLAGS: Final = ("min_max_norm", "augmentation")
"""Keys that are true or false; a file without them says false."""

OTHERS: Final = ("lr", "resnet", "num_classes")
"""Keys that become several values, or are compared with the data."""

PASSED_OVER: Final = frozenset(
    {"src_dir", "data_dir", "cache_dir", "model_dir", "checkpoint_dir", "log_dir", "summary_dir"}
    | {"noise_dir", "debug", "start_from_scratch", "jit_save", "epochs_per_eval", "num_workers"}
    | {"no_cuda", "filter_broken_audio"}
)
"""Keys about folders and processes, which a run answers itself."""


def read_cfg(text: str, name: str) -> dict[str, str]:
    """The keys and values of a file; a key of which nothing follows is left out.

    Args:
        text: of the file.
        name: stands in front of errors.

    Raises:
        ConfigError: a line is no ``key=value``, or a key is unknown or given twice.
    """
    lines = [line.strip() for line in text.splitlines()]
    numbered = ((number, line) for number, line in enumerate(lines, 1) if line)
    found = _read(
        (f"{name}:{number}", line) for number, line in numbered if not line.startswith("#")
    )
    return dict.fromkeys(FLAGS, "false") | found


def read_settings(words: Iterable[str]) -> dict[str, str]:
    """Keys and values of words, ``n_fft=2048``; what is not named keeps its value.

    Raises:
        ConfigError: as ``read_cfg``.
    """
    return _read(("settings", word) for word in words)


def apply(config: SpotConfig, values: Mapping[str, str]) -> SpotConfig:
    """The config with the values of a file.

    ``lr`` is what it is there: a rate for each window of a batch.

    Raises:
        ConfigError: a value is not allowed; one line names key and value.
    """
    changes: dict[str, object] = {VALUES[key]: values[key] for key in values if key in VALUES}
    if "min_max_norm" in values:
        chosen = "min_max" if _flag("min_max_norm", values) else "reference"
        changes["audio.normalisation"] = chosen
    if "augmentation" in values:
        changes["augmentation.enabled"] = _flag("augmentation", values)
    if "resnet" in values:
        changes["model.name"] = f"RESNET{values['resnet']}"
    if "lr" in values:
        batch = _number("batch_size", values, config.training.batch_size)
        changes["training.learning_rate"] = _number("lr", values, 0.0) * batch
    try:
        return config.with_values(changes)
    except ValidationError as error:
        raise _explained(error) from None


def classes_of(values: Mapping[str, str]) -> int | None:
    """How many classes the file says there are; None where it does not say."""
    return int(_number("num_classes", values, 0)) or None


def _read(words: Iterable[tuple[str, str]]) -> dict[str, str]:
    known = (*VALUES, *FLAGS, *OTHERS, *PASSED_OVER)
    found: dict[str, str] = {}
    for where, word in words:
        key, sign, value = (part.strip() for part in word.partition("="))
        if not sign:
            raise ConfigError(f"{where}: {word!r} must be key=value")
        if key not in known:
            raise ConfigError(f"{where}: unknown key {key!r}{nearest(key, known)}")
        if key in found:
            raise ConfigError(f"{where}: {key} is given twice; remove one")
        if key not in PASSED_OVER and value:
            found[key] = value
    return found


def _flag(key: str, values: Mapping[str, str]) -> bool:
    if values[key].lower() not in ("true", "false"):
        raise ConfigError(f"{key} must be true or false, got {values[key]!r}")
    return values[key].lower() == "true"


def _number(key: str, values: Mapping[str, str], default: float) -> float:
    try:
        return float(values.get(key, default))
    except ValueError:
        raise ConfigError(f"{key} must be a number, got {values[key]!r}") from None


def _explained(error: ValidationError) -> ConfigError:
    fault = error.errors(include_url=False)[0]
    name = ".".join(map(str, fault["loc"]))
    keys = [key for key, own in VALUES.items() if own == name]
    return ConfigError(f"{keys[0] if keys else name}: {fault['msg']}, got {fault['input']!r}")
