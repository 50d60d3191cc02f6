"""Encoders of folders and files, against the libraries that wrote them."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import soundfile
import torch
import transformers

from soundgate.audio.embedding.engine import embed_records
from soundgate.audio.embedding.windows import EmbeddingSettings
from soundgate.audio.networks.encoders.catalogue import load_encoder, load_text_encoder
from soundgate.audio.networks.encoders.interface import EncoderSettings
from soundgate.audio.networks.encoders.text import prompts, zero_shot_scores
from soundgate.audio.networks.encoders.transformer.laion import load_text
from soundgate.errors import ConfigError, MissingExtra, ParameterError
from tests.audio.embedding.stand_in import Record

SHARED = Path(__file__).resolve().parents[4] / "shared"
CLAP = SHARED / "datasets/sec/clap_tiny"
YAMNET = SHARED / "weights/yamnet_256_f32.h5"
needs_clap = pytest.mark.skipif(not CLAP.is_dir(), reason="no shared/datasets/sec/clap_tiny")

SPEECH = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "conv_dim": (8, 8, 8),
    "conv_kernel": (10, 8, 4),
    "conv_stride": (5, 8, 4),
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
}


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Loading an encoder asks nobody."""

    def refuse(*address):
        raise AssertionError(f"a connection to {address}")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def save(folder, config, kind, extractor=None):
    torch.manual_seed(0)
    model = getattr(transformers, kind)(config).eval()
    model.save_pretrained(folder)
    if extractor is not None:
        extractor.save_pretrained(folder)
    return model


def sound(samples, clips=2):
    return torch.randn(clips, samples, generator=torch.Generator().manual_seed(3)) * 0.1


def load(name, path, **settings):
    return load_encoder(EncoderSettings(name=name, path=path, **settings))


@pytest.mark.parametrize(
    ("name", "config", "kind", "normalised"),
    [
        ("wav2vec2", transformers.Wav2Vec2Config(**SPEECH), "Wav2Vec2ForCTC", True),
        ("hubert", transformers.HubertConfig(**SPEECH), "HubertModel", True),
        ("wavlm", transformers.WavLMConfig(**SPEECH), "WavLMModel", False),
    ],
)
def test_speech_encoders_equal_the_library(tmp_path, name, config, kind, normalised):
    """Also of a model of another task, whose last layer is left out."""
    extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=normalised)
    model = save(tmp_path, config, kind, extractor)
    waveforms = sound(8000)
    given = extractor(list(waveforms.numpy()), sampling_rate=16_000, return_tensors="pt")
    with torch.inference_mode():
        hidden = getattr(model, "wav2vec2", model)(given.input_values).last_hidden_state
    encoder = load(name, tmp_path)
    torch.testing.assert_close(encoder.scenes(waveforms), hidden.mean(1), atol=1e-5, rtol=0)
    found, middles = encoder.times(waveforms)
    torch.testing.assert_close(found, hidden, atol=1e-5, rtol=0)
    # strides 5 * 8 * 4; the first sees 10 + 7 * 5 + 3 * 40 samples
    torch.testing.assert_close(middles[0, :2], torch.tensor([165 / 2, 165 / 2 + 160]) / 16)
    with pytest.raises(ParameterError, match="takes waveforms of 165 samples or more, not 164"):
        encoder.scenes(sound(164))


def test_ast_equals_the_library(tmp_path):
    config = transformers.ASTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        num_mel_bins=32, max_length=64,
    )  # fmt: skip
    extractor = transformers.ASTFeatureExtractor(num_mel_bins=32, max_length=64, mean=-3.0)
    model = save(tmp_path, config, "ASTModel", extractor)
    encoder = load("ast", tmp_path)
    assert encoder.window_samples == 64 * 160
    waveforms = sound(encoder.window_samples)
    given = extractor(list(waveforms.numpy()), sampling_rate=16_000, return_tensors="pt")
    with torch.inference_mode():
        expected = model(given.input_values)
    torch.testing.assert_close(encoder.scenes(waveforms), expected.pooler_output, atol=1e-4, rtol=0)
    found, middles = encoder.times(waveforms)
    # two rows of five patches: the first of each row are the first time
    torch.testing.assert_close(
        found[:, 0], expected.last_hidden_state[:, [2, 2 + 5]].mean(1), atol=1e-4, rtol=0
    )
    assert middles[0].tolist() == [80.0, 180.0, 280.0, 380.0, 480.0]


def test_whisper_equals_the_library(tmp_path):
    config = transformers.WhisperConfig(
        d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, vocab_size=20,
        max_source_positions=50, pad_token_id=0, bos_token_id=1, eos_token_id=2,
        decoder_start_token_id=1,
    )  # fmt: skip
    extractor = transformers.WhisperFeatureExtractor(chunk_length=1)
    model = save(tmp_path, config, "WhisperModel", extractor)
    encoder = load("whisper", tmp_path)
    assert encoder.window_samples == 16_000
    waveforms = sound(16_000)
    given = extractor(list(waveforms.numpy()), sampling_rate=16_000, return_tensors="pt")
    with torch.inference_mode():
        hidden = model.encoder(given.input_features).last_hidden_state
    torch.testing.assert_close(encoder.scenes(waveforms), hidden.mean(1), atol=1e-4, rtol=0)
    torch.testing.assert_close(encoder.times(waveforms)[0], hidden, atol=1e-4, rtol=0)


def test_folders_of_other_models_are_refused(tmp_path):
    save(tmp_path, transformers.HubertConfig(**SPEECH), "HubertModel")
    with pytest.raises(ConfigError, match="model_type is 'hubert'; wavlm needs 'wavlm'"):
        load("wavlm", tmp_path)
    with pytest.raises(ConfigError, match=r"encoder\.path: .*absent does not exist"):
        load("hubert", tmp_path / "absent")
    (tmp_path / "preprocessor_config.json").write_text('{"sampling_rate": 8000}')
    with pytest.raises(ConfigError, match="sampling_rate is 8000; only 16000 is computed here"):
        load("hubert", tmp_path)
    (tmp_path / "preprocessor_config.json").unlink()
    digest = load("hubert", tmp_path).digest
    weights = transformers.HubertModel.from_pretrained(tmp_path)
    with torch.no_grad():
        weights.encoder.layer_norm.bias.add_(1)
    weights.save_pretrained(tmp_path)
    assert load("hubert", tmp_path).digest != digest
    held = weights.state_dict()
    del held["encoder.layer_norm.bias"]
    weights.save_pretrained(tmp_path, state_dict=held)
    with pytest.raises(ConfigError, match=r"missing: encoder\.layer_norm\.bias; set encoder\.name"):
        load("hubert", tmp_path)


@needs_clap
@pytest.mark.parametrize(
    ("fill", "padding"), [("repeatpad", "repeatpad"), ("repeat", "repeat"), ("zeros", "pad")]
)
def test_laion_clap_equals_published_mels_and_embeddings(fill, padding):
    expected = np.load(CLAP / "expected.npz")
    encoder, heard = load("laion-clap", CLAP), {}

    def listen(waveforms, scenes=encoder.scenes):
        heard["mel"] = encoder.module.log_mel(waveforms)[0]
        return scenes(waveforms)

    encoder.scenes = listen
    for clip in ("survey", "vio", "swth_10s", "silence_3s"):
        [(_, vector)] = embed_records(
            [Record(clip, f"{clip}_48k.flac")], CLAP, encoder, EmbeddingSettings(fill=fill)
        )
        mel = expected[f"mel_every10/{clip}/{padding}"]
        np.testing.assert_allclose(heard["mel"][::10], mel, atol=5e-3)
        assert np.abs(heard["mel"][::10].numpy() - mel).mean() < 1e-4
        if padding == "repeatpad":
            np.testing.assert_allclose(vector, expected[f"audio_embed/{clip}"], atol=1e-5)


@needs_clap
def test_laion_clap_reads_sentences_into_the_space_of_sounds():
    expected = np.load(CLAP / "expected.npz")
    tower = load_text(CLAP).eval()
    ids = torch.from_numpy(expected["text_ids"])
    with torch.inference_mode():
        found = tower(ids, (ids != 1).long())
    np.testing.assert_allclose(found, expected["text_embed"], atol=1e-5)
    assert tower.scale == pytest.approx(float(expected["logit_scale_audio"]))
    sounds = torch.from_numpy(
        np.stack([expected["audio_embed/vio"], expected["audio_embed/survey"]])
    )
    scores = zero_shot_scores(3 * sounds, found, tower.scale)
    cosines = sounds.numpy() @ expected["text_embed"].T
    raised = np.exp(cosines * expected["logit_scale_audio"])
    np.testing.assert_allclose(scores, raised / raised.sum(1, keepdims=True), atol=1e-5)
    with pytest.raises(ConfigError, match=r"encoder\.text_path: .*holds no tokenizer"):
        load_text_encoder(EncoderSettings(name="laion-clap", path=CLAP))


def test_prompts_are_sentences():
    assert prompts(["dog", "sea_waves"]) == [
        "this is the sound of dog",
        "this is the sound of sea waves",
    ]


def test_laion_clap_with_fusion_equals_the_library(tmp_path):
    """Its extractor calls one window of a batch longer at random; that one is left out here."""
    with (CLAP / "config.json").open() if CLAP.is_dir() else pytest.skip("no clap_tiny") as file:
        said = json.load(file)
    said["audio_config"]["enable_fusion"] = True
    extractor = transformers.ClapFeatureExtractor(frequency_min=50, truncation="fusion")
    config = transformers.ClapConfig(
        text_config=said["text_config"],
        audio_config=said["audio_config"],
        projection_dim=said["projection_dim"],
    )
    model = save(tmp_path, config, "ClapModel", extractor)
    waveforms = sound(480_000)
    given = extractor(list(waveforms.numpy()), sampling_rate=48_000, return_tensors="pt")
    plain = [k for k, (longer,) in enumerate(given["is_longer"].tolist()) if not longer]
    with torch.inference_mode():
        found = model.get_audio_features(**given).pooler_output
    encoder = load("laion-clap", tmp_path)
    torch.testing.assert_close(encoder.scenes(waveforms)[plain], found[plain], atol=1e-4, rtol=0)


@pytest.mark.skipif(not YAMNET.is_file(), reason="no shared/weights/yamnet_256_f32.h5")
def test_yamnet_embeds_patches_and_their_mean(tmp_path):
    encoder = load("yamnet", YAMNET)
    assert (encoder.sample_rate_hz, encoder.embedding_size) == (16_000, 256)
    found, middles = encoder.times(sound(32_000))
    # 0.975 s each, 0.48 s apart
    assert middles[0].tolist() == [491.0, 971.0, 1451.0]
    torch.testing.assert_close(encoder.scenes(sound(32_000)), found.mean(1))
    late = sound(32_000)[:, 2 * 48 * 160 :]
    torch.testing.assert_close(encoder.times(late)[0][:, 0], found[:, 2], atol=1e-4, rtol=0)
    with pytest.raises(ParameterError, match="takes waveforms of 15712 samples or more"):
        encoder.scenes(sound(15_000))
    with pytest.raises(ConfigError, match=r"encoder\.path: .*does not exist"):
        load("yamnet", tmp_path / "absent.h5")


def program(path, output, taken=("clip", "sample"), metadata=None):
    """ONNX: the mean and the largest value of a waveform, or of its four quarters."""
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [
        helper.make_node("Reshape", ["sound", "shape"], ["parts"]),
        helper.make_node("ReduceMean", ["parts"], ["mean"], axes=[2], keepdims=1),
        helper.make_node("ReduceMax", ["parts"], ["most"], axes=[2], keepdims=1),
        helper.make_node("Concat", ["mean", "most"], ["each"], axis=2),
        helper.make_node("ReduceMean", ["each"], ["all"], axes=[1], keepdims=0),
    ]
    size = ["clip", 2] if output == "all" else ["clip", 4, 2]
    graph = helper.make_graph(
        nodes, "encoder", [helper.make_tensor_value_info("sound", kind, taken)],
        [helper.make_tensor_value_info(output, kind, size)],
        [helper.make_tensor("shape", onnx.TensorProto.INT64, [3], [-1, 4, 2000])],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.helper.set_model_props(model, metadata or {})
    onnx.save(model, path)
    return path


@pytest.mark.parametrize("taken", [("clip", 8000), ("clip", 8000, 1), (1, 1, 8000)])
def test_onnx_programs_are_encoders(tmp_path, taken):
    waveforms = sound(8000, 3)
    quarters = waveforms.view(3, 4, 2000)
    expected = torch.stack([quarters.mean(2), quarters.amax(2)], 2)
    over_time = load(
        "onnx", program(tmp_path / "t.onnx", "each", taken, {"sample_rate_hz": "8000"})
    )
    assert (over_time.sample_rate_hz, over_time.window_samples) == (8000, 8000)
    torch.testing.assert_close(over_time.scenes(waveforms), expected.mean(1))
    found, middles = over_time.times(waveforms)
    torch.testing.assert_close(found, expected)
    assert middles[0].tolist() == [125.0, 375.0, 625.0, 875.0]
    scene = load("onnx", program(tmp_path / "s.onnx", "all", taken), sample_rate_hz=16_000)
    torch.testing.assert_close(scene.scenes(waveforms), expected.mean(1))
    assert scene.times(waveforms)[0].shape == (3, 1, 2)


def test_onnx_programs_of_other_kinds_are_refused(tmp_path):
    path = program(tmp_path / "s.onnx", "all")
    with pytest.raises(ConfigError, match=r"encoder\.sample_rate_hz: .*does not say its rate"):
        load("onnx", path)
    with pytest.raises(ConfigError, match=r"takes sound .*; an encoder takes waveforms"):
        load("onnx", program(tmp_path / "i.onnx", "all", ("clip", 3, 8, 1000)), sample_rate_hz=8000)
    said = program(tmp_path / "r.onnx", "all", metadata={"sample_rate_hz": "8000"})
    with pytest.raises(ConfigError, match="takes 8000 Hz, not 16000"):
        load("onnx", said, sample_rate_hz=16_000)
    (tmp_path / "no.onnx").write_bytes(b"no program")
    with pytest.raises(ConfigError, match=r"no\.onnx is no ONNX program"):
        load("onnx", tmp_path / "no.onnx", sample_rate_hz=16_000)
    with pytest.raises(ConfigError, match="yamnet knows its own rate; leave it out"):
        load("yamnet", path, sample_rate_hz=16_000)


HEAR = """
from pathlib import Path

import torch

class Model(torch.nn.Module):
    sample_rate, scene_embedding_size, timestamp_embedding_size = 8000, 2, 1

def load_model(model_file_path=""):
    model = Model()
    model.factor = float(Path(model_file_path).read_text()) if model_file_path else 1.0
    return model

def get_scene_embeddings(audio, model):
    return model.factor * torch.stack([audio.mean(1), audio.amax(1)], 1)

def get_timestamp_embeddings(audio, model):
    parts = audio.view(len(audio), 2, -1)
    return model.factor * parts.mean(2, keepdim=True), torch.tensor([[1.0, 3.0]] * len(audio))
"""


def test_packages_with_the_hear_api_are_encoders(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "heard_here.py").write_text(HEAR)
    (tmp_path / "weights").write_text("2.0")
    waveforms = sound(800)
    encoder = load("hear:heard_here", tmp_path / "weights")
    expected = 2 * torch.stack([waveforms.mean(1), waveforms.amax(1)], 1)
    torch.testing.assert_close(encoder.scenes(waveforms), expected)
    assert encoder.times(waveforms)[0].shape == (2, 2, 1)
    assert encoder.times(waveforms)[1].tolist() == [[1.0, 3.0]] * 2
    assert (encoder.name, encoder.sample_rate_hz) == ("hear:heard_here", 8000)
    assert encoder.digest != load("hear:heard_here", None).digest


def test_packages_without_the_hear_api_are_refused(tmp_path, monkeypatch):
    with pytest.raises(MissingExtra, match=r"encoder\.name: not_installed_here is not installed"):
        load("hear:not_installed_here", None)
    with pytest.raises(ConfigError, match="json has no load_model, get_scene_embeddings"):
        load("hear:json", None)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "heard_badly.py").write_text(HEAR.replace("Model()", "Absent()"))
    with pytest.raises(ConfigError, match=r"heard_badly\.load_model failed: NameError"):
        load("hear:heard_badly", None)
    (tmp_path / "heard_half.py").write_text(HEAR.replace("sample_rate, scene", "rate, scene"))
    monkeypatch.delitem(sys.modules, "heard_half", raising=False)
    with pytest.raises(ConfigError, match="the model of heard_half has no sample_rate"):
        load("hear:heard_half", None)


def test_other_rates_are_resampled_before_an_encoder_hears_them(tmp_path, monkeypatch):
    """A tone of 1 kHz stays one, whatever the rate of its file."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "heard_here.py").write_text(HEAR)
    encoder = load("hear:heard_here", None)
    heard = []
    monkeypatch.setattr(
        encoder, "scenes", lambda waveforms: heard.append(waveforms[0]) or torch.zeros(1, 2)
    )
    for rate_hz in (8000, 51_200, 52_100):
        tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(rate_hz) / rate_hz)
        soundfile.write(tmp_path / f"{rate_hz}.wav", tone, rate_hz)
        list(embed_records([Record("a", f"{rate_hz}.wav")], tmp_path, encoder, EmbeddingSettings()))
    for waveform in heard:
        assert len(waveform) == 8000
        assert torch.fft.rfft(waveform).abs().argmax() == 1000
