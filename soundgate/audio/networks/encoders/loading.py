"""Models of ``transformers``: fresh, or with the weights of a folder or a file."""

from __future__ import annotations

import contextlib
import logging
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from soundgate.errors import ConfigError, MissingExtra

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from torch import Tensor, nn

CONFIG = "config.json"
TAGGERS = ("AST", "WAV2VEC", "WAV2VEC_CNN")
"""Names of taggers' networks."""
CLASSES = {
    "AST": ("ASTConfig", "ASTForAudioClassification"),
    "WAV2VEC": ("Wav2Vec2Config", "Wav2Vec2ForSequenceClassification"),
    "WAV2VEC_CNN": ("Wav2Vec2Config", "Wav2Vec2Model"),
    "ast": ("ASTConfig", "ASTModel"),
    "wav2vec2": ("Wav2Vec2Config", "Wav2Vec2Model"),
    "hubert": ("HubertConfig", "HubertModel"),
    "wavlm": ("WavLMConfig", "WavLMModel"),
    "whisper": ("WhisperConfig", "WhisperModel"),
    "laion-clap": ("ClapConfig", "ClapModel"),
    "gpt2": ("GPT2Config", "GPT2Model"),
    "bert": ("BertConfig", "BertModel"),
}
"""Names of taggers' networks, of encoders and of text towers, with a config and a model of
``transformers``."""


@dataclass(frozen=True)
class Loaded:
    """A model of ``transformers``."""

    model: Any
    config: Any
    missing: tuple[str, ...] = ()
    """Weights that the file lacks."""
    unexpected: tuple[str, ...] = ()
    """Weights of the file that the model lacks."""
    mismatched: tuple[str, ...] = ()
    """Weights of another shape."""


def config_of(name: str, folder: Path | None, labels: int) -> Any:
    """The config of a model: that of ``folder``, else the base size with ``labels`` labels.

    Raises:
        ConfigError: the folder has no config, or that of another kind of model.
        MissingExtra: transformers is not installed.
    """
    kind = getattr(library(), CLASSES[name][0])
    if folder is None:
        return _plain(kind(num_labels=labels))
    path = folder / CONFIG
    if not path.is_file():
        raise ConfigError(f"{path} does not exist; give a folder that save_pretrained wrote")
    with _quiet():
        try:
            read, _ = kind.get_config_dict(str(folder), local_files_only=True)
            found = read.get("model_type")
            if found == kind.model_type:
                return _plain(kind.from_dict(read))
        except (OSError, ValueError, TypeError) as error:
            reason = " ".join(str(error).split())[:160]
            raise ConfigError(f"{path} cannot be read: {reason}; save the model again") from error
    raise ConfigError(f"{path}: model_type is {found!r}; {name} needs {kind.model_type!r}")


def fresh(name: str, config: Any) -> nn.Module:
    """A model with fresh weights."""
    with _quiet():
        model: nn.Module = getattr(library(), CLASSES[name][1])(config)
    return model


def with_weights(
    name: str, config: Any, folder: Path | None, tensors: Mapping[str, Tensor] | None
) -> Loaded:
    """A model with the weights of a folder, or with ``tensors`` of a file; nothing is fetched.

    Raises:
        ConfigError: the folder holds no weights that can be read.
    """
    kind = getattr(library(), CLASSES[name][1])
    given: Any = {"state_dict": dict(tensors)} if tensors is not None else {}
    with _quiet():
        try:
            model, found = kind.from_pretrained(
                None if tensors is not None else str(folder),
                config=config,
                local_files_only=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
                dtype=torch.float32,
                weights_only=True,
                **given,
            )
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            reason = " ".join(str(error).split())[:160]
            raise ConfigError(f"{folder}: no weights of {name}: {reason}") from error
    mismatched = (key[0] if isinstance(key, tuple) else key for key in found["mismatched_keys"])
    return Loaded(
        model.train(),
        config,
        tuple(sorted(found["missing_keys"])),
        tuple(sorted(found["unexpected_keys"])),
        tuple(sorted(mismatched)),
    )


def library() -> Any:
    """The library, loaded when it is first needed: it takes seconds.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        with _quiet():
            import transformers
    except ImportError as error:
        message = f"{error.name} is not installed; pip install 'soundgate[clap]'"
        raise MissingExtra(message) from error
    transformers.utils.logging.disable_progress_bar()
    return transformers


def _plain(config: Any) -> Any:
    """Without augmentation of its own, which would draw from numpy's global generator."""
    config.apply_spec_augment = False
    return config


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library's reports about weights out of a step's log; they are returned instead."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            for kind in (FutureWarning, DeprecationWarning, UserWarning):
                warnings.simplefilter("ignore", kind)
            yield
    finally:
        logging.disable(before)
