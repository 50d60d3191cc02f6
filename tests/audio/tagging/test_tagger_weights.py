"""Weights by path: what the libraries saved gives what the libraries compute."""

from __future__ import annotations

import hashlib

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from soundgate.audio.networks.images.torchvision_networks import FUNCTIONS, ImageBackbone, layout
from soundgate.audio.networks.tagger import TaggerSettings, make_tagger
from soundgate.audio.signal.front_ends import FrontEndSettings
from soundgate.errors import ConfigError, DataError

pytest.importorskip("torchvision")
transformers = pytest.importorskip("transformers")
from torchvision import models  # noqa: E402

FRONT = FrontEndSettings(n_mels=64)
SMALL = ["MOBILENET_V3_LARGE", "RESNEXT50_32X4D", "CONVNEXT_TINY", "EFFICIENT_NET_V2_S"]
LARGE = sorted(set(FUNCTIONS) - set(SMALL))


def theirs(name, labels):
    """A network of torchvision with random weights.

    Its own way to draw them takes seconds for hundreds of millions; these have the same scale.
    """
    torch.manual_seed(3)
    with torch.device("meta"):
        network = getattr(models, FUNCTIONS[name])(num_classes=labels)
    network.to_empty(device="cpu")
    with torch.no_grad():
        for key, value in network.state_dict().items():
            if key.endswith("running_var"):
                value.uniform_(0.8, 1.2)
            elif key.endswith("num_batches_tracked"):
                value.zero_()
            elif value.ndim > 1:
                bound = (3 / value[0].numel()) ** 0.5
                value.uniform_(-bound, bound)
            else:
                value.uniform_(0.9, 1.1) if key.endswith("weight") else value.uniform_(-0.1, 0.1)
    return network.eval()


@pytest.mark.parametrize(
    ("name", "save"),
    [(name, save_file if name == SMALL[0] else torch.save) for name in SMALL],
)
def test_weights_of_torchvision_give_its_logits(name, save, tmp_path):
    path = tmp_path / ("weights.pth" if save is torch.save else "weights.safetensors")
    network = theirs(name, 5)
    save(network.state_dict(), path)
    settings = TaggerSettings(network=name, front_end=FRONT, head="LINEAR", weights=path)
    tagger = make_tagger(settings, 5).eval()
    images = torch.randn(2, 1, 64, 96)
    with torch.no_grad():
        expected = network(images.expand(-1, 3, -1, -1))
        found = tagger.from_images(images)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert tagger.origin.head
    assert tagger.origin.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", LARGE)
def test_large_networks_hold_torchvisions_weights_under_the_same_names(name):
    """They share the code of the small ones; their numbers would take seconds each to draw."""
    with torch.device("meta"):
        network = getattr(models, FUNCTIONS[name])(num_classes=5)
        backbone = ImageBackbone(FUNCTIONS[name], channels=3, pooled=True)
    last = layout(FUNCTIONS[name]).last
    kept = {key: value.shape for key, value in backbone.state_dict().items()}
    expected = {key: value.shape for key, value in network.state_dict().items()}
    assert expected.pop(f"{last}.weight") == (5, backbone.size)
    assert expected.pop(f"{last}.bias") == (5,)
    assert kept == expected


@pytest.fixture
def mobilenet(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save(theirs("MOBILENET_V3_LARGE", 7).state_dict(), path)
    return path


def mobilenet_settings(path, **settings):
    return TaggerSettings(network="MOBILENET_V3_LARGE", front_end=FRONT, weights=path, **settings)


def test_weights_of_other_labels_are_refused_or_get_a_new_head(mobilenet):
    with pytest.raises(ConfigError, match=r"has 7 label.*other_labels") as caught:
        make_tagger(mobilenet_settings(mobilenet, head="LINEAR"), 5)
    assert "\n" not in str(caught.value)
    tagger = make_tagger(mobilenet_settings(mobilenet, other_labels="new_head"), 5)
    assert not tagger.origin.head
    assert tagger.origin.left_out == ("classifier.3.weight", "classifier.3.bias")
    first = torch.load(mobilenet, weights_only=True)["features.0.0.weight"]
    torch.testing.assert_close(tagger.backbone.features[0][0].weight.data, first.sum(1, True))
    with pytest.raises(ConfigError, match="other_labels"):
        make_tagger(mobilenet_settings(mobilenet, other_labels="guess"), 5)


def test_weights_of_another_network_are_one_line(mobilenet):
    settings = TaggerSettings(network="RESNEXT50_32X4D", front_end=FRONT, weights=mobilenet)
    with pytest.raises(ConfigError, match=r"missing: .* more; unexpected: .* more") as caught:
        make_tagger(settings, 7)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 700


def test_files_that_would_run_code_are_refused(tmp_path):
    path = tmp_path / "whole.pth"
    torch.save(nn.Linear(2, 2), path)
    with pytest.raises(DataError, match="run code"):
        make_tagger(mobilenet_settings(path), 5)


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
def test_damaged_files_are_one_line(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(b"\x00" * 100)
    with pytest.raises(DataError, match="weights") as caught:
        make_tagger(mobilenet_settings(path), 5)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["none.pth", "weights.onnx", "."])
def test_missing_and_foreign_files_are_one_line(name, tmp_path):
    (tmp_path / "weights.onnx").write_bytes(b"x")
    with pytest.raises(ConfigError, match="weights: "):
        make_tagger(mobilenet_settings(tmp_path / name), 5)


def test_a_tagger_starts_from_a_tagger(tmp_path):
    path = tmp_path / "tagger.safetensors"
    settings = TaggerSettings(network="PLAIN", front_end=FRONT)
    first = make_tagger(settings, 4).eval()
    save_file(first.state_dict(), path)
    second = make_tagger(TaggerSettings(network="PLAIN", front_end=FRONT, weights=path), 4).eval()
    images = torch.randn(2, 1, 64, 50)
    assert torch.equal(first.from_images(images), second.from_images(images))
    assert second.origin.head


def small_ast(folder, labels=5):
    config = transformers.ASTConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_length=128,
        num_mel_bins=64,
        num_labels=labels,
    )
    torch.manual_seed(0)
    model = transformers.ASTForAudioClassification(config).eval()
    model.save_pretrained(folder)
    return model


AST_FRONT = FrontEndSettings(name="AST", n_mels=64, frames=128)


def test_a_folder_of_ast_gives_its_logits(tmp_path):
    model = small_ast(tmp_path)
    settings = TaggerSettings(network="AST", front_end=AST_FRONT, head="LINEAR", weights=tmp_path)
    tagger = make_tagger(settings, 5).eval()
    clips = 0.1 * torch.randn(2, 16_000)
    with torch.no_grad():
        images = tagger.front_end(clips)
        expected = model(images[:, 0].mT).logits
        torch.testing.assert_close(tagger(clips), expected, atol=1e-5, rtol=1e-5)
    file = tmp_path / "model.safetensors"
    assert tagger.origin.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert tagger.origin.head


def test_a_file_of_ast_needs_its_config_beside_it(tmp_path):
    model = small_ast(tmp_path / "folder")
    path = tmp_path / "ast.pth"
    torch.save(model.state_dict(), path)
    settings = TaggerSettings(
        network="AST",
        front_end=AST_FRONT,
        head="LINEAR",
        weights=path,
        architecture=tmp_path / "folder",
    )
    tagger = make_tagger(settings, 5).eval()
    images = torch.randn(1, 1, 64, 128)
    with torch.no_grad():
        expected = model(images[:, 0].mT).logits
        torch.testing.assert_close(tagger.from_images(images), expected, atol=1e-5, rtol=1e-5)


def test_ast_refuses_other_labels_other_images_and_other_models(tmp_path):
    small_ast(tmp_path)
    settings = {"network": "AST", "weights": tmp_path, "head": "LINEAR"}
    with pytest.raises(ConfigError, match="has 5 label"):
        make_tagger(TaggerSettings(front_end=AST_FRONT, **settings), 3)
    new = make_tagger(TaggerSettings(front_end=AST_FRONT, other_labels="new_head", **settings), 3)
    assert new(torch.randn(1, 8_000)).shape == (1, 3)
    with pytest.raises(ConfigError, match="frames 128"):
        make_tagger(TaggerSettings(front_end=FrontEndSettings(name="AST"), **settings), 5)
    wave = FrontEndSettings(name="WAV2VEC")
    with pytest.raises(ConfigError, match="model_type"):
        make_tagger(TaggerSettings(network="WAV2VEC", front_end=wave, weights=tmp_path), 5)


def small_wav2vec(folder, norm, kind="Wav2Vec2ForSequenceClassification"):
    config = transformers.Wav2Vec2Config(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        conv_dim=(16,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
        classifier_proj_size=24,
        feat_extract_norm=norm,
        num_labels=5,
    )
    torch.manual_seed(0)
    model = getattr(transformers, kind)(config).eval()
    model.save_pretrained(folder)
    return model


WAVE = FrontEndSettings(name="WAV2VEC")


@pytest.mark.parametrize("norm", ["group", "layer"])
def test_a_folder_of_wav2vec_gives_its_logits(norm, tmp_path):
    model = small_wav2vec(tmp_path, norm)
    settings = TaggerSettings(network="WAV2VEC", front_end=WAVE, head="LINEAR", weights=tmp_path)
    tagger = make_tagger(settings, 5).eval()
    clips = 0.1 * torch.randn(2, 16_000)
    samples = torch.tensor([9_000, 16_000])
    with torch.no_grad():
        expected = model(tagger.front_end(clips)).logits
        torch.testing.assert_close(tagger(clips), expected, atol=1e-5, rtol=1e-5)
        assert tagger.takes_lengths == (norm == "layer")
        if tagger.takes_lengths:
            together, alone = tagger(clips, samples), tagger(clips[:1, :9_000])
            torch.testing.assert_close(together[:1], alone, atol=1e-5, rtol=1e-5)


def test_pretrained_wav2vec_begins_with_a_new_head_and_projection(tmp_path):
    model = small_wav2vec(tmp_path, "layer", "Wav2Vec2Model")
    settings = {"front_end": WAVE, "weights": tmp_path, "head": "LINEAR"}
    with pytest.raises(ConfigError, match="no last layer"):
        make_tagger(TaggerSettings(network="WAV2VEC", **settings), 5)
    chosen = {**settings, "other_labels": "new_head"}
    whole = make_tagger(TaggerSettings(network="WAV2VEC", **chosen), 5).eval()
    assert whole.origin.new == (
        "classifier.bias",
        "classifier.weight",
        "projector.bias",
        "projector.weight",
    )
    convolutions = make_tagger(TaggerSettings(network="WAV2VEC_CNN", **chosen), 5).eval()
    clips = torch.randn(1, 8_000)
    with torch.no_grad():
        waves = whole.front_end(clips)
        expected = model.feature_extractor(waves).mean(2)
        found = convolutions.backbone(waves).mean()
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
        expected = model(waves).last_hidden_state
        found = whole.backbone.wav2vec2(waves).last_hidden_state
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
