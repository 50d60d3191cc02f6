"""What librosa gives for the same sound and options, and the options of two published models."""

from __future__ import annotations

import numpy as np
import soundfile
from uncompiled_librosa import librosa

from soundgate.audio import config

YAMNET = config.FeatureExtraction()
MINIRESNET = config.FeatureExtraction(
    patch_length=50,
    n_fft=1024,
    window_length=1024,
    hop_length=320,
    center=True,
    power=2.0,
    fmin=20,
    norm="slaney",
    htk=False,
    to_db=True,
)
RATE_HZ = 16000


def noise(samples, seed=0, scale=0.1):
    return np.random.default_rng(seed).normal(0, scale, samples).astype(np.float32)


def load_by_librosa(path, duration_s):
    # librosa.load itself imports a module that Python 3.11 warns of.
    samples, rate_hz = soundfile.read(path, dtype="float32")
    return librosa.resample(
        samples[: int(duration_s * rate_hz)],
        orig_sr=rate_hz,
        target_sr=RATE_HZ,
        res_type="soxr_hq",
    )


def by_librosa(samples, options, rate_hz=RATE_HZ):
    mel = librosa.feature.melspectrogram(
        y=samples,
        sr=rate_hz,
        n_fft=options.n_fft,
        hop_length=options.hop_length,
        win_length=options.window_length,
        window=options.window,
        center=options.center,
        pad_mode=options.pad_mode,
        power=options.power,
        n_mels=options.n_mels,
        fmin=options.fmin,
        fmax=options.fmax,
        norm=options.norm,
        htk=options.htk,
    )
    if options.to_db:
        return librosa.power_to_db(mel, ref=np.max).T
    return np.log(mel + options.log_offset).T
