"""Front end and network give what ANIMAL-SPOT gives, by its own outputs."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from soundgate.audio.networks.detector import DetectorSettings, make_detector
from soundgate.audio.networks.images.residual import ResidualEncoder
from soundgate.audio.signal.front_ends.detector import (
    DetectorFrontEnd,
    DetectorFrontEndSettings,
    chosen_bins,
)
from soundgate.errors import ConfigError

GOLDEN = Path(__file__).resolve().parents[4] / "shared" / "golden" / "spot" / "animal_spot"
needs_golden = pytest.mark.skipif(not GOLDEN.is_dir(), reason="../shared/golden is not here")
SETTINGS = [(kind, norm) for kind in ("linear", "mel", "mfcc") for norm in ("minmax", "db")]
TOLERANCE = 1e-4


def sound():
    t = np.arange(96000) / 48000
    wave = 0.01 * np.random.Generator(np.random.PCG64(11)).standard_normal(96000)
    wave += 0.3 * np.sin(2 * np.pi * (600 * t + 400 * t**2)) * ((t > 0.3) & (t < 0.9))
    wave += 0.2 * np.sin(2 * np.pi * (2500 * t - 300 * t**2)) * ((t > 1.2) & (t < 1.5))
    return wave.astype(np.float32)


def filled(name, shape):
    """The stated rule for weights."""
    rng = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
    x = torch.from_numpy(rng.standard_normal(shape).astype(np.float32))
    if name.endswith("running_var"):
        return 1 + 0.5 * x.abs()
    if len(shape) >= 2:
        return x * 1.4 / (x.numel() // shape[0]) ** 0.5
    return 1 + 0.1 * x if name.endswith("weight") else 0.02 * x


def state(part):
    names = json.loads((GOLDEN / "parameters.json").read_text("utf-8"))[part]
    return {name: filled(name, tuple(shape)) for name, shape in names.items()}


def front(kind, norm):
    return DetectorFrontEndSettings(
        freq_compression=kind, normalisation={"minmax": "min_max", "db": "reference"}[norm]
    )


def windows():
    return torch.from_numpy(sound()).unfold(0, 19200, 2400)


@needs_golden
@pytest.mark.parametrize(("kind", "norm"), SETTINGS)
def test_images_and_scores_are_those_of_animal_spot(kind, norm):
    expected = np.load(GOLDEN / "expected.npz")
    assert np.array_equal(sound()[:10], expected["wave_first10"])
    settings = DetectorSettings(front_end=front(kind, norm))
    detector = make_detector(settings, 2).eval()
    missing, unexpected = detector.encoder.load_state_dict(state("encoder"), strict=False)
    assert not unexpected
    assert all(name.endswith("num_batches_tracked") for name in missing)
    detector.classifier.load_state_dict(state("classifier"))
    with torch.inference_mode():
        image = detector.front_end(windows()[4:5])[0].numpy()
        scores = detector(windows()).softmax(1).numpy()
    assert np.abs(image - expected[f"{kind}_{norm}_window4"]).max() < TOLERANCE
    assert np.abs(scores - expected[f"{kind}_{norm}_probabilities"]).max() < TOLERANCE


@pytest.mark.parametrize("kind", ["linear", "mel", "mfcc"])
def test_frames_of_one_long_sound_are_those_of_its_windows(kind):
    end = DetectorFrontEnd(front(kind, "db"))
    wave = torch.from_numpy(sound()[: 1024 * 30])
    long = end.levels(end.power(end.framed(wave)))
    assert torch.allclose(end(wave[2048:][None, : 1024 * 18]), end.normalised(long[None, 2:19]))


@pytest.mark.parametrize("kind", ["linear", "mel", "mfcc"])
def test_the_exported_transform_is_that_of_training(kind, monkeypatch):
    end = DetectorFrontEnd(front(kind, "minmax"))
    expected = end(windows()[:8])
    end.make_exportable()
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    assert torch.allclose(end(windows()[:8]), expected, atol=1e-3)


def test_bins_are_chosen_as_nearest_interpolation_chooses():
    settings = DetectorFrontEndSettings(n_fft=4096, fmin_hz=500, fmax_hz=10000, n_freq_bins=256)
    places = torch.arange(2049.0)[42:854]
    expected = functional.interpolate(places[None, None], size=256, mode="nearest")[0, 0]
    assert torch.equal(chosen_bins(settings).float(), expected)


def test_silence_is_zero_and_short_windows_are_refused():
    end = DetectorFrontEnd(front("linear", "minmax"))
    assert torch.equal(end(torch.zeros(1, 4096)), torch.zeros(1, 1, 3, 128))
    with pytest.raises(ConfigError, match="window of 40 ms has 0 frames of n_fft 2048"):
        make_detector(DetectorSettings(window_s=0.04), 2)


@pytest.mark.parametrize("layers", [18, 50])
def test_residual_networks_compute_what_those_of_torchvision_do(layers):
    models = pytest.importorskip("torchvision.models")
    other = getattr(models, f"resnet{layers}")().eval()
    other.conv1.weight.data = other.conv1.weight.data.sum(1, keepdim=True)
    other.fc = torch.nn.Identity()
    for name, values in other.state_dict().items():
        if name.endswith(("running_mean", "bias")):
            values.copy_(0.1 * filled(name, values.shape))
    own = ResidualEncoder(layers).eval()
    given = {k.replace("downsample", "shortcut"): v for k, v in other.state_dict().items()}
    own.load_state_dict(given)
    images = torch.from_numpy(sound()[: 2 * 64 * 96]).reshape(2, 1, 64, 96)
    with torch.inference_mode():
        assert torch.allclose(own(images).mean(), other(images), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["RESNET10", "PLAIN", "YAMNET", "MINIRESNET"])
def test_small_networks_take_the_same_images(name):
    detector = make_detector(DetectorSettings(network=name, width=16), 3).eval()
    assert detector(torch.zeros(2, 19200)).shape == (2, 3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"network": "RESNET19"}, "unknown name 'RESNET19'"),
        ({"max_pool": 3}, "max_pool: give 0, 1 or 2"),
        ({"conv_kernel_size": 4}, "conv_kernel_size: give an odd number"),
        ({"pooling": "median"}, "pooling: give avg or max"),
    ],
)
def test_unknown_networks_are_refused_with_the_field(change, words):
    with pytest.raises(ConfigError, match=words):
        make_detector(DetectorSettings(**change), 2)
