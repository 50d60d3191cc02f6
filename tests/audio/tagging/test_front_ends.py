"""Front ends of taggers against torchaudio, librosa, transformers and formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchaudio
from uncompiled_librosa import librosa

from soundgate.audio.signal.front_ends import NAMES, FrontEndSettings, front_end
from soundgate.audio.signal.front_ends.wavelet import CYCLES, frequencies_hz
from soundgate.errors import ConfigError, ParameterError

MEL = {
    "n_fft": 1024,
    "hop_length": 160,
    "n_mels": 128,
    "mel_scale": "slaney",
    "norm": "slaney",
    "pad_mode": "constant",
}
IMAGES = tuple(name for name in NAMES if name != "WAV2VEC")


@pytest.fixture(scope="module")
def clips() -> torch.Tensor:
    """Three clips of a second: noise, a chord, a click, the last two in faint noise."""
    generator = torch.Generator().manual_seed(0)
    time_s = torch.arange(16_000) / 16_000
    chord = sum(torch.sin(2 * torch.pi * f * time_s) for f in (261.6, 329.6, 392.0)) * 0.2
    click = torch.zeros(16_000)
    click[8_000] = 0.9
    noise = torch.randn(3, 16_000, generator=generator)
    return noise * torch.tensor([[0.1], [1e-3], [1e-3]]) + torch.stack([0 * chord, chord, click])


def made(name: str, **settings):
    return front_end(FrontEndSettings(name=name, **settings))


def test_mel_spectrogram_is_torchaudios_in_db(clips):
    power = torchaudio.transforms.MelSpectrogram(16_000, **MEL)(clips)
    plain = made("MEL_SPECTROGRAM", mean=(0.0,), standard_deviation=(1.0,))
    found = 10 ** (plain(clips)[:, 0] / 10)
    torch.testing.assert_close(found, power, atol=1e-6 * float(power.max()), rtol=1e-4)
    own = made("MEL_SPECTROGRAM")
    torch.testing.assert_close(own(clips) * 22 - 25, plain(clips), atol=1e-4, rtol=0)


def test_mfcc_is_torchaudios_for_each_clip_alone(clips):
    reference = torchaudio.transforms.MFCC(16_000, 20, melkwargs=MEL)
    expected = torch.stack([reference(clip) for clip in clips])
    plain = made("MFCC", mean=(0.0,), standard_deviation=(1.0,))
    torch.testing.assert_close(plain(clips)[:, 0], expected, atol=2e-3, rtol=0)


def test_multi_spectrogram_is_mel_chroma_and_centroid(clips):
    plain = made("MULTI_SPECTROGRAM", mean=(0.0,), standard_deviation=(1.0,))
    images = plain(clips)
    assert images.shape == (3, 3, 128, 101)
    mel = made("MEL_SPECTROGRAM", mean=(0.0,), standard_deviation=(1.0,))
    assert torch.equal(images[:, :1], mel(clips))
    power = plain.spectrum(clips[:2])
    for clip in range(2):
        spectrum = power[clip].numpy()
        chroma = librosa.feature.chroma_stft(S=spectrum, sr=16_000, n_fft=1024, tuning=0.0)
        rows = images[clip, 1].unfold(0, 1, 11)[:12, :, 0]
        np.testing.assert_allclose(plain.chroma(power)[clip].numpy(), chroma, atol=1e-5)
        np.testing.assert_allclose(rows.numpy(), chroma, atol=1e-5)
        magnitude = np.sqrt(spectrum)
        centroid = librosa.feature.spectral_centroid(S=magnitude, sr=16_000, n_fft=1024)[0]
        np.testing.assert_allclose(images[clip, 2, 77].numpy() * 8000, centroid, rtol=1e-4)
    # C, E and G of the chord are the strongest of its twelve.
    assert set(plain.chroma(power)[1, :, 50].topk(3).indices.tolist()) == {0, 4, 7}
    silence = plain(torch.zeros(1, 1600))
    assert torch.equal(silence[:, 1:], torch.zeros_like(silence[:, 1:]))


def test_wavelet_answers_a_sine_as_the_gaussian_of_its_distance():
    settings = FrontEndSettings(name="WAVELET", mean=(0.0,), standard_deviation=(1.0,))
    centres = frequencies_hz(settings)
    tone_hz = centres[70]
    tone = 0.5 * torch.sin(2 * torch.pi * tone_hz * torch.arange(32_000) / 16_000)
    level = front_end(settings)(tone.unsqueeze(0))[0, 0, :, 100].numpy()
    # Fourier transform of a Morlet wavelet: exp(-(omega_0 (f / f_c - 1))^2 / 2).
    expected = 20 * np.log10(0.5 * np.exp(-0.5 * (CYCLES * (tone_hz / centres - 1)) ** 2) + 1e-30)
    near = expected > -25
    assert near.sum() > 15
    np.testing.assert_allclose(level[near], expected[near], atol=5e-3)
    assert level.argmax() == 70


def test_wavelet_samples_the_transform_at_every_hop():
    click = torch.zeros(1, 16_000)
    click[0, 4_800] = 1.0
    level = made("WAVELET")(click)
    assert level.shape == (1, 1, 128, 101)
    assert (level[0, 0].argmax(1) == 30).all()


@pytest.mark.parametrize("seconds", [0.5, 1.0, 11.0])
def test_ast_is_its_feature_extractors(seconds):
    transformers = pytest.importorskip("transformers")
    generator = torch.Generator().manual_seed(3)
    clips = 0.1 * torch.randn(2, int(16_000 * seconds), generator=generator)
    extractor = transformers.ASTFeatureExtractor()
    expected = extractor([clip.numpy() for clip in clips], sampling_rate=16_000)["input_values"]
    images = made("AST")(clips)
    assert images.shape == (2, 1, 128, 1024)
    np.testing.assert_allclose(images[:, 0].mT.numpy(), np.stack(expected), atol=5e-4)


def test_wav2vec_is_its_feature_extractors(clips):
    transformers = pytest.importorskip("transformers")
    lengths = [16_000, 12_000, 9_001]
    extractor = transformers.Wav2Vec2FeatureExtractor(return_attention_mask=True)
    cut = [clip[:length].numpy() for clip, length in zip(clips, lengths, strict=True)]
    expected = extractor(cut, sampling_rate=16_000, padding=True)["input_values"]
    found = made("WAV2VEC")(clips, torch.tensor(lengths))
    np.testing.assert_allclose(found.numpy(), np.stack(expected), atol=1e-5)
    alone = made("WAV2VEC")(clips[2:, :9_001])
    torch.testing.assert_close(found[2:, :9_001], alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", IMAGES)
def test_what_fills_a_clip_up_changes_none_of_its_frames(name, clips):
    made_one = made(name)
    alone = made_one(clips[:1, :9_000])
    batch = torch.stack([clips[0], clips[1]])
    batch[0, 9_000:] = 7.0
    images = made_one(batch, torch.tensor([9_000, 16_000]))
    width = alone.shape[-1]
    assert int(made_one.frames(torch.tensor([9_000]))) == width
    torch.testing.assert_close(images[:1, ..., :width], alone, atol=1e-5, rtol=0)
    assert not images[0, ..., width:].any()


@pytest.mark.parametrize("name", NAMES)
def test_exported_front_end_agrees_for_other_sizes(name, clips):
    made_one = made(name)
    anything = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    clips = torch.stack([clips[0], clips[0].flip(0), 0.5 * clips[0]])
    example = clips[:2, :15_000].clone()
    program = torch.export.export(made_one, (example,), dynamic_shapes=[anything])
    other = clips[:, :12_345]
    torch.testing.assert_close(program.module()(other), made_one(other), atol=1e-4, rtol=0)


def test_height_scales_bands_alone(clips):
    assert made("MEL_SPECTROGRAM", height=224)(clips).shape == (3, 1, 224, 101)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "MEL_SPECTOGRAM"}, "MEL_SPECTROGRAM"),
        ({"name": "AST", "sample_rate_hz": 44_100}, "sample_rate_hz"),
        ({"name": "MFCC", "n_mfcc": 200}, "n_mfcc"),
        ({"fmax_hz": 9_000.0}, "fmax_hz"),
        ({"name": "WAVELET", "fmax_hz": 20.0}, "fmax_hz"),
        ({"mean": (1.0, 2.0)}, "front_end.mean"),
        ({"standard_deviation": (0.0,)}, "standard_deviation"),
    ],
)
def test_refuses_settings_in_one_line(settings, message):
    with pytest.raises(ConfigError, match=message) as caught:
        front_end(FrontEndSettings(**settings))
    assert "\n" not in str(caught.value)


def test_refuses_clips_shorter_than_a_frame_of_ast():
    with pytest.raises(ParameterError, match="400"):
        made("AST")(torch.zeros(1, 399))


def test_names_are_read_without_case_and_blanks():
    assert made("mel spectrogram").settings.name == "MEL_SPECTROGRAM"
    assert made(" Multi-Spectrogram ").settings.name == "MULTI_SPECTROGRAM"
