from __future__ import annotations

import hashlib
import re
import subprocess
import sys

import h5py
import numpy as np
import pytest
import torch
from keras_files import miniresnet, outputs, yamnet

from soundgate.audio.networks import keras as backbones
from soundgate.audio.networks import models
from soundgate.audio.networks.keras import conversion, keras_file
from soundgate.errors import ConfigError, DataError, MissingExtra

TOLERANCE = {"rtol": 1e-4, "atol": 1e-4}


def converted(path, **more):
    file = keras_file.read(path)
    identity = conversion.identify(file)
    torch.manual_seed(0)
    size = identity.size | more
    if more.get("pooling") == "flatten":
        size |= {"n_mels": identity.n_mels, "patch_frames": identity.patch_frames}
    network = models.build(identity.architecture, 5, size).eval()
    return identity, network, conversion.load(file, identity, network)


def recorded(network, patches):
    """The outputs of all modules, channels last, as often as they are used."""
    seen = []
    handles = [
        # A copy, since the next layer may work in place.
        module.register_forward_hook(lambda _m, _i, out: seen.append(out.clone()))
        for module in network.modules()
    ]
    with torch.inference_mode():
        network(patches)
    for handle in handles:
        handle.remove()
    return [value.permute(0, 2, 3, 1).numpy() for value in seen if value.ndim == 4]


def patches_for(identity, count=2):
    rng = np.random.default_rng(3)
    return rng.normal(-3.0, 2.0, (count, identity.n_mels, identity.patch_frames))


def compare(path):
    """Every layer of the file that has a twin among the network's modules, and the maps."""
    identity, network, _ = converted(path)
    patches = patches_for(identity)
    frames_first = identity.architecture == "yamnet"
    given = patches.transpose(0, 2, 1) if frames_first else patches
    reference = outputs(path, given[..., None])
    if frames_first:
        reference = {
            name: value.transpose(0, 2, 1, 3) if value.ndim == 4 else value
            for name, value in reference.items()
        }
    ours = recorded(network, torch.from_numpy(patches).float()[:, None])
    missing = []
    wanted = [name for name in reference if name.endswith(("relu", "_out", "pool1_pool", "/bn"))]
    for name in wanted:
        same = (value for value in ours if value.shape == reference[name].shape)
        if not any(np.allclose(value, reference[name], **TOLERANCE) for value in same):
            missing.append(name)
    return missing, len(wanted), reference, network, patches


FILES = {
    "v1-1": lambda: miniresnet("v1", 1),
    "v1-2-pooled": lambda: miniresnet("v1", 2, pooling="avg"),
    "v1-3": lambda: miniresnet("v1", 3),
    "v2-1": lambda: miniresnet("v2", 1),
    "v2-2-pooled": lambda: miniresnet("v2", 2, pooling="avg"),
    "v2-3": lambda: miniresnet("v2", 3, pooling="max"),
    "v2-1-odd": lambda: miniresnet("v2", 1, (61, 47, 1)),
    "yamnet-256-odd": lambda: yamnet(6, (97, 63, 1)),
    "yamnet-512": lambda: yamnet(12),
}


@pytest.mark.parametrize("kind", FILES)
def test_every_layer_of_a_written_file_gives_what_keras_gives(kind, tmp_path):
    path = FILES[kind]().write(tmp_path / "x.h5", nested=kind.startswith("yamnet"))
    missing, count, *_ = compare(path)
    assert missing == []
    assert count >= 8


def test_the_published_yamnet_in_full_depth(tmp_path):
    path = yamnet(14, (64, 32, 1)).write(tmp_path / "x.h5")
    identity, network, _ = converted(path)
    assert identity.size["embedding_size"] == 1024
    patches = patches_for(identity, 1)
    last = outputs(path, patches.transpose(0, 2, 1)[..., None])["layer14/pointwise_conv/relu"]
    with torch.inference_mode():
        maps = network.features(torch.from_numpy(patches).float()[:, None])
    np.testing.assert_allclose(maps.permute(0, 3, 2, 1), last, **TOLERANCE)


@pytest.fixture
def weights(real_data):
    return real_data("weights")


@pytest.mark.parametrize(
    ("name", "layers"), [("yamnet_256_f32.h5", 22), ("miniresnet_1_stacks_backbone.h5", 8)]
)
def test_every_layer_of_the_model_zoos_files_gives_what_keras_gives(weights, name, layers):
    missing, count, reference, network, patches = compare(weights / name)
    assert missing == []
    assert count == layers
    pooled = reference.get("global_average_pooling2d_3")
    if pooled is not None:
        with torch.inference_mode():
            given = torch.from_numpy(patches).float()[:, None]
            embedding = network.pool(network.features(given))
        np.testing.assert_allclose(embedding, pooled, **TOLERANCE)


def test_flattened_maps_are_in_keras_order(tmp_path):
    net = miniresnet("v1", 1)
    net.add("Flatten", "flatten", [net.layers[-1]["config"]["name"]])
    path = net.write(tmp_path / "x.h5")
    identity, network, _ = converted(path, pooling="flatten")
    patches = patches_for(identity)
    flat = outputs(path, patches[..., None])["flatten"]
    with torch.inference_mode():
        embedding = network.pool(network.features(torch.from_numpy(patches).float()[:, None]))
    assert embedding.shape == (2, 8 * 7 * 64) == (2, network.head.in_features)
    np.testing.assert_allclose(embedding, flat, **TOLERANCE)


def test_every_tensor_is_used_once(tmp_path):
    net = miniresnet("v2", 2)
    path = net.write(tmp_path / "x.h5")
    _, network, left_out = converted(path)
    assert left_out == ()
    body = network.features.state_dict()
    inside = sum(v.numel() for name, v in body.items() if "num_batches" not in name)
    assert inside == sum(w.size for own in net.weights.values() for w in own.values())


def test_a_classifier_is_left_out_and_named(tmp_path):
    net = miniresnet("v1", 1, pooling="avg", classes=5)
    path = net.write(tmp_path / "x.h5")
    identity, network, left_out = converted(path)
    assert sorted(left_out) == ["dense/bias", "dense/kernel"]
    assert identity.size["pooling"] == "avg"
    pooled = outputs(path, patches_for(identity)[..., None])["avg_pool"]
    with torch.inference_mode():
        given = torch.from_numpy(patches_for(identity)).float()[:, None]
        np.testing.assert_allclose(network.pool(network.features(given)), pooled, **TOLERANCE)


def _layer(net, name):
    return next(entry["config"] for entry in net.layers if entry["config"]["name"] == name)


def _other_epsilon(net):
    _layer(net, "conv2_block1_1_bn")["epsilon"] = 1e-3


def _other_stride(net):
    _layer(net, "conv2_block1_1_conv")["strides"] = [1, 1]


def _other_padding(net):
    _layer(net, "conv2_block1_2_conv")["padding"] = "valid"


def _dilated(net):
    _layer(net, "conv2_block1_2_conv")["dilation_rate"] = [2, 2]


def _other_activation(net):
    _layer(net, "conv2_block2_1_relu")["activation"] = "elu"


def _other_wiring(net):
    entry = next(e for e in net.layers if e["name"] == "conv2_block2_add")
    entry["inbound_nodes"][0][0][0] = "conv2_block1_add"


def _extra_layer(net):
    net.conv(net.layers[-1]["config"]["name"], 64, 1, "one_more")


def _other_shape(net):
    net.weights["conv2_block1_2_conv"]["kernel"] = np.zeros((3, 3, 32, 64))


def _missing_tensor(net):
    del net.weights["conv2_block1_2_bn"]["moving_mean"]


def _extra_tensor(net):
    net.weights["conv1_bn"]["extra"] = np.zeros(64)


def _not_finite(net):
    net.weights["conv1_bn"]["beta"][3] = np.nan


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (_other_epsilon, "layer 'conv2_block1_1_bn' has epsilon 0.001, not 1.001e-05"),
        (_other_stride, r"'conv2_block1_1_conv' has strides \(1, 1\), not \(2, 2\)"),
        (_other_padding, "'conv2_block1_2_conv' has padding valid, not same"),
        (_dilated, r"'conv2_block1_2_conv' has dilation_rate \(2, 2\)"),
        (_other_activation, "'conv2_block2_1_relu' has kind Activation, not relu"),
        (_other_wiring, "'conv2_block2_add' has inputs .*conv2_block1_add"),
        (_extra_layer, r"'one_more' \(Conv2D\) does not belong to the backbone"),
        (_other_shape, r"conv2_block1_2_conv/kernel has shape \(64, 32, 3, 3\)"),
        (_missing_tensor, "'conv2_block1_2_bn' has no moving_mean"),
        (_extra_tensor, "conv1_bn/extra does not belong to the network"),
        (_not_finite, "conv1_bn/beta:0 is not finite"),
    ],
)
def test_a_file_of_another_network_is_refused(damage, text, tmp_path):
    net = miniresnet("v1", 1)
    damage(net)
    path = net.write(tmp_path / "x.h5")
    with pytest.raises(DataError, match=text) as caught:
        converted(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("keep", [0, 8, 600, 20_000, -1_000])
def test_a_file_cut_short_is_damaged(keep, tmp_path):
    path = miniresnet("v1", 1).write(tmp_path / "x.h5")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"x\.h5: is damaged"):
        keras_file.read(path)


def test_weights_alone_are_not_enough(tmp_path):
    path = miniresnet("v1", 1).write(tmp_path / "x.h5")
    with h5py.File(path, "a") as file:
        del file.attrs["model_config"]
    with pytest.raises(DataError, match=r"save it with model.save\('x.h5'\)"):
        keras_file.read(path)


def test_another_architecture_is_told(tmp_path):
    net = miniresnet("v1", 1)
    for entry in net.layers:
        if entry["name"] == "conv1_conv":
            entry["config"]["name"] = "convolution"
    net.weights["convolution"] = net.weights.pop("conv1_conv")
    for entry in net.layers:
        for node in entry["inbound_nodes"] and entry["inbound_nodes"][0]:
            node[0] = "convolution" if node[0] == "conv1_conv" else node[0]
    with pytest.raises(ConfigError, match="is not a YAMNet or MiniResNet"):
        converted(net.write(tmp_path / "x.h5"))


def test_h5py_missing_says_what_to_install(tmp_path, monkeypatch):
    path = miniresnet("v1", 1).write(tmp_path / "x.h5")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtra, match=r"needs h5py: pip install 'soundgate\[audio\]'"):
        keras_file.read(path)


def test_the_table_describes_files_that_can_be_had():
    names = [entry.name for entry in backbones.BACKBONES]
    assert len(names) == len(set(names)) == 11
    for entry in backbones.BACKBONES:
        assert models.size_of(entry.architecture, entry.size) == dict(entry.size)
        assert entry.licence.startswith("Apache-2.0")
        assert entry.command.startswith("curl -fLO https://github.com/")
        assert entry.file.endswith(".h5")
        assert re.fullmatch(r"|[0-9a-f]{64}", entry.sha256)
    assert "FSD50K" in backbones.known(backbones.BACKBONES[3].sha256).licence


@pytest.mark.parametrize(
    ("file", "name"),
    [("yamnet_256_f32.h5", "yamnet-256"), ("miniresnet_1_stacks_backbone.h5", "miniresnet-1")],
)
def test_the_files_at_hand_are_known(weights, file, name):
    path = weights / file
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    row = backbones.known(digest)
    assert row is not None
    assert row.name == name
    assert row.file.endswith(file)
    identity = conversion.identify(keras_file.read(path))
    assert identity.architecture == row.architecture
    assert dict(row.size).items() <= identity.size.items()
    features = row.features.feature_extraction
    assert (features["n_mels"], features["patch_length"]) == (
        identity.n_mels, identity.patch_frames,
    )  # fmt: skip


def test_an_unmeasured_digest_matches_nothing():
    assert backbones.known("") is None
    assert backbones.known("0" * 64) is None


def test_the_table_is_printed_without_heavy_libraries():
    code = (
        "import sys, runpy;"
        "runpy.run_module('soundgate.audio.networks.keras', run_name='__main__');"
        "assert not {'numpy', 'torch', 'h5py'} & set(sys.modules), 'heavy'"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    for entry in backbones.BACKBONES:
        assert entry.name in done.stdout
        assert entry.command in done.stdout
    assert "never measured" in done.stdout
