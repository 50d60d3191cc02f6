"""What a detection sounds like, in numbers: MFCC, spectral shape, level and length.

Sources: Davis, Mermelstein, IEEE TASSP 28 (1980), for MFCC; Peeters, "A large set of audio features
for sound description" (IRCAM, 2004), for the spectral shapes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from soundgate.audio.config.sections.sound import FeatureExtraction
from soundgate.audio.files.reading import Reader
from soundgate.audio.files.threads import one_torch_thread
from soundgate.audio.signal.log_mel import log_mel

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from soundgate.audio.detection.evaluation.decoding import Detections
    from soundgate.audio.files.streams import Samples

    Floats = NDArray[np.float64]

N_FFT, HOP, N_MELS, N_MFCC = 1024, 256, 40, 13
"""Samples, samples, bands and coefficients."""
ROLLOFF: Final = 0.85
SHAPES: Final = ("centroid_hz", "bandwidth_hz", "rolloff_hz", "flatness", "crossings")
NAMES: Final = (
    *("duration_s", "level_db", "score", "logit"),
    *(f"{shape}_{how}" for how in ("mean", "std") for shape in SHAPES),
    *(f"mfcc{k}_{how}" for how in ("mean", "std") for k in range(N_MFCC)),
)
_SILENCE: Final = 1e-10


def features(folder: Path, recordings: Sequence[str], found: Detections, rate_hz: int) -> Floats:
    """The features of detections.

    Args:
        folder: the corpus.
        recordings: paths in it, by the number that detections have.
        found: the detections.
        rate_hz: that all recordings are heard at.

    Returns:
        Float64 (detection, ``len(NAMES)``).

    Raises:
        DataError: a recording cannot be read.
    """
    rows = np.zeros((len(found), len(NAMES)))
    events = found.events
    with one_torch_thread():
        for number in np.unique(events.clip).tolist():
            with Reader(folder / recordings[number]) as file:
                for k in np.flatnonzero(events.clip == number).tolist():
                    start_s, end_s = float(events.start_s[k]), float(events.end_s[k])
                    end_s = min(end_s, file.info.duration_s)
                    sound = file.load(sample_rate_hz=rate_hz, start_s=start_s, end_s=end_s)
                    known = (end_s - start_s, _level_db(sound), found.scores[k], found.logits[k])
                    rows[k] = (*known, *of_sound(sound, rate_hz))
    return rows


def of_sound(sound: Samples, rate_hz: int) -> Floats:
    """Means and deviations over frames, float64 (``len(NAMES) - 4``,)."""
    sound = np.pad(sound, (0, max(0, N_FFT - len(sound))))
    per_frame = (_shapes(sound, rate_hz), _mfcc(sound, rate_hz))
    return np.concatenate([how(each, axis=0) for each in per_frame for how in (np.mean, np.std)])


def _level_db(sound: Samples) -> float:
    return float(10 * np.log10(np.mean(np.square(sound, dtype=np.float64)) + _SILENCE))


def _shapes(sound: Samples, rate_hz: int) -> Floats:
    """Shapes of the spectrum of each frame, float64 (frame, shape)."""
    frames = np.lib.stride_tricks.sliding_window_view(sound, N_FFT)[::HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(N_FFT))) ** 2 + _SILENCE
    hertz = np.fft.rfftfreq(N_FFT, 1 / rate_hz)
    share = power / power.sum(axis=1, keepdims=True)
    centroid = share @ hertz
    bandwidth = np.sqrt((share * (hertz - centroid[:, None]) ** 2).sum(axis=1))
    rolloff = hertz[np.argmax(np.cumsum(share, axis=1) >= ROLLOFF, axis=1)]
    flatness = np.exp(np.log(power).mean(axis=1)) / power.mean(axis=1)
    crossings = (np.diff(np.signbit(frames), axis=1) != 0).mean(axis=1)
    return np.stack((centroid, bandwidth, rolloff, flatness, crossings), axis=1)


def _mfcc(sound: Samples, rate_hz: int) -> Floats:
    """Cepstral coefficients of each frame, float64 (frame, ``N_MFCC``)."""
    from scipy.fft import dct

    settings = FeatureExtraction(
        n_fft=N_FFT,
        window_length=N_FFT,
        hop_length=HOP,
        n_mels=N_MELS,
        fmin=0.0,
        fmax=None,
        power=2.0,
        log_offset=_SILENCE,
    )
    with torch.inference_mode():
        mel = log_mel(torch.from_numpy(np.ascontiguousarray(sound)), settings, rate_hz).numpy()
    return np.asarray(dct(mel.astype(np.float64), axis=1, norm="ortho")[:, :N_MFCC], np.float64)
