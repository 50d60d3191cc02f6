"""Log-mel features, the one place where sound becomes numbers for a network.

``log_mel`` follows ``librosa.feature.melspectrogram`` option by option and agrees with it to
float32 rounding.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch
from torch import Tensor

from soundgate.audio.signal import waveforms
from soundgate.audio.signal.mel_bands import mel_matrix
from soundgate.audio.signal.patches import arrange_patches, frame_count
from soundgate.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from soundgate.audio.config.sections.sound import FeatureExtraction, Preprocessing

Array: TypeAlias = "NDArray[np.float32]"

# librosa.power_to_db's floor and range.
_DB_FLOOR = 1e-10
_DB_RANGE = 80.0
# Frames that go through the transform at once: their spectra stay in the processor's cache.
_BLOCK_FRAMES = 256


def options_of(values: Mapping[str, object]) -> FeatureExtraction:
    """The options of a pretrained network's features, by the names of a config's values."""
    from soundgate.audio.config.sections.sound import FeatureExtraction

    return FeatureExtraction.model_validate(dict(values))


def log_mel(waveform: Tensor, options: FeatureExtraction, sample_rate_hz: int) -> Tensor:
    """Log-mel spectrogram.

    Args:
        waveform: float32 (sample,) or (batch, sample), nominally in -1..1.
        options: window, transform, bands and scale.
        sample_rate_hz: the waveform's rate.

    Returns:
        float32 (frame, mel) or (batch, frame, mel): log(mel + ``log_offset``), or with ``to_db`` dB
        below each clip's maximum, cut 80 dB below it.

    Raises:
        ParameterError: the waveform is shorter than one frame, or ``fmax`` exceeds half the rate.
    """
    samples = waveform.shape[-1]
    if frame_count(samples, options) < 1:
        raise ParameterError(
            f"{samples} samples are fewer than one frame of {options.n_fft}; give a longer waveform"
        )
    constants = constants_of(options, sample_rate_hz)
    framed = _padded(waveform, options).unfold(-1, options.n_fft, options.hop_length)
    # An exported graph takes any number of frames, so it has no blocks.
    blocks = (framed,) if torch.compiler.is_compiling() else torch.split(framed, _BLOCK_FRAMES, -2)
    parts = [_mel_spectrogram(block, options, constants) for block in blocks]
    mel = parts[0] if len(parts) == 1 else torch.cat(parts, dim=-2)
    if options.to_db:
        level_db = 10.0 * torch.log10(mel.clamp(min=_DB_FLOOR))
        level_db = level_db - level_db.amax(dim=(-2, -1), keepdim=True)
        return level_db.clamp(min=-_DB_RANGE)
    return torch.log(mel + options.log_offset)


def _mel_spectrogram(
    framed: Tensor, options: FeatureExtraction, constants: tuple[Array, Array, int, int]
) -> Tensor:
    """Mel spectrogram (..., frame, mel) of frames of samples (..., frame, n_fft)."""
    window, bank = (torch.from_numpy(array).to(framed.device) for array in constants[:2])
    first, last = constants[2:]
    spectrum = torch.fft.rfft(framed * window)
    # Only the bins that some band weighs: the others cost as much and count for nothing.
    real, imag = spectrum.real[..., first:last], spectrum.imag[..., first:last]
    power = torch.addcmul(real * real, imag, imag)
    return raised(power, options.power) @ bank


def clip_frames(
    path: Path,
    preprocessing: Preprocessing,
    options: FeatureExtraction,
    *,
    start_s: float | None = None,
    end_s: float | None = None,
) -> Array:
    """Log-mel frames float32 (frame, mel) of a clip of any length, at least one patch of them.

    Args:
        path: the audio file.
        preprocessing: what is done to the waveform.
        options: how frames and patches are cut.
        start_s: first second of the clip in the file; None is the beginning of the file.
        end_s: last second of the clip in the file; None is the end of the file.

    Raises:
        DataError: the file cannot be decoded.
    """
    samples, _ = waveforms.decode(path, preprocessing, start_s=start_s, end_s=end_s)
    samples = arrange_patches(samples, preprocessing, options).apply(samples)
    with torch.inference_mode():
        mel = log_mel(torch.from_numpy(samples), options, preprocessing.target_rate)
    frames: Array = mel.numpy()
    return frames


@functools.lru_cache(maxsize=16)
def constants_of(options: FeatureExtraction, sample_rate_hz: int) -> tuple[Array, Array, int, int]:
    """Window (n_fft,), mel bank (bin, mel) cut to the bins that count, first and last such bin.

    Arrays, not tensors: a tensor made while a graph is traced or in inference mode would be of no
    use to the calls after it.
    """
    bank = mel_matrix(options, sample_rate_hz)
    used = np.flatnonzero(bank.any(axis=1))
    first, last = (int(used[0]), int(used[-1]) + 1) if used.size else (0, 1)
    before = (options.n_fft - options.window_length) // 2
    window = np.zeros(options.n_fft, dtype=np.float32)
    window[before : before + options.window_length] = _window(options)
    return window, bank[first:last].copy(), first, last


def _window(options: FeatureExtraction) -> NDArray[np.float64]:
    """The window in its periodic form: a symmetric one of one more sample, less the last."""
    shapes: dict[str, Callable[[int], NDArray[np.float64]]] = {
        "hann": np.hanning,
        "hamming": np.hamming,
        "blackman": np.blackman,
        "bartlett": np.bartlett,
        "boxcar": np.ones,
    }
    return shapes[options.window](options.window_length + 1)[:-1]


def _padded(waveform: Tensor, options: FeatureExtraction) -> Tensor:
    if not options.center:
        return waveform
    mode = {"edge": "replicate"}.get(options.pad_mode, options.pad_mode)
    width = options.n_fft // 2
    # torch mirrors and repeats (batch, channel, sample) only.
    shaped = waveform.reshape(-1, 1, waveform.shape[-1])
    padded = torch.nn.functional.pad(shaped, (width, width), mode=mode)
    return padded.reshape(*waveform.shape[:-1], -1)


def raised(power: Tensor, exponent: float) -> Tensor:
    """|X| to ``exponent``, from |X| squared."""
    if exponent == 2:
        return power
    return power.sqrt() if exponent == 1 else power.pow(exponent / 2)
