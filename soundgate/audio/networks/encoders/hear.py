"""Packages with the HEAR 2021 common API (Turian et al. 2022), by the name of their module."""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from soundgate.audio.files.digests import sha256_of
from soundgate.audio.networks.encoders.interface import HEAR
from soundgate.audio.networks.encoders.module import check_length, digest_of
from soundgate.errors import ConfigError, MissingExtra

if TYPE_CHECKING:
    from torch import Tensor

_CALLS = ("load_model", "get_scene_embeddings", "get_timestamp_embeddings")
_FACTS = ("sample_rate", "scene_embedding_size", "timestamp_embedding_size")


class HearEncoder:
    """An ``interface.Encoder`` of a package; it takes waveforms of any length."""

    window_samples = None

    def __init__(self, module_name: str, path: Path | None, device: str) -> None:
        """Load a package's model.

        Raises:
            ConfigError: the package has not the API, or cannot load the file.
            MissingExtra: it is not installed.
        """
        self._package = _package(module_name)
        given = () if path is None else (str(path),)
        if path is not None and not path.exists():
            raise ConfigError(f"encoder.path: {path} does not exist; give a file of {module_name}")
        try:
            self._model: Any = self._package.load_model(*given)
        except Exception as error:  # whatever a package raises
            reason = " ".join(str(error).split())[:160]
            raise ConfigError(
                f"encoder.name: {module_name}.load_model failed: {type(error).__name__}: {reason}"
            ) from error
        lacking = [fact for fact in _FACTS if not hasattr(self._model, fact)]
        if lacking:
            raise ConfigError(
                f"encoder.name: the model of {module_name} has no {', '.join(lacking)}, which the "
                "HEAR API demands"
            )
        if hasattr(self._model, "to"):
            self._model = self._model.to(device)
        if hasattr(self._model, "eval"):
            self._model.eval()
        self.name, self.device = f"{HEAR}{module_name}", device
        self.sample_rate_hz = int(self._model.sample_rate)
        self.embedding_size = int(self._model.scene_embedding_size)
        held = sha256_of(path) if path is not None and path.is_file() else None
        code = _code_digest(self._package)
        self.digest = digest_of(name=self.name, weights=held, path=str(path), code=code)

    def scenes(self, waveforms: Tensor) -> Tensor:
        """See ``interface.Encoder``."""
        check_length(self.name, waveforms, self.window_samples)
        with torch.inference_mode():
            found: Tensor = self._package.get_scene_embeddings(
                waveforms.to(self.device), self._model
            )
        return found.float().cpu()

    def times(self, waveforms: Tensor) -> tuple[Tensor, Tensor]:
        """See ``interface.Encoder``."""
        check_length(self.name, waveforms, self.window_samples)
        with torch.inference_mode():
            found, middles = self._package.get_timestamp_embeddings(
                waveforms.to(self.device), self._model
            )
        return found.float().cpu(), middles.float().cpu()


def _package(module_name: str) -> Any:
    try:
        package = importlib.import_module(module_name)
    except ImportError as error:
        raise MissingExtra(
            f"encoder.name: {error.name or module_name} is not installed; install the package that "
            f"holds {module_name}"
        ) from error
    lacking = [call for call in _CALLS if not callable(getattr(package, call, None))]
    if lacking:
        raise ConfigError(
            f"encoder.name: {module_name} has no {', '.join(lacking)}, which the HEAR API demands"
        )
    return package


def _code_digest(package: Any) -> str:
    """SHA-256 over a package's Python files: its numbers come from them."""
    file = Path(package.__file__)
    files = sorted(file.parent.rglob("*.py")) if file.name == "__init__.py" else [file]
    found = hashlib.sha256()
    for one in files:
        found.update(f"{one.relative_to(file.parent)} {sha256_of(one)}\n".encode())
    return found.hexdigest()
