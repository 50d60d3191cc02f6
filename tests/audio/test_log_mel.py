"""Log-mel spectrograms and patches: librosa's numbers, and analytic cases."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from librosa_features import MINIRESNET, RATE_HZ, YAMNET, by_librosa, noise
from uncompiled_librosa import librosa

from soundgate.audio import config
from soundgate.audio.signal.log_mel import log_mel
from soundgate.audio.signal.mel_bands import mel_matrix
from soundgate.audio.signal.patches import frame_count, patch_starts
from soundgate.errors import ParameterError


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"norm": "slaney"},
        {"htk": False},
        {"center": True},
        {"center": True, "pad_mode": "reflect"},
        {"center": True, "pad_mode": "edge"},
        {"window": "hamming"},
        {"window": "blackman", "window_length": 301},
        {"window": "bartlett"},
        {"window": "boxcar", "window_length": 512},
        {"power": 2.0, "to_db": True},
        {"power": 1.5},
        {"fmin": 0, "fmax": None, "n_mels": 40},
        {"n_fft": 401, "hop_length": 133},
        {"log_offset": 1e-3},
    ],
    ids=str,
)
@pytest.mark.parametrize("base", [YAMNET, MINIRESNET], ids=["yamnet", "miniresnet"])
def test_log_mel_is_librosa_s(base, changes):
    if base is MINIRESNET and "n_fft" in changes:
        changes = changes | {"window_length": 401}
    options = config.FeatureExtraction(**(base.model_dump() | changes))
    samples = noise(20_011) * np.linspace(0, 1, 20_011, dtype=np.float32)
    ours = log_mel(torch.from_numpy(samples), options, RATE_HZ)
    assert ours.dtype == torch.float32
    np.testing.assert_allclose(ours.numpy(), by_librosa(samples, options), atol=2e-3, rtol=0)


@pytest.mark.parametrize("rate_hz", [8000, 22050, 48000])
def test_bands_follow_the_rate(rate_hz):
    options = config.FeatureExtraction(n_fft=2048, fmax=3800)
    np.testing.assert_allclose(
        mel_matrix(options, rate_hz).T,
        librosa.filters.mel(
            sr=rate_hz, n_fft=2048, n_mels=64, fmin=125, fmax=3800, htk=True, norm=None
        ),
        atol=1e-6,
    )


def test_a_batch_is_its_clips():
    batch = torch.from_numpy(noise(3 * 9000).reshape(3, 9000) * np.float32([[1], [0.1], [3]]))
    for options in (YAMNET, MINIRESNET):
        together = log_mel(batch, options, RATE_HZ)
        for clip, alone in zip(batch, together, strict=True):
            torch.testing.assert_close(log_mel(clip, options, RATE_HZ), alone)


def test_a_tone_lies_in_its_band_with_its_amplitude():
    # A sine of amplitude a that falls on bin k has magnitude a * sum(window) / 2 there.
    samples = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(16000) / RATE_HZ)
    options = config.FeatureExtraction(window="boxcar", window_length=512, log_offset=1e-12)
    mel = log_mel(torch.from_numpy(samples.astype(np.float32)), options, RATE_HZ)
    weights = mel_matrix(options, RATE_HZ)[32]
    expected = np.log(weights.max() * 0.5 * 512 / 2)
    assert int(mel.mean(0).argmax()) == weights.argmax()
    np.testing.assert_allclose(mel.max(dim=1).values.numpy(), expected, atol=1e-3)


def test_to_db_is_relative_to_each_clip_and_cut_at_80_db():
    samples = noise(16000)
    samples[:8000] *= 1e-6
    level_db = log_mel(torch.from_numpy(samples), MINIRESNET, RATE_HZ)
    assert (float(level_db.max()), float(level_db.min())) == (0.0, -80.0)


@pytest.mark.parametrize("options", [YAMNET, MINIRESNET], ids=["yamnet", "miniresnet"])
def test_frame_count_is_that_of_log_mel(options):
    for samples in (512, 1023, 1024, 1025, 16000, 16159, 16160):
        mel = log_mel(torch.zeros(samples), options, RATE_HZ)
        assert len(mel) == frame_count(samples, options)


def test_what_has_no_frame_is_refused():
    with pytest.raises(ParameterError, match="511 samples are fewer than one frame of 512"):
        log_mel(torch.zeros(511), YAMNET, RATE_HZ)
    with pytest.raises(ParameterError, match="fmax 7500 Hz exceeds half of 8000 Hz"):
        log_mel(torch.zeros(8000), YAMNET, 8000)


def test_gradients_pass_through_although_features_were_computed_in_inference_mode():
    with torch.inference_mode():
        log_mel(torch.zeros(1000), YAMNET, 16001)
    samples = torch.from_numpy(noise(1000)).requires_grad_()
    log_mel(samples, YAMNET, 16001).sum().backward()
    assert samples.grad is not None


@pytest.mark.parametrize("base", [YAMNET, MINIRESNET], ids=["yamnet", "miniresnet"])
def test_exported_for_any_length(base):
    # A rate of its own, so that the constants are first computed while the graph is traced.
    class Module(torch.nn.Module):
        def forward(self, waveform):
            return log_mel(waveform, base, 16003)

    length = torch.export.Dim("length", min=20_000, max=400_000)
    exported = torch.export.export(
        Module(), (torch.zeros(48_000),), dynamic_shapes={"waveform": {0: length}}
    )
    for samples in (20_000, 123_457):
        waveform = torch.from_numpy(noise(samples))
        found = exported.module()(waveform)
        torch.testing.assert_close(found, log_mel(waveform, base, 16003), atol=1e-4, rtol=0)
        np.testing.assert_allclose(
            found, by_librosa(waveform.numpy(), base, 16003), atol=2e-3, rtol=0
        )


@pytest.mark.parametrize(
    ("frame_total", "options", "expected"),
    [
        (498, {}, [0, 72, 144, 216, 288, 360]),
        (95, {}, []),
        (96, {}, [0]),
        (167, {}, [0]),
        (168, {}, [0, 72]),
        (167, {"include_last_patch": True}, [0, 71]),
        (168, {"include_last_patch": True}, [0, 72]),
        (95, {"include_last_patch": True}, []),
    ],
)
def test_patches(frame_total, options, expected):
    starts = patch_starts(frame_total, 96, 0.25, **options)
    assert starts.dtype == np.int64
    assert starts.tolist() == expected


def test_patch_step_rounds_the_overlap_down():
    assert patch_starts(140, 50, 0.25).tolist() == [0, 38, 76]
    assert patch_starts(30, 10, 0.0).tolist() == [0, 10, 20]
