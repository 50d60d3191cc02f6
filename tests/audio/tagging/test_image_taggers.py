"""Taggers on the image networks of torchvision, and on the project's own small ones."""

from __future__ import annotations

import functools

import pytest
import torch
from torch import nn

from soundgate.audio.learning.groups import divide
from soundgate.audio.learning.recipe import Optimiser, Recipe
from soundgate.audio.networks.images.torchvision_networks import FUNCTIONS, ImageBackbone, build
from soundgate.audio.networks.parts import frozen_parts
from soundgate.audio.networks.tagger import NETWORKS, TaggerSettings, make_tagger
from soundgate.audio.signal.front_ends import FrontEndSettings
from soundgate.errors import ConfigError, ParameterError

pytest.importorskip("torchvision")

SHORT = FrontEndSettings(n_fft=400, n_mels=64)


@functools.cache
def tagger_of(name: str, **settings):
    torch.manual_seed(0)
    tagger = make_tagger(TaggerSettings(network=name, front_end=SHORT, **settings), 5)
    for module in tagger.modules():
        # Statistics as after a training: without them errors would hide behind tiny numbers.
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    return tagger.eval()


@pytest.mark.parametrize("name", ["MOBILENET_V3_LARGE", "CONVNEXT_TINY", "RESNEXT50_32X4D"])
def test_one_channel_gives_what_three_copies_give(name):
    torch.manual_seed(1)
    whole = build(FUNCTIONS[name]).eval()
    torch.manual_seed(1)
    backbone = ImageBackbone(FUNCTIONS[name], channels=1, pooled=True).eval()
    images = torch.randn(2, 1, 64, 96)
    last = [child for child in whole.modules() if isinstance(child, nn.Linear)][-1]
    embeddings = []
    last.register_forward_hook(lambda module, inputs, output: embeddings.append(inputs[0]))
    with torch.no_grad():
        whole(images.expand(-1, 3, -1, -1))
        found = backbone(images)
    torch.testing.assert_close(found.mean(), embeddings[0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("head", ["DEEP_HEAD", "ATTENTION_HEAD"])
@pytest.mark.parametrize("name", ["MOBILENET_V3_LARGE", "CONVNEXT_TINY", "RESNEXT50_32X4D"])
def test_a_clip_has_the_same_logits_alone_and_beside_a_longer_one(name, head):
    tagger = tagger_of(name, head=head)
    clips = 0.1 * torch.randn(2, 24_000, generator=torch.Generator().manual_seed(4))
    samples = torch.tensor([13_700, 24_000])
    with torch.no_grad():
        together = tagger(clips, samples)
        alone = torch.cat([tagger(clips[k : k + 1, :n]) for k, n in enumerate(samples)])
        unmasked = tagger(clips)
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    assert (unmasked[0] - alone[0]).abs().max() > 1e-4


def test_clips_too_short_for_the_network_are_filled_up_alike():
    tagger = tagger_of("MOBILENET_V3_LARGE")
    clips = 0.1 * torch.randn(2, 8_000, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        together = tagger(clips, torch.tensor([900, 8_000]))
        alone = tagger(clips[:1, :900])
    torch.testing.assert_close(together[:1], alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["PLAIN", "YAMNET", "MINIRESNET"])
@pytest.mark.parametrize("head", ["LINEAR", "ATTENTION_HEAD"])
def test_small_networks_are_taggers_for_clips_of_one_length(name, head):
    tagger = tagger_of(name, head=head)
    clips = torch.randn(2, 8_000)
    assert tagger(clips).shape == (2, 5)
    assert torch.equal(tagger(clips, torch.tensor([8_000, 8_000])), tagger(clips))
    with pytest.raises(ParameterError, match="one length"):
        tagger(clips, torch.tensor([8_000, 4_000]))


def test_each_label_has_a_head_of_its_own_with_use_fluffy():
    tagger = tagger_of("PLAIN", use_fluffy=True, head_hidden=(16,))
    assert len(tagger.head.labels) == 5
    images = torch.randn(2, 1, 64, 40)
    with torch.no_grad():
        before = tagger.from_images(images)
        tagger.head.labels[2].layers[-1].bias.add_(1.0)
        after = tagger.from_images(images)
        tagger.head.labels[2].layers[-1].bias.sub_(1.0)
    changed = (after - before).abs().amax(0) > 0.5
    assert changed.tolist() == [False, False, True, False, False]


def test_mobnet_is_a_network_of_its_own_for_each_label():
    torch.manual_seed(0)
    tagger = make_tagger(TaggerSettings(network="MobNet", front_end=SHORT, head="LINEAR"), 2).eval()
    images = torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        before = tagger.from_images(images)
        for weight in tagger.backbone.labels[0].parameters():
            weight.mul_(1.5)
        after = tagger.from_images(images)
    assert before.shape == (1, 2)
    assert before[0, 1] == after[0, 1]
    assert before[0, 0] != after[0, 0]
    frozen = frozen_parts(tagger, "features.2")
    assert frozen[0] == "backbone.labels.*.features.0"
    parts = divide(tagger, recipe(frozen))
    assert "backbone.labels.1.features.1.block.0.0.weight" in parts.frozen
    assert "backbone.labels.1.features.2.block.0.0.weight" not in parts.frozen


def test_rgb_copies_the_image_into_three_channels():
    tagger = tagger_of("MOBILENET_V3_LARGE", use_rgb=True)
    assert tagger.backbone.features[0][0].in_channels == 3
    assert tagger(torch.randn(1, 8_000)).shape == (1, 5)


def test_multi_spectrogram_enters_by_three_channels():
    front = FrontEndSettings(name="MULTI_SPECTROGRAM", n_mels=64)
    tagger = make_tagger(TaggerSettings(network="mobilenet v3 large", front_end=front), 3).eval()
    assert tagger.backbone.features[0][0].in_channels == 3
    assert tagger(torch.randn(1, 8_000)).shape == (1, 3)
    with pytest.raises(ConfigError, match="one channel"):
        make_tagger(TaggerSettings(network="PLAIN", front_end=front), 3)


def recipe(frozen):
    return Recipe(epochs=1, seed=0, optimiser=Optimiser(learning_rate=1.0), frozen=frozen)


def test_backbone_after_freezes_what_stands_before_it():
    tagger = tagger_of("RESNEXT50_32X4D")
    frozen = divide(tagger, recipe(frozen_parts(tagger, "layer3.2"))).frozen
    assert "backbone.conv1.weight" in frozen
    assert "backbone.layer3.1.conv3.weight" in frozen
    assert not any(name.startswith(("backbone.layer3.2", "backbone.layer4")) for name in frozen)
    assert not any(name.startswith("head") for name in frozen)
    for part in tagger.parameters():
        part.requires_grad_(True)


def test_backbone_after_freezes_all_or_nothing_of_the_backbone():
    tagger = tagger_of("MOBILENET_V3_LARGE")
    assert frozen_parts(tagger, None) == ()
    assert frozen_parts(tagger, "classifier") == ("backbone",)
    assert frozen_parts(tagger, "features.2") == ("backbone.features.0", "backbone.features.1")
    with pytest.raises(ConfigError, match=r"did you mean 'features\.5'"):
        frozen_parts(tagger, "feature.5")


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_network_of_torchvision_has_its_layout(name):
    with torch.device("meta"):
        whole = build(FUNCTIONS[name])
        backbone = ImageBackbone(FUNCTIONS[name], channels=1, pooled=True)
    theirs = {key: value.shape for key, value in whole.state_dict().items()}
    ours = {key: value.shape for key, value in backbone.state_dict().items()}
    changed = {key for key in ours if ours[key] != theirs[key]}
    lost = theirs.keys() - ours.keys()
    assert len(changed) == 1
    assert {key.rpartition(".")[2] for key in lost} == {"weight", "bias"}
    assert len(lost) == 2


def test_refuses_unknown_networks_heads_and_front_ends_that_do_not_fit():
    with pytest.raises(ConfigError, match="EFFICIENT_NET_V2_S"):
        make_tagger(TaggerSettings(network="EFFICIENTNET_V2_S"), 3)
    with pytest.raises(ConfigError, match="DEEP_HEAD"):
        make_tagger(TaggerSettings(network="PLAIN", head="DEEPHEAD"), 3)
    wave = FrontEndSettings(name="WAV2VEC")
    with pytest.raises(ConfigError, match="needs an image"):
        make_tagger(TaggerSettings(network="PLAIN", front_end=wave), 3)
    assert {"MOBNET", "CONVNEXT_LARGE", "WAV2VEC_CNN"} < set(NETWORKS)
