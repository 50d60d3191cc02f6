"""The audio half of the package ``msclap`` itself: the reference that ``clap-2023`` equals."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from soundgate.audio.networks import weights
from soundgate.audio.networks.encoders.clap.microsoft import AUDIO, RATE_HZ
from soundgate.audio.networks.encoders.module import EncoderModule
from soundgate.errors import MissingExtra

if TYPE_CHECKING:
    from pathlib import Path

_SECONDS, _SIZE = 7, 1024
# msclap's configs/config_2023.yml.
_SETTINGS: dict[str, Any] = {
    "audioenc_name": "HTSAT",
    "d_in": 768,
    "d_out": _SIZE,
    "sample_rate": RATE_HZ,
    "window_size": 1024,
    "hop_size": 320,
    "mel_bins": 64,
    "fmin": 50,
    "fmax": 8000,
    "classes_num": 527,
}


class Msclap(EncoderModule):
    """``msclap.models.clap.AudioEncoder`` of the year 2023."""

    sample_rate_hz = RATE_HZ
    window_samples = _SECONDS * RATE_HZ
    embedding_size = _SIZE

    def __init__(self, encoder: Any) -> None:
        """Take an encoder of the package."""
        super().__init__()
        self.encoder = encoder

    def forward(self, waveforms: Tensor) -> Tensor:
        """See ``EncoderModule``."""
        found: Tensor = self.encoder(waveforms)[0]
        return found

    def times(self, waveforms: Tensor) -> tuple[Tensor, Tensor]:
        """One embedding of the whole window: the package has none over time."""
        return self(waveforms).unsqueeze(1), torch.tensor([_SECONDS * 500.0])


def load(path: Path) -> Msclap:
    """Load the package's network with the weights of a file, all of them.

    Raises:
        ConfigError: the file is missing, or of another network.
        MissingExtra: the package is not installed.
    """
    given = {
        name.removeprefix(AUDIO): value
        for name, value in weights.read(path).items()
        if name.startswith(AUDIO)
    }
    encoder = _class()(**_SETTINGS)
    weights.check(
        path,
        given,
        encoder.state_dict(),
        field="encoder.path",
        fix="give CLAP_weights_2023.pth",
    )
    encoder.load_state_dict(given)
    return Msclap(encoder)


def _class() -> Any:
    try:
        # The package silences all warnings of the process that imports it.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from msclap.models.clap import AudioEncoder
    except ImportError as error:
        raise MissingExtra(
            f"{error.name} is not installed; pip install --no-deps msclap==1.3.4 "
            "torchlibrosa==0.1.0, beside 'soundgate[clap]'"
        ) from error
    return AudioEncoder
