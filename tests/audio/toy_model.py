"""A model/ folder that scores real audio without having been trained, and sounds to score."""

from __future__ import annotations

import numpy as np
import soundfile
import torch

from soundgate.audio.config import FeatureExtraction, Preprocessing
from soundgate.audio.formats import model as model_format
from soundgate.audio.networks import models
from soundgate.audio.signal.log_mel import log_mel
from soundgate.audio.signal.standardisation import Standardisation

RATE_HZ = 16_000
CLASSES = ("bell", "dog", "rain")
# Frames every 10 ms, patches of 0.24 s that start every 0.18 s; a frame is 512 samples, 32 ms.
SOUND = {"min_length": 0.5, "max_length": 2.0, "frame_length": 1600, "hop_length": 1600}
FEATURES = {"n_mels": 16, "patch_length": 24}


def write_model(folder, *, classes=CLASSES, multi_label=False, sound=None, features=None, seed=2):
    """Scores differ from clip to clip; batch normalisations have statistics of their own."""
    torch.manual_seed(seed)
    network = models.build("plain", len(classes), {"width": 0.25})
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.2)
                module.running_var.uniform_(0.5, 2.0)
    options = FeatureExtraction(**(FEATURES | (features or {})))
    mean = np.linspace(-4, -3, options.n_mels, dtype=np.float32)
    _spread(network, options, mean)
    description = model_format.Description(
        architecture="plain",
        size={"width": 0.25},
        classes=tuple(classes),
        multi_label=multi_label,
        preprocessing=Preprocessing(**(SOUND | (sound or {}))),
        feature_extraction=options,
        standardisation=Standardisation(mean, np.full(options.n_mels, 1.5, np.float32)),
    )
    model_format.write(folder, description, network.state_dict(), [])
    return folder


def _spread(network, options, mean):
    """Scale the logits to mean 0 and deviation 2 over sounds, as those of a trained network."""
    length = options.patch_length
    with torch.no_grad():
        mels = [
            log_mel(torch.from_numpy(sound(2.0, k)).float(), options, RATE_HZ) for k in range(8)
        ]
        patches = torch.stack([part for mel in mels for part in mel[: 4 * length].split(length)])
        patches = (patches - torch.from_numpy(mean)) / 1.5
        logits = network.eval()(patches.transpose(1, 2).unsqueeze(1))
        scale = 2.0 / logits.std(0)
        network.head.weight.mul_(scale[:, None])
        network.head.bias.copy_(scale * (network.head.bias - logits.mean(0)))


def sound(seconds, seed=0, rate_hz=RATE_HZ, channels=None):
    """Noise and a few tones that change, so that no two parts of it are alike."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    sweep = np.sin(2 * np.pi * (200 + 150 * rng.random() * t) * t)
    wave = 0.2 * sweep * np.sin(2 * np.pi * 0.7 * t) + 0.05 * rng.standard_normal(t.size)
    return wave if channels is None else np.stack([wave] * channels, 1)


def write_sound(path, seconds, seed=0, rate_hz=RATE_HZ, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound(seconds, seed, rate_hz), rate_hz, **options)
    return path
