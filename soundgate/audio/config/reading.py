"""Read a user config, and say in one line what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from soundgate.audio.config.aed import UserConfig
from soundgate.audio.config.document import Document
from soundgate.audio.config.explanation import explain, nearest_key
from soundgate.audio.config.zoo import (
    LIFTED,
    MOVES,
    OTHER_MODES,
    PASSED_OVER,
    TRAINING_MODES,
    Translation,
)
from soundgate.errors import ConfigError, nearest, unreadable

if TYPE_CHECKING:
    from collections.abc import Sequence

UNREAD = frozenset(
    {
        "dataset.quantization_csv_path",
    }
)
"""Keys and sections that are checked although no step reads them: whoever sets one is told."""

FOR_EPOCHS = frozenset({"epochs", "batch_size", "crops_per_clip", "learning_rate", "schedule"})
"""Keys of ``training`` that mean nothing where a linear probe is fitted to convergence."""

_PIPELINE = "pipeline"


def load(path: Path | str) -> UserConfig:
    """Read the user config at ``path``.

    Raises:
        ConfigError: the file cannot be read, or a key or a value in it is wrong.
    """
    return parse(text_of(path), str(path))


def text_of(path: Path | str) -> str:
    """The text of a config file.

    Raises:
        ConfigError: the file cannot be read, or is no UTF-8.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise unreadable(path, error, ConfigError) from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text; save it as UTF-8") from None


def parse(text: str, name: str) -> UserConfig:
    """Read a user config from its ``text``; ``name`` stands in front of errors.

    A ``user_config.yaml`` of the STM32 model zoo, of any of its generations, is read too; keys that
    mean nothing here are listed in ``passed_over``. The section ``pipeline`` is left to whoever
    reads pipeline parameters.

    Raises:
        ConfigError: a key or a value is wrong; one line with file, line, dotted key and the fix.
    """
    document = Document(text, name)
    sections = {key: value for key, value in document.data.items() if key != _PIPELINE}
    translation = Translation(sections)
    for first, second in translation.conflicts:
        line = document.line(tuple(second.split(".")))
        raise document.error(
            f"{second}: has the same meaning as {first}; keep one of them", line=line
        )
    for dotted, problem in translation.refused:
        raise document.error(f"{dotted}: {problem}", line=document.line(tuple(dotted.split("."))))
    for dotted in translation.unknown:
        section, _, key = dotted.rpartition(".")
        hint = nearest_key(UserConfig, key, (section,), _zoo_keys)
        raise document.error(f"{dotted}: unknown key{hint}", line=document.line((section, key)))
    try:
        config = UserConfig.model_validate(translation.data)
    except ValidationError as error:
        raise explain(error, document, UserConfig, translation.origin, _zoo_keys) from None
    config._passed_over = translation.passed_over  # noqa: SLF001 - set once, by its only maker
    return config


def check(text: str, name: str) -> tuple[dict[str, Any], str]:
    """Check a user config where it is submitted.

    Returns:
        Its sections in today's spelling, as JSON values and without defaults, which ``parse`` reads
        too, and a notice for the user about the keys that have no effect; empty where there are
        none.

    Raises:
        ConfigError: as ``parse``.
    """
    config = parse(text, name)
    sections = config.model_dump(mode="json", by_alias=True, exclude_unset=True)
    told: dict[str, Sequence[str]] = {
        "passed over, meaningless here": config.passed_over,
        "checked, but no step reads it": _unread(sections),
        "no effect while pretrained layers are frozen (training.fine_tune: true trains them)": (
            _for_epochs_alone(sections.get("training", {}))
        ),
    }
    notices = [f"{name}: {what}: {', '.join(keys)}" for what, keys in told.items() if keys]
    return sections, "\n".join(notices)


def check_training(text: str, name: str) -> tuple[dict[str, Any], str]:
    """Check the user config of a pipeline that trains; as ``check`` otherwise.

    Raises:
        ConfigError: as ``parse``; or ``operation_mode`` asks for something else than a training, or
            ``general.model_path`` names the model to train, which is then no new one.
    """
    document = Document(text, name)
    mode = document.data.get("operation_mode")
    if mode is not None and str(mode).lower() not in TRAINING_MODES:
        instead = OTHER_MODES.get(str(mode).lower()) or nearest(str(mode), TRAINING_MODES)[2:]
        raise document.error(
            f"operation_mode: {mode} is no training, and this pipeline trains a new model: "
            f"{instead}; write training or chain_tqe, or leave it out to train",
            line=document.line(("operation_mode",)),
        )
    general, training = document.data.get("general"), document.data.get("training")
    path = general.get("model_path") if isinstance(general, dict) else None
    named = (isinstance(training, dict) and training.get("model")) or document.data.get("model")
    if path and not named:
        raise document.error(
            f"general.model_path: {path} would be trained further; name the network in "
            "training.model.name and these weights in training.model.pretrained_weights",
            line=document.line(("general", "model_path")),
        )
    return check(text, name)


def _unread(sections: dict[str, Any], prefix: str = "") -> list[str]:
    """Dotted keys of ``UNREAD`` that ``sections`` set."""
    found = []
    for key, value in sections.items():
        dotted = f"{prefix}{key}"
        if dotted in UNREAD:
            found += [f"{dotted}.{name}" for name in value] if isinstance(value, dict) else [dotted]
        elif isinstance(value, dict):
            found += _unread(value, f"{dotted}.")
    return found


def _for_epochs_alone(training: dict[str, Any]) -> list[str]:
    """Dotted keys of ``FOR_EPOCHS`` that are set although the classifier alone is fitted."""
    if not training.get("model", {}).get("pretrained_weights") or training.get("fine_tune"):
        return []
    return [f"training.{key}" for key in training if key in FOR_EPOCHS]


def _zoo_keys(section: tuple[str | int, ...]) -> list[str]:
    """Keys of a section that mean something to the model zoo: they count as hints."""
    prefix = "".join(f"{part}." for part in section)
    zoo = [key.removeprefix(prefix) for key in (*PASSED_OVER, *MOVES) if key.startswith(prefix)]
    if section == ("training", "optimizer"):
        zoo += LIFTED
    return sorted(key for key in zoo if "." not in key)
