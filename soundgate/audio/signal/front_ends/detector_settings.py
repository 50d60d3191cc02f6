"""How a detector of animal calls hears a window; without torch, which takes seconds to import."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from soundgate.errors import ConfigError, nearest

COMPRESSIONS: Final = ("linear", "mel", "mfcc")
NORMALISATIONS: Final = ("min_max", "reference")
MFCC: Final = 32
"""Coefficients of ``mfcc``, counted from the second: the first is the loudness."""


@dataclass(frozen=True, kw_only=True)
class DetectorFrontEndSettings:
    """How a window of sound becomes an image."""

    sample_rate_hz: int = 48_000
    pre_emphasis: float = 0.98
    """Share of the sample before that is subtracted from each."""
    n_fft: int = 2048
    """Length of the Fourier transform and of its Hann window, samples."""
    hop_length: int = 1024
    """Distance between frames, samples."""
    freq_compression: str = "linear"
    """``linear``: the FFT bins between the limits, repeated or left out to make ``n_freq_bins``;
    ``mel``: so many mel bands; ``mfcc``: 32 cepstral coefficients of so many mel bands."""
    n_freq_bins: int = 128
    fmin_hz: float = 200.0
    fmax_hz: float = 4000.0
    min_level_db: float = -100.0
    """Quieter is this quiet."""
    normalisation: str = "min_max"
    """``min_max``: the least level of a window is 0, its highest 1; ``reference``: ``min_level_db``
    below ``ref_level_db`` is 0, ``ref_level_db`` is 1."""
    ref_level_db: float = 20.0

    def __post_init__(self) -> None:
        """Check names and numbers.

        Raises:
            ConfigError: one of them is out of range.
        """
        for field, known in (
            ("freq_compression", COMPRESSIONS),
            ("normalisation", NORMALISATIONS),
        ):
            if getattr(self, field) not in known:
                given = getattr(self, field)
                raise ConfigError(
                    f"audio.{field}: unknown {given!r}{nearest(given, known)}; choose "
                    f"{', '.join(known)}"
                )
        highest = self.sample_rate_hz / 2
        if not 0 <= self.fmin_hz < self.fmax_hz <= highest:
            raise ConfigError(
                f"audio.fmax_hz: {self.fmin_hz:g} to {self.fmax_hz:g} Hz is no range up to half "
                f"the sample rate, {highest:g} Hz; set fmin_hz and fmax_hz within it"
            )
        if self.min_level_db >= self.ref_level_db:
            raise ConfigError(
                f"audio.min_level_db: {self.min_level_db:g} must be below ref_level_db, "
                f"{self.ref_level_db:g}"
            )

    @property
    def bins(self) -> int:
        """Columns of an image."""
        return MFCC if self.freq_compression == "mfcc" else self.n_freq_bins

    def frames(self, samples: int) -> int:
        """Frames of a window of so many samples."""
        return 1 + (samples - self.n_fft) // self.hop_length
