from __future__ import annotations

import pytest
import torch

from soundgate.audio.networks import models
from soundgate.errors import ConfigError

SIZES = [
    ("plain", {}),
    ("plain", {"width": 0.5, "pooling": "avg"}),
    ("yamnet", {"embedding_size": 256}),
    ("yamnet", {"embedding_size": 512, "width": 0.25}),
    ("yamnet", {"embedding_size": 1024, "width": 0.25}),
    ("miniresnet", {"n_stacks": 1, "pooling": "max"}),
    ("miniresnet", {"n_stacks": 3, "width": 0.25}),
    ("miniresnet", {"n_stacks": 2, "version": "v2", "width": 0.5}),
]


@pytest.mark.parametrize(("name", "size"), SIZES)
@pytest.mark.parametrize("frames", [models.MIN_FRAMES, 50, 96, 97])
def test_any_number_of_frames_gives_logits_that_training_can_change(name, size, frames):
    torch.manual_seed(0)
    model = models.build(name, 7, size)
    patches = torch.randn(3, 1, 64, frames)
    logits = model(patches)
    assert logits.shape == (3, 7)
    assert logits.dtype == torch.float32
    assert torch.isfinite(logits).all()
    logits.square().sum().backward()
    idle = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []


@pytest.mark.parametrize("name", models.MODELS)
def test_clips_of_a_batch_do_not_touch_one_another(name):
    torch.manual_seed(1)
    model = models.build(name, 4, {}).eval()
    patches = torch.randn(5, 1, 64, 96)
    with torch.inference_mode():
        together = model(patches)
        alone = torch.cat([model(patches[i : i + 1]) for i in range(5)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    assert not torch.equal(together[0], together[1])


def _backbone(model: torch.nn.Module) -> int:
    return models.parameter_count(model) - models.parameter_count(model.head)


def test_backbones_have_the_size_of_the_published_networks():
    # Counted by hand: stem 64 x 49 without bias and its normalisation (128), then per block.
    block_1 = (64 * 64 + 128) + (64 * 64 + 128) + (9 * 64 * 64 + 128)
    block_2 = (64 * 64 + 128) + (9 * 64 * 64 + 128)
    assert _backbone(models.build("miniresnet", 10, {})) == 64 * 49 + 128 + block_1 + block_2
    # Depthwise 9 c + 2 c, pointwise c d + 2 d, stem 9 x 32 + 64.
    pairs = [(32, 64), (64, 128), (128, 128), (128, 256), (256, 256)]
    expected = 9 * 32 + 64 + sum(11 * c + c * d + 2 * d for c, d in pairs)
    assert _backbone(models.build("yamnet", 10, {"embedding_size": 256})) == expected
    # The published YAMNet with its 1024-dimensional embedding has 3.2 million weights.
    assert 3.1e6 < _backbone(models.build("yamnet", 10, {"embedding_size": 1024})) < 3.3e6


def test_yamnet_pads_as_tensorflow_does():
    # An even axis at stride 2: nothing before, one zero after. The first output cell then sees the
    # first three rows, where symmetric padding would show it a zero and two rows.
    model = models.build("yamnet", 2, {}).eval()
    stem = model.features[0]
    with torch.no_grad():
        stem[1].weight.fill_(1.0)
    image = torch.zeros(1, 1, 64, 96)
    image[0, 0, 0, 0], image[0, 0, 2, 2], image[0, 0, 63, 95] = 1.0, 10.0, 100.0
    with torch.inference_mode():
        out = stem(image)
    assert out.shape[2:] == (32, 48)
    assert out[0, 0, 0, 0].item() == pytest.approx(11.0, rel=1e-3)
    assert out[0, 0, 31, 47].item() == pytest.approx(100.0, rel=1e-3)


@pytest.mark.parametrize(
    ("name", "size", "text"),
    [
        ("yament", {}, "did you mean 'yamnet'"),
        ("yamnet", {"embedding_size": 300}, "256, 512, 1024, not 300"),
        ("miniresnet", {"n_stacks": 4}, "n_stacks"),
        ("miniresnet", {"version": "v3"}, "v1 and v2"),
        ("plain", {"pooling": "meen"}, "pooling"),
    ],
)
def test_what_no_model_has_is_named(name, size, text):
    with pytest.raises(ConfigError, match=text):
        models.build(name, 10, size)


def test_size_keeps_what_the_model_knows():
    options = {"embedding_size": 512, "n_stacks": 2, "dropout": 0.1, "version": None, "name": "x"}
    assert models.size_of("yamnet", options) == {"embedding_size": 512, "dropout": 0.1}
    assert models.size_of("miniresnet", options) == {"n_stacks": 2, "dropout": 0.1}


def test_poolings_are_what_they_are_called():
    torch.manual_seed(0)
    maps = torch.randn(2, 3, 4, 5)
    expected = {
        "avg": maps.mean((2, 3)),
        "max": maps.flatten(2).max(2).values,
        "mean_max": maps.mean(2).mean(2) + maps.mean(2).max(2).values,
    }
    for name, value in expected.items():
        torch.testing.assert_close(models.build("plain", 2, {"pooling": name}).pool(maps), value)
