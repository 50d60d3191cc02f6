"""Log-mel features, the one place where sound becomes numbers for a network.

``log_mel`` follows ``librosa.feature.melspectrogram`` option by option and agrees with it to
float32 rounding; ``extract`` runs it over a data set as a stream.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch
from torch import Tensor

from soundgate.audio.clips import selection
from soundgate.audio.clips.manifest import Clip, read_manifest
from soundgate.audio.files import threads
from soundgate.audio.formats import features as frames
from soundgate.audio.signal import waveforms
from soundgate.errors import DataError, ParameterError
from soundgate.progress import track

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from soundgate.audio.config import FeatureExtraction, Preprocessing, UserConfig

Array: TypeAlias = "NDArray[np.float32]"

# librosa.power_to_db's floor and range.
_DB_FLOOR = 1e-10
_DB_RANGE = 80.0
# Frames that go through the transform at once: their spectra stay in the processor's cache.
_BLOCK_FRAMES = 256


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
            f"{samples} samples are less than one frame of {options.n_fft}; give a longer waveform"
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


def frame_count(samples: int, options: FeatureExtraction) -> int:
    """Number of frames of a waveform of ``samples`` samples; 0 or less where it has none."""
    padding = 2 * (options.n_fft // 2) if options.center else 0
    if options.center and options.pad_mode == "reflect" and samples <= options.n_fft // 2:
        return 0
    return 1 + (samples + padding - options.n_fft) // options.hop_length


def least_samples(options: FeatureExtraction) -> int:
    """Samples of the shortest waveform that fills a patch."""
    half = options.n_fft // 2 if options.center else 0
    one_patch = options.hop_length * (options.patch_length - 1) + options.n_fft - 2 * half
    if half and options.pad_mode == "reflect":
        return max(one_patch, half + 1)
    return max(one_patch, 1)


def arrange(
    samples: Array, preprocessing: Preprocessing, options: FeatureExtraction
) -> waveforms.Arrangement:
    """How a clip (sample,) is prepared; one that fills no patch is repeated until it does.

    ``extract`` refuses such a clip instead: in a data set it is a mistake.
    """
    arrangement = waveforms.arrange(samples, preprocessing)
    return replace(arrangement, least_after=max(arrangement.least_after, least_samples(options)))


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
    samples = waveforms.decode(path, preprocessing, start_s=start_s, end_s=end_s)
    samples = arrange(samples, preprocessing, options).apply(samples)
    with torch.inference_mode():
        mel = log_mel(torch.from_numpy(samples), options, preprocessing.target_rate)
    frames: Array = mel.numpy()
    return frames


def patch_starts(
    frame_total: int, patch_length: int, overlap: float, *, include_last_patch: bool = False
) -> NDArray[np.int64]:
    """First frames of the patches that a clip is cut into, int64 (patch,).

    Neighbours are ``patch_length - floor(patch_length * overlap)`` frames apart; frames at the end
    that fill no patch are left out, or covered by one more patch that ends with the clip.

    Args:
        frame_total: frames of the clip.
        patch_length: frames of a patch.
        overlap: share of a patch that the next one repeats, 0 to below 1.
        include_last_patch: whether the end is covered too.

    Returns:
        Empty for a clip shorter than one patch.
    """
    step = patch_length - int(patch_length * overlap)
    starts = np.arange(0, frame_total - patch_length + 1, step, dtype=np.int64)
    if include_last_patch and starts.size and starts[-1] + patch_length < frame_total:
        starts = np.append(starts, frame_total - patch_length)
    return starts


def mel_matrix(options: FeatureExtraction, sample_rate_hz: int) -> NDArray[np.float32]:
    """Weights of the triangular mel bands, float32 (bin, mel), as ``librosa.filters.mel``.

    Mel scales: HTK (Young et al., The HTK Book), and Slaney's Auditory Toolbox (1998), linear below
    1 kHz and logarithmic above.

    Raises:
        ParameterError: ``fmax`` exceeds half the rate.
    """
    fmax_hz = sample_rate_hz / 2 if options.fmax is None else options.fmax
    if fmax_hz > sample_rate_hz / 2:
        raise ParameterError(
            f"feature_extraction.fmax {fmax_hz:g} Hz exceeds half of {sample_rate_hz} Hz; lower it"
        )
    ends = _mel(np.array([options.fmin, fmax_hz]), htk=options.htk)
    edges_hz = _hertz(np.linspace(ends[0], ends[1], options.n_mels + 2), htk=options.htk)
    bins_hz = np.fft.rfftfreq(options.n_fft, 1 / sample_rate_hz)[:, None]
    rising = (bins_hz - edges_hz[:-2]) / np.diff(edges_hz)[:-1]
    falling = (edges_hz[2:] - bins_hz) / np.diff(edges_hz)[1:]
    weights = np.maximum(0.0, np.minimum(rising, falling))
    if options.norm == "slaney":
        weights *= 2.0 / (edges_hz[2:] - edges_hz[:-2])
    return weights.astype(np.float32)


def extract(
    clips: Path, features: Path, config: UserConfig, *, cache: Path | None = None, workers: int = 1
) -> None:
    """Compute the features of a data set.

    Args:
        clips: folder with ``manifest.jsonl`` and the audio.
        features: folder to write ``frames.npy``, ``clips.jsonl`` and ``features.json`` into.
        config: ``dataset``, ``preprocessing`` and ``feature_extraction`` are used.
        cache: folder of decoded waveforms, used where ``dataset.to_cache`` is on; the features are
            the same bits with and without it.
        workers: threads; the features do not depend on their number.

    Raises:
        DataError: a clip cannot be decoded, is too short or carries labels that do not fit.
        ConfigError: ``dataset.class_names`` names a class that no clip has.
    """
    chosen = selection.choose(clips, config.dataset)
    info = frames.Info(
        chosen.classes, config.dataset.multi_label, config.preprocessing, config.feature_extraction
    )
    cache = cache if config.dataset.to_cache else None
    compute = functools.partial(_features_of, clips, config, cache)
    with threads.one_torch_thread(), frames.Writer(features, info) as writer:
        listed = zip(read_manifest(clips), chosen.members(), strict=True)
        wanted = ((clip, member) for clip, member in listed if member is not None)
        results = threads.ordered(lambda pair: compute(pair[0]), wanted, workers)
        for (clip, member), (mel, duration_s) in track(
            results, total=chosen.count, label="features"
        ):
            writer.add(mel, clip, labels=member.labels, fold=member.fold, duration_s=duration_s)


def _features_of(
    clips: Path, config: UserConfig, cache: Path | None, clip: Clip
) -> tuple[frames.Frames, float]:
    """A clip's log-mel frames, float16 (frame, mel), and its duration in seconds."""
    path = clips / clip.path
    options, rate_hz = config.feature_extraction, config.preprocessing.target_rate
    samples, duration_s = waveforms.waveform(
        path, config.preprocessing, start_s=clip.start_s, end_s=clip.end_s, cache=cache
    )
    count = frame_count(samples.size, options)
    if count < options.patch_length:
        least_s = (options.hop_length * (options.patch_length - 1) + options.n_fft) / rate_hz
        raise DataError(
            f"{path}: {samples.size / rate_hz:.3f} s of sound give {max(count, 0)} frames, a patch "
            f"has {options.patch_length}; set preprocessing.min_length to {least_s:.3f} or lower "
            "feature_extraction.patch_length"
        )
    with torch.inference_mode():
        mel = log_mel(torch.from_numpy(samples), options, rate_hz)
        half: frames.Frames = mel.half().numpy()
    return half, duration_s


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


# Slaney's scale: 3 mels are 200 Hz up to 1 kHz, from there 27 steps are a factor of 6.4.
_SLANEY_HZ_PER_MEL = 200 / 3
_SLANEY_BREAK_HZ = 1000.0
_SLANEY_BREAK_MEL = _SLANEY_BREAK_HZ / _SLANEY_HZ_PER_MEL
_SLANEY_LOG_STEP = np.log(6.4) / 27


def _mel(hertz: NDArray[np.float64], *, htk: bool) -> NDArray[np.float64]:
    if htk:
        return np.asarray(2595.0 * np.log10(1.0 + hertz / 700.0))
    above = np.log(np.maximum(hertz, _SLANEY_BREAK_HZ) / _SLANEY_BREAK_HZ) / _SLANEY_LOG_STEP
    return np.where(hertz < _SLANEY_BREAK_HZ, hertz / _SLANEY_HZ_PER_MEL, _SLANEY_BREAK_MEL + above)


def _hertz(mels: NDArray[np.float64], *, htk: bool) -> NDArray[np.float64]:
    if htk:
        return np.asarray(700.0 * (10.0 ** (mels / 2595.0) - 1.0))
    above = _SLANEY_BREAK_HZ * np.exp(_SLANEY_LOG_STEP * (mels - _SLANEY_BREAK_MEL))
    return np.where(mels < _SLANEY_BREAK_MEL, mels * _SLANEY_HZ_PER_MEL, above)
