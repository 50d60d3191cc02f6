from __future__ import annotations

import pytest
import torch

from soundgate.audio.networks.encoders.catalogue import load_encoder, load_text_encoder
from soundgate.audio.networks.encoders.clap import swin
from soundgate.audio.networks.encoders.interface import EncoderSettings
from soundgate.errors import ConfigError, DataError, ParameterError
from tests.audio.encoders.clap_files import SIZE, clap_weights, text_folder, write_clap

HTSAT = "audio_encoder.base.htsat."


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Files of both years, and a folder of tokens."""
    folder = tmp_path_factory.mktemp("clap")
    for name in ("clap-2023", "clap-2022"):
        text = folder / "gpt2" if name == "clap-2023" else None
        write_clap(folder / f"{name}.pth", name, text=text)
    return folder


def sound(samples, clips=2):
    return torch.randn(clips, samples, generator=torch.Generator().manual_seed(3)) * 0.1


def load(folder, name="clap-2023", **settings):
    return load_encoder(EncoderSettings(name=name, path=folder / f"{name}.pth", **settings))


@pytest.mark.parametrize(("name", "seconds", "parts"), [("clap-2023", 7, 32), ("clap-2022", 5, 21)])
def test_embeds_windows_and_parts_of_them(tiny, name, seconds, parts):
    encoder = load(tiny, name)
    assert (encoder.sample_rate_hz, encoder.window_samples) == (44_100, seconds * 44_100)
    window = sound(encoder.window_samples)
    scenes = encoder.scenes(window)
    assert scenes.shape == (2, SIZE)
    assert scenes.dtype == torch.float32
    assert torch.equal(scenes, encoder.scenes(window))
    torch.testing.assert_close(scenes[1:], encoder.scenes(window[1:]), atol=1e-5, rtol=0)
    found, middles = encoder.times(window)
    assert found.shape == (2, parts, SIZE)
    assert middles.shape == (2, parts)
    length_ms = seconds * 1000 / parts
    torch.testing.assert_close(middles[0, [0, -1]], torch.tensor([0.5, parts - 0.5]) * length_ms)


def test_parts_in_time_follow_the_sound(tiny):
    """A click at 5 s changes what is heard at 5 s more than what is heard at 1 s."""
    encoder = load(tiny)
    quiet = sound(encoder.window_samples, 1)
    click = quiet.clone()
    click[:, 5 * 44_100 : 5 * 44_100 + 4000] += 1.0
    change = (encoder.times(click)[0] - encoder.times(quiet)[0]).abs().sum(-1)[0]
    assert change.argmax().item() in (22, 23)


def test_bf16_stays_near_fp32_and_has_a_digest_of_its_own(tiny):
    window = sound(7 * 44_100)
    whole, half = load(tiny), load(tiny, precision="bf16")
    near = torch.nn.functional.cosine_similarity(whole.scenes(window), half.scenes(window))
    assert near.min() > 0.999
    assert not torch.equal(whole.scenes(window), half.scenes(window))
    assert len({whole.digest, half.digest, load(tiny, "clap-2022").digest}) == 3
    assert whole.digest == load(tiny).digest


def test_refuses_int8_windows_of_another_length_and_absent_gpus(tiny):
    with pytest.raises(ConfigError, match="int8 needs an ONNX program"):
        load(tiny, precision="int8")
    with pytest.raises(ParameterError, match="takes waveforms of 308700 samples, not 44100"):
        load(tiny).scenes(sound(44_100))
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="device: cuda is not available here; give cpu"):
            load_encoder(EncoderSettings(path=tiny / "clap-2023.pth"), "cuda")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda held: held.pop(f"{HTSAT}norm.bias"), ConfigError, r"missing: .*htsat\.norm\.bias"),
        (
            lambda held: held.update({f"{HTSAT}extra": torch.zeros(1)}),
            ConfigError,
            r"unexpected: .*htsat\.extra",
        ),
        (
            lambda held: held.update({f"{HTSAT}layers.0.blocks.0.mlp.fc1.bias": torch.zeros(3)}),
            ConfigError,
            r"of another shape: .*fc1\.bias \(3,\) instead of \(32,\)",
        ),
        (
            lambda held: held[f"{HTSAT}spectrogram_extractor.stft.conv_real.weight"].mul_(1.01),
            DataError,
            "its STFT filters are not those of a Hann window",
        ),
        (lambda held: held.clear(), ConfigError, "holds no HTS-AT of CLAP"),
    ],
)
def test_loads_strictly(tmp_path, change, error, message):
    held = clap_weights()
    change(held)
    torch.save({"model": held}, tmp_path / "clap-2023.pth")
    with pytest.raises(error, match=message):
        load(tmp_path)


def test_says_which_file_is_missing_and_how_to_stage_it(tiny, tmp_path):
    with pytest.raises(ConfigError, match=r"encoder\.path: clap-2023 needs.*stage-assets"):
        load_encoder(EncoderSettings())
    with pytest.raises(
        ConfigError, match=r"encoder\.path: .*clap-2023\.pth does not exist.*stage-assets"
    ):
        load(tmp_path)
    with pytest.raises(ConfigError, match=r"encoder\.text_path: clap-2023.*stage-assets"):
        load_text_encoder(EncoderSettings(path=tiny / "clap-2023.pth"))
    with pytest.raises(ConfigError, match=r"holds no Cnn14 of CLAP; give CLAP_weights_2022\.pth"):
        load_encoder(EncoderSettings(name="clap-2022", path=tiny / "clap-2023.pth"))
    with pytest.raises(ConfigError, match="unknown encoder 'clap2023'; did you mean 'clap-2023'"):
        EncoderSettings(name="clap2023")


def test_shifted_windows_keep_sides_apart():
    """Tokens that a shift brought side by side do not attend to each other."""
    grid, window = 4, 2
    mask = swin.shift_mask(grid, window, 1)
    assert mask.shape == (4, 4, 4)
    assert mask[0].abs().sum() == 0
    # the last window holds the four corners of the grid: each attends to itself alone
    assert torch.equal(mask[3] == 0, torch.eye(4, dtype=torch.bool))
    tokens = torch.randn(2, grid, grid, 3)
    assert torch.equal(swin.joined(swin.parted(tokens, window), grid), tokens)


def test_text_tower_of_another_kind_is_an_error(tiny, tmp_path):
    """The fault of today's way: RoBERTa's folder beside weights of GPT-2, loaded without a word."""
    text_folder(tmp_path / "roberta", "roberta")
    weights = tiny / "clap-2023.pth"
    with pytest.raises(ConfigError, match="model_type is 'roberta'; gpt2 needs 'gpt2'"):
        load_text_encoder(EncoderSettings(path=weights, text_path=tmp_path / "roberta"))
    text_folder(tmp_path / "wide", width=16)
    with pytest.raises(ConfigError, match=r"encoder\.text_path: .*of another shape"):
        load_text_encoder(EncoderSettings(path=weights, text_path=tmp_path / "wide"))
    (tmp_path / "wide" / "vocab.json").unlink()
    with pytest.raises(ConfigError, match=r"encoder\.text_path: "):
        load_text_encoder(EncoderSettings(path=weights, text_path=tmp_path / "wide"))
    with pytest.raises(ConfigError, match="yamnet has no text tower"):
        load_text_encoder(EncoderSettings(name="yamnet", path=weights))


def test_sentences_do_not_depend_on_their_batch(tiny):
    encoder = load_text_encoder(
        EncoderSettings(path=tiny / "clap-2023.pth", text_path=tiny / "gpt2")
    )
    together = encoder.texts(["a dog", "this is the sound of rain on a roof"])
    alone = torch.cat(
        [encoder.texts(["a dog"]), encoder.texts(["this is the sound of rain on a roof"])]
    )
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=0)
    torch.testing.assert_close(together.norm(dim=1), torch.ones(2))
    assert encoder.scale == pytest.approx(12.182, abs=1e-3)
    with pytest.raises(ParameterError, match="has 101 tokens; give a sentence of 77 or fewer"):
        encoder.texts(["x" * 99])
    with pytest.raises(ParameterError, match="is empty"):
        encoder.texts([" "])
