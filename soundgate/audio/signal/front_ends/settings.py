"""What makes one front end differ from another."""

from __future__ import annotations

from dataclasses import dataclass

from soundgate.errors import ConfigError, nearest

NAMES = ("MEL_SPECTROGRAM", "MFCC", "MULTI_SPECTROGRAM", "WAVELET", "AST", "WAV2VEC")


@dataclass(frozen=True, kw_only=True)
class FrontEndSettings:
    """How waveforms become what a network takes."""

    name: str = "MEL_SPECTROGRAM"
    """One of ``NAMES``; case, blanks and hyphens do not matter."""
    sample_rate_hz: int = 16_000
    """Rate of the waveforms. AST and WAV2VEC need 16 kHz."""
    n_fft: int = 1024
    """Length of the Fourier transform and of its Hann window, samples."""
    hop_length: int = 160
    """Distance between frames, samples."""
    n_mels: int = 128
    """Mel bands; of WAVELET, wavelets; of MULTI_SPECTROGRAM, the rows of each channel."""
    n_mfcc: int = 20
    """Coefficients that MFCC keeps."""
    fmin_hz: float = 0.0
    """Lower edge of the lowest mel band; of WAVELET its lowest frequency, at least 32.7 Hz (C1)."""
    fmax_hz: float | None = None
    """Upper edge of the highest mel band; None: half the rate."""
    height: int | None = None
    """Rows to which images are scaled (bilinear); None: as many as there are bands."""
    frames: int | None = 1024
    """AST alone: each image is cut or filled to so many frames, as its feature extractor does;
    None: as many as the clip has."""
    mean: tuple[float, ...] = ()
    """Subtracted from images: one number, or one a channel, or of one channel one a band; empty:
    the front end's own."""
    standard_deviation: tuple[float, ...] = ()
    """What images are then divided by, likewise."""


def canonical(name: str, known: tuple[str, ...], field: str) -> str:
    """The entry of ``known`` that ``name`` means: case, blanks and hyphens do not matter.

    Raises:
        ConfigError: there is none.

    >>> canonical("mel spectrogram", NAMES, "front_end.name")
    'MEL_SPECTROGRAM'
    """
    plain = "_".join(name.replace("-", " ").replace("_", " ").upper().split())
    if plain not in known:
        raise ConfigError(f"{field}: unknown name {name!r}{nearest(plain, known)}")
    return plain
