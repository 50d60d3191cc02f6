"""The encoder, or the text tower, that embeddings came from: any other is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from soundgate.audio.networks.encoders.catalogue import load_encoder, load_text_encoder
from soundgate.audio.networks.encoders.interface import HEAR
from soundgate.errors import DataError, ParameterError

if TYPE_CHECKING:
    from soundgate.audio.networks.encoders.interface import (
        Encoder,
        EncoderSettings,
        TextEncoder,
    )


def encoder_of(settings: EncoderSettings, digest: str, device: str = "cpu") -> Encoder:
    """Load the encoder whose embeddings there are.

    Args:
        settings: its name, and where its weights are now.
        digest: of it, when the embeddings were made.
        device: where it computes, as torch names it.

    Raises:
        ParameterError: its weights are not given.
        DataError: they are others.
        ConfigError: there are none at that path.
        MissingExtra: a library that they need is not installed.
    """
    if settings.path is None and not settings.name.startswith(HEAR):
        raise ParameterError(
            f"encoder: sounds are heard through {settings.name}, whose weights are not kept with "
            "embeddings and heads; give their path"
        )
    encoder = load_encoder(settings, device)
    if encoder.digest != digest:
        raise DataError(
            f"encoder: {settings.path or settings.name} is {settings.name} "
            f"{encoder.digest[:12]}, but the embeddings are of {digest[:12]}; give the same weights"
        )
    return encoder


def tower_of(settings: EncoderSettings, digest: str) -> TextEncoder:
    """Load the text tower of the encoder whose embeddings there are.

    Raises:
        ConfigError: the encoder has none, or file and folder do not fit each other; otherwise as
            ``encoder_of``.
    """
    encoder_of(settings, digest)
    return load_text_encoder(settings)
