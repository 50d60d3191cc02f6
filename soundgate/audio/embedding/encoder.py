"""The encoder that a user config asks for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from soundgate.audio.networks.encoders.interface import EncoderSettings

if TYPE_CHECKING:
    from soundgate.audio.config.sec import SecConfig
    from soundgate.audio.networks.encoders.interface import Encoder


def settings_of(config: SecConfig, weights: Path | None = None) -> EncoderSettings:
    """Which encoder, from where; ``weights`` take the place of the config's path."""
    asked = config.encoder
    path = weights or (Path(asked.path) if asked.path else None)
    text = Path(asked.text_path) if asked.text_path else None
    made = EncoderSettings(name=asked.name, path=path, text_path=text, precision=asked.precision)
    return replace(made, sample_rate_hz=asked.sample_rate_hz)


def load(config: SecConfig, weights: Path | None = None, device: str = "") -> Encoder:
    """Load it, onto the GPU where there is one.

    Args:
        config: the user config.
        weights: where its weights lie now; None: at the config's path.
        device: as torch names it; "": chosen.
    """
    import torch

    from soundgate.audio.networks.encoders.catalogue import load_encoder

    usual = "cuda" if torch.cuda.is_available() else "cpu"
    return load_encoder(settings_of(config, weights), device or usual)
