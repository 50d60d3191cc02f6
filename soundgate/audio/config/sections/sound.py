"""The sections about sound: ``preprocessing`` and ``feature_extraction``."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from soundgate.audio.config.sections.section import Section


class Preprocessing(Section):
    """From a file to the waveform that features are taken of."""

    min_length: float = Field(default=1.0, ge=0)
    """Shortest clip, seconds; a shorter one is repeated up to it."""
    max_length: float = Field(default=10.0, gt=0)
    """Longest clip, seconds; the rest of a longer one is not read."""
    target_rate: int = Field(default=16000, ge=1000)
    """Sample rate of all clips, Hz."""
    top_db: float | None = Field(default=60.0, gt=0)
    """Frames this far below the loudest frame of the clip are silence, dB; null: all is kept."""
    frame_length: int = Field(default=3200, ge=1)
    """Length of a frame that is judged to be silence or not, samples."""
    hop_length: int = Field(default=3200, ge=1)
    """Distance between such frames, samples."""
    trim_last_second: bool = False
    """Whether what exceeds a whole number of seconds is cut off, once silence is removed."""
    lengthen: Literal["after", "before"] = "after"
    """Whether a short clip is repeated after or before silence is removed."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.min_length > self.max_length:
            raise ValueError(f"min_length {self.min_length} s exceeds max_length")
        return self


class FeatureExtraction(Section):
    """From a waveform to log-mel patches; the defaults are YAMNet's, lengths at 16 kHz."""

    patch_length: int = Field(default=96, ge=1)
    """Length of a patch, frames."""
    n_mels: int = Field(default=64, ge=1)
    """Number of mel bands."""
    overlap: float = Field(default=0.25, ge=0, lt=1)
    """Share of a patch that the next one repeats."""
    n_fft: int = Field(default=512, ge=2)
    """Length of the Fourier transform, samples."""
    hop_length: int = Field(default=160, ge=1)
    """Distance between frames, samples."""
    window_length: int = Field(default=400, ge=1)
    """Length of the window, samples; centred in ``n_fft``."""
    window: Literal["hann", "hamming", "blackman", "bartlett", "boxcar"] = "hann"
    """Shape of the window, in its periodic form."""
    center: bool = False
    """Whether the signal is padded so that frame t is centred at t * ``hop_length``."""
    pad_mode: Literal["constant", "reflect", "edge"] = "constant"
    """What stands in the padding that ``center`` adds: zeros, the mirrored or the last sample."""
    power: float = Field(default=1.0, gt=0)
    """Exponent of the magnitude: 1 amplitude, 2 power."""
    fmin: float = Field(default=125.0, ge=0)
    """Lower edge of the lowest band, Hz."""
    fmax: float | None = Field(default=7500.0, gt=0)
    """Upper edge of the highest band, Hz; null: half the sample rate."""
    norm: Literal["slaney"] | None = None
    """``slaney``: every band's area is 1; null: every band's peak is 1."""
    htk: bool = True
    """Whether the mel scale is HTK's; otherwise it is Slaney's."""
    to_db: bool = False
    """Whether the features are dB below the clip's maximum; otherwise log(mel + log_offset)."""
    log_offset: float = Field(default=1e-4, gt=0)
    """Added before the logarithm, in the unit of the mel spectrogram."""
    include_last_patch: bool = False
    """Whether the end of a clip that fills no patch is covered by one more, aligned to the end."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.window_length > self.n_fft:
            raise ValueError(f"window_length {self.window_length} exceeds n_fft {self.n_fft}")
        if self.fmax is not None and self.fmin >= self.fmax:
            raise ValueError(f"fmin {self.fmin} Hz is not below fmax {self.fmax} Hz")
        return self
