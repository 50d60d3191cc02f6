"""CLAP of Microsoft (Elizalde et al. 2022, 2023) with the published weights, loaded strictly.

A file is what ``torch.save({"model": CLAP(...).state_dict()})`` writes. What it must hold follows
from the shapes in it, so that smaller networks of the same kind load too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from soundgate.audio.networks import weights
from soundgate.audio.networks.encoders.clap import cnn14, htsat
from soundgate.audio.networks.encoders.module import EncoderModule
from soundgate.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

RATE_HZ = 44_100
AUDIO, TEXT, SCALE = "audio_encoder.", "caption_encoder.", "logit_scale"
"""What the names of weights begin with: of sounds, of sentences; and one by itself."""
_BASE, _PROJECTION = f"{AUDIO}base.", "projection."
# HTS-AT lies one deeper in the file than Cnn14.
_HTSAT = f"{_BASE}htsat."
_SECONDS = {"clap-2023": 7, "clap-2022": 5}


class AudioNetwork(Protocol):
    """HTS-AT or Cnn14."""

    def expected(self) -> dict[str, Tensor]:
        """Everything that a file holds of the network, by its name there."""
        ...

    def take(self, path: Path, given: Mapping[str, Tensor]) -> None:
        """Take weights that ``expected`` lists."""
        ...


class Projection(nn.Module):
    """From a network's own vectors into the space that sounds and sentences share."""

    def __init__(self, taken: int, given: int) -> None:
        """Make the layers."""
        super().__init__()
        self.linear1 = nn.Linear(taken, given, bias=False)
        self.linear2 = nn.Linear(given, given, bias=False)
        self.layer_norm = nn.LayerNorm(given)

    def forward(self, vectors: Tensor) -> Tensor:
        """Project vectors (..., size); the result has length ``sqrt(size)``, not 1."""
        first = self.linear1(vectors)
        found: Tensor = self.layer_norm(first + self.linear2(functional.gelu(first)))
        return found


class MicrosoftClap(EncoderModule):
    """The half of CLAP that hears."""

    sample_rate_hz = RATE_HZ

    def __init__(self, base: htsat.Htsat | cnn14.Cnn14, size: int, seconds: int) -> None:
        """Join a network and a projection into ``size`` numbers."""
        super().__init__()
        self.window_samples = seconds * RATE_HZ
        self.embedding_size = size
        self.base = base
        self.projection = Projection(base.geometry.embedding_size, size)

    def forward(self, waveforms: Tensor) -> Tensor:
        """Embeddings float32 (clip, size), as ``CLAP.get_audio_embeddings`` gives them."""
        found = self.base(waveforms)
        if isinstance(self.base, htsat.Htsat):
            found = found.mean(1)
        projected: Tensor = self.projection(found)
        return projected

    def times(self, waveforms: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings of parts of the window in the same space: 0.22 s of 2023, 0.23 s of 2022."""
        in_time = self.base if isinstance(self.base, htsat.Htsat) else self.base.in_time
        found = self.projection(in_time(waveforms))
        count = found.shape[1]
        length_ms = waveforms.shape[-1] / RATE_HZ * 1000
        return found, (torch.arange(count) + 0.5) * (length_ms / count)


def load_audio(name: str, path: Path) -> MicrosoftClap:
    """The half that hears, with the weights of a file.

    Args:
        name: ``clap-2023`` or ``clap-2022``.
        path: its .pth or .safetensors file.

    Raises:
        ConfigError: the file is missing, or of another network than ``name``.
        DataError: it is damaged, or its spectrogram is another than the published one.
    """
    given = weights.read(path)
    inside = _HTSAT if name == "clap-2023" else _BASE
    held = _below(given, inside)
    base = _network(name, path, held)
    projection = _below(given, f"{AUDIO}{_PROJECTION}")
    size = len(projection.get("layer_norm.bias", ()))
    if not size:
        raise ConfigError(f"encoder.path: {path} holds no {AUDIO}{_PROJECTION}; {_fix(name)}")
    module = MicrosoftClap(base, size, _SECONDS[name])
    wanted = {f"{inside}{key}": value for key, value in base.expected().items()}
    wanted |= _named(f"{AUDIO}{_PROJECTION}", module.projection.state_dict())
    counters = [key for key in wanted if key.endswith("num_batches_tracked")]
    heard = {key: value for key, value in given.items() if key.startswith(AUDIO)}
    weights.check(path, heard, wanted, may_lack=counters, field="encoder.path", fix=_fix(name))
    base.take(path, held)
    module.projection.load_state_dict(projection)
    return module


def _network(name: str, path: Path, held: Mapping[str, Tensor]) -> htsat.Htsat | cnn14.Cnn14:
    """A network of the size of the one in a file, without its weights."""
    if name == "clap-2023":
        large = htsat.geometry_of(held)
        if large is not None:
            return htsat.Htsat(large)
    else:
        flat = cnn14.geometry_of(held)
        if flat is not None:
            return cnn14.Cnn14(flat)
    kind = "HTS-AT" if name == "clap-2023" else "Cnn14"
    raise ConfigError(f"encoder.path: {path} holds no {kind} of CLAP; {_fix(name)}")


def _fix(name: str) -> str:
    return f"give CLAP_weights_{name.removeprefix('clap-')}.pth, or set encoder.name to its network"


def _below(given: Mapping[str, Tensor], place: str) -> dict[str, Tensor]:
    return {key.removeprefix(place): value for key, value in given.items() if key.startswith(place)}


def _named(place: str, held: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{place}{key}": value for key, value in held.items()}
