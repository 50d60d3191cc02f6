"""Encoders by name: the one place that knows them all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from soundgate.audio.files.digests import sha256_of
from soundgate.audio.networks import weights
from soundgate.audio.networks.encoders import hear, onnx_program, text, yamnet
from soundgate.audio.networks.encoders.clap import microsoft, package
from soundgate.audio.networks.encoders.clap.text import load_text
from soundgate.audio.networks.encoders.interface import HEAR
from soundgate.audio.networks.encoders.module import ModuleEncoder, digest_of
from soundgate.audio.networks.encoders.transformer import folder as stored
from soundgate.audio.networks.encoders.transformer import laion, patches, speech, whisper
from soundgate.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from soundgate.audio.networks.encoders.interface import (
        Encoder,
        EncoderSettings,
        TextEncoder,
    )
    from soundgate.audio.networks.encoders.module import EncoderModule

MICROSOFT = ("clap-2023", "clap-2022")
FOLDERS = ("laion-clap", "ast", "wav2vec2", "hubert", "wavlm", "whisper")
"""Encoders of ``transformers``, whose path is a folder."""

_SPEECH = ("wav2vec2", "hubert", "wavlm")
_LOADERS: dict[str, Callable[[Path], EncoderModule]] = {
    "msclap-2023": package.load,
    "laion-clap": laion.load,
    "ast": patches.load,
    "whisper": whisper.load,
    "yamnet": yamnet.load,
}


def load_encoder(settings: EncoderSettings, device: str = "cpu") -> Encoder:
    """Load an encoder; nothing is fetched.

    Args:
        settings: which, and where its weights lie.
        device: where it computes, as torch names it.

    Raises:
        ConfigError: weights are missing, damaged or of another encoder; a GPU is asked for that is
            not there.
        MissingExtra: a library is not installed.
    """
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(f"device: {device} is not available here; give cpu")
    name = settings.name
    if name.startswith(HEAR):
        _plain(settings)
        return hear.HearEncoder(name.removeprefix(HEAR), settings.path, device)
    path = _path(settings)
    if name == "onnx":
        return onnx_program.OnnxEncoder(path, settings.sample_rate_hz)
    module = _module(name, path)
    digest = digest_of(name=name, weights=_digest(name, path), precision=settings.precision)
    return ModuleEncoder(name, digest, module, device, settings.precision)


def load_text_encoder(settings: EncoderSettings) -> TextEncoder:
    """Load the text tower that belongs to an encoder; it computes on the CPU.

    Raises:
        ConfigError: the encoder has none, or file and folder do not fit each other.
        MissingExtra: transformers is not installed.
    """
    name, path = settings.name, _path(settings)
    tower: text.Tower
    if name in MICROSOFT:
        tokens = settings.text_path
        if tokens is None:
            raise ConfigError(
                f"encoder.text_path: {name} reads with a tower whose config and tokens lie in a "
                "folder; give it, see `soundgate stage-assets`"
            )
        tower = load_text(name, path, tokens).eval()
    elif name == "laion-clap":
        tokens = settings.text_path or path
        tower = laion.load_text(path).eval()
    else:
        raise ConfigError(f"encoder.name: {name} has no text tower; clap-2023 and laion-clap do")
    ended = name == "clap-2023"
    tokenizer = text.tokenizer_in(tokens, tower.vocabulary, ended=ended)
    digest = digest_of(text=name, weights=_digest(name, path), tokens=stored.digest(tokens))
    return text.SentenceEncoder(tower, digest, tokenizer, ended=ended)


def _module(name: str, path: Path) -> EncoderModule:
    if name in MICROSOFT:
        return microsoft.load_audio(name, path)
    if name in _SPEECH:
        return speech.load(name, path)
    return _LOADERS[name](path)


def _digest(name: str, path: Path) -> str:
    if name in FOLDERS:
        return stored.digest(path)
    return sha256_of(path) if name == "yamnet" else weights.digest(path)


def _path(settings: EncoderSettings) -> Path:
    _plain(settings)
    if settings.path is None:
        what = (
            "the folder that save_pretrained wrote" if settings.name in FOLDERS else "its weights"
        )
        raise ConfigError(f"encoder.path: {settings.name} needs {what}; {_source(settings.name)}")
    if not settings.path.exists():
        raise ConfigError(f"encoder.path: {settings.path} does not exist; {_source(settings.name)}")
    return settings.path


def _source(name: str) -> str:
    """Where an encoder's weights are to be had."""
    if name == "yamnet":
        return "`python -m soundgate.audio.networks.keras` says where YAMNets are"
    if name == "onnx":
        return "`soundgate export-encoder` writes ONNX programs"
    return f"`soundgate stage-assets` brings what {name} needs to machines without internet"


def _plain(settings: EncoderSettings) -> None:
    """Refuse what only some encoders have."""
    if settings.name.startswith(HEAR) and settings.precision != "fp32":
        raise ConfigError(f"encoder.precision: {settings.name} computes in what its package does")
    if settings.name == "onnx" and settings.precision == "bf16":
        raise ConfigError("encoder.precision: an ONNX program computes in what it was made in")
    if settings.sample_rate_hz is not None and settings.name != "onnx":
        raise ConfigError(
            f"encoder.sample_rate_hz: {settings.name} knows its own rate; leave it out"
        )
