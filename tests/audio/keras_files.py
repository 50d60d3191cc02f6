"""Keras ``.h5`` files: a reader that computes what they say, and a writer of small ones.

Both are written from Keras's documentation and the STM32 model zoo's sources, and share nothing
with ``soundgate.audio.networks.keras``. Everything is float64 numpy, channels last, as in Keras.
"""

from __future__ import annotations

import json

import h5py
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def outputs(path, patches):
    """The output of every layer by name, for ``patches`` in the file's own layout (B, H, W, 1)."""
    with h5py.File(path) as file:
        model = json.loads(file.attrs["model_config"])
        weights = {}
        top = file["model_weights"]
        for group in (top[name] for name in map(str, top.attrs["layer_names"])):
            for name in map(str, group.attrs["weight_names"]):
                weights[name.removesuffix(":0")] = group[name][()].astype(np.float64)
    values = {}
    _run(model, [patches.astype(np.float64)], weights, values)
    return values


def _run(model, given, weights, values):
    local, previous = {}, given[0]
    for entry in model["config"]["layers"]:
        config, kind = entry["config"], entry["class_name"]
        name = config["name"]
        nodes = entry.get("inbound_nodes")
        inputs = [local[node[0]] for node in nodes[0]] if nodes else [previous]
        if kind in ("Functional", "Sequential", "Model"):
            out = _run(entry, inputs, weights, values)
        elif kind == "InputLayer":
            out = given[0]
        else:
            own = {
                key.rpartition("/")[2]: value
                for key, value in weights.items()
                if key.rpartition("/")[0] == name
            }
            out = _LAYERS[kind](inputs, config, own)
            values[name] = out
        local[name] = previous = out
    ends = model["config"].get("output_layers")
    return local[ends[0][0]] if ends else previous


def _windows(x, config, size):
    strides = config["strides"]
    if config["padding"] == "same":
        pads = []
        for length, kernel, stride in zip(x.shape[1:3], size, strides, strict=True):
            out = -(-length // stride)
            total = max((out - 1) * stride + kernel - length, 0)
            pads.append((total // 2, total - total // 2))
        x = np.pad(x, [(0, 0), *pads, (0, 0)])
    return sliding_window_view(x, size, (1, 2))[:, :: strides[0], :: strides[1]]


def _conv(inputs, config, w):
    windows = _windows(inputs[0], config, config["kernel_size"])
    out = np.einsum("bhwcij,ijco->bhwo", windows, w["kernel"], optimize=True)
    return out + w["bias"] if config["use_bias"] else out


def _depthwise(inputs, config, w):
    windows = _windows(inputs[0], config, config["kernel_size"])
    kernel = w["depthwise_kernel"][..., 0]
    return np.einsum("bhwcij,ijc->bhwc", windows, kernel, optimize=True)


def _norm(inputs, config, w):
    scale = w.get("gamma", 1.0) / np.sqrt(w["moving_variance"] + config["epsilon"])
    return (inputs[0] - w["moving_mean"]) * scale + w.get("beta", 0.0)


def _activation(inputs, config, w):
    if config["activation"] == "relu":
        return np.maximum(inputs[0], 0)
    e = np.exp(inputs[0] - inputs[0].max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


_LAYERS = {
    "Conv2D": _conv,
    "DepthwiseConv2D": _depthwise,
    "BatchNormalization": _norm,
    "ReLU": lambda i, c, w: np.maximum(i[0], 0),
    "Activation": _activation,
    "ZeroPadding2D": lambda i, c, w: np.pad(i[0], [(0, 0), *c["padding"], (0, 0)]),
    "MaxPooling2D": lambda i, c, w: _windows(i[0], c, c["pool_size"]).max((4, 5)),
    "Add": lambda i, c, w: i[0] + i[1],
    "GlobalAveragePooling2D": lambda i, c, w: i[0].mean((1, 2)),
    "GlobalMaxPooling2D": lambda i, c, w: i[0].max((1, 2)),
    "Flatten": lambda i, c, w: i[0].reshape(len(i[0]), -1),
    "Dropout": lambda i, c, w: i[0],
    "Dense": lambda i, c, w: i[0] @ w["kernel"] + w["bias"],
}


class Net:
    """Layers of a functional model, added one by one, with random weights."""

    def __init__(self, shape, seed=0):
        self.rng = np.random.default_rng(seed)
        self.layers, self.weights, self.unnamed = [], {}, {}
        self.channels = {}
        self.add("InputLayer", "input_1", [], batch_input_shape=[None, *shape])
        self.channels["input_1"] = shape[-1]

    def add(self, kind, name, inputs, **config):
        if name is None:  # Keras's own names: max_pooling2d, max_pooling2d_1
            stem = {"MaxPooling2D": "max_pooling2d"}[kind]
            count = self.unnamed[stem] = self.unnamed.get(stem, -1) + 1
            name = f"{stem}_{count}" if count else stem
        self.layers.append(
            {
                "class_name": kind,
                "config": {"name": name, "trainable": True, "dtype": "float32", **config},
                "name": name,
                "inbound_nodes": [[[i, 0, 0, {}] for i in inputs]] if inputs else [],
            }
        )
        self.weights[name] = {}
        self.channels[name] = self.channels[inputs[0]] if inputs else None
        return name

    def conv(self, x, count, kernel, name, *, strides=1, padding="valid", bias=True):
        k, before = kernel, self.channels[x]
        self.add(
            *("Conv2D", name, [x]), filters=count, kernel_size=[k, k], strides=[strides] * 2,
            padding=padding, use_bias=bias, data_format="channels_last", dilation_rate=[1, 1],
            groups=1, activation="linear",
        )  # fmt: skip
        scale = (k * k * before) ** -0.5
        self.weights[name]["kernel"] = self.rng.normal(0, 1.4 * scale, (k, k, before, count))
        if bias:
            self.weights[name]["bias"] = self.rng.normal(0, 0.5, count)
        self.channels[name] = count
        return name

    def depthwise(self, x, name, strides):
        count = self.channels[x]
        self.add(
            *("DepthwiseConv2D", name, [x]), kernel_size=[3, 3], strides=[strides] * 2,
            padding="same", use_bias=False, data_format="channels_last", dilation_rate=[1, 1],
            groups=1, activation="linear", depth_multiplier=1,
        )  # fmt: skip
        self.weights[name]["depthwise_kernel"] = self.rng.normal(0, 0.3, (3, 3, count, 1))
        return name

    def norm(self, x, name, epsilon=1.001e-5, *, scale=True):
        self.add("BatchNormalization", name, [x], axis=[3], epsilon=epsilon, scale=scale)
        n, rng = self.channels[x], self.rng
        own = {"gamma": rng.uniform(0.5, 1.5, n)} if scale else {}
        own |= {"beta": rng.normal(0, 0.3, n), "moving_mean": rng.normal(0, 0.5, n)}
        own["moving_variance"] = rng.uniform(0.5, 2.0, n)
        # A variance that is not much larger than the epsilon: it then counts.
        own["moving_variance"][0] = 1e-4 if scale else 1e-2
        if scale:
            own["gamma"][0] = 1e-2
        else:
            for kernel in self.weights[x].values():
                kernel[(..., 0) if kernel.shape[3] > 1 else (..., 0, 0)] *= 0.1
        self.weights[name] |= own
        return name

    def relu(self, x, name):
        return self.add("Activation", name, [x], activation="relu")

    def write(self, path, *, nested=False):
        """Write the file; ``nested``: within a Sequential, as the zoo's YAMNet is."""
        last = [self.layers[-1]["config"]["name"], 0, 0]
        inner = {"name": "inner", "layers": self.layers, "output_layers": [last]}
        model = {"class_name": "Functional", "config": inner}
        if nested:
            shape = self.layers[0]["config"]["batch_input_shape"]
            first = {"name": "inner_input", "batch_input_shape": shape}
            pool = {"class_name": "GlobalAveragePooling2D", "config": {"name": "gap"}}
            entries = [{"class_name": "InputLayer", "config": first}, model, pool]
            model = {"class_name": "Sequential", "config": {"name": "outer", "layers": entries}}
        with h5py.File(path, "w") as file:
            file.attrs["backend"], file.attrs["keras_version"] = "tensorflow", "2.9.0"
            file.attrs["model_config"] = json.dumps(model)
            top = file.create_group("model_weights")
            top.create_group("top_level_model_weights").attrs["weight_names"] = []
            top.attrs["layer_names"] = ["inner"] if nested else list(self.weights)
            for name, own in self.weights.items():
                group = top.require_group("inner" if nested else name)
                names = list(group.attrs.get("weight_names", []))
                for short, value in own.items():
                    group[f"{name}/{short}:0"] = value.astype(np.float32)
                    names.append(f"{name}/{short}:0")
                group.attrs["weight_names"] = names
        return path


def miniresnet(version, n_stacks, shape=(64, 50, 1), *, pooling=None, classes=None):
    """A network as the model zoo's sources build it."""
    net = Net(shape, seed=n_stacks)
    x = net.add("ZeroPadding2D", "conv1_pad", ["input_1"], padding=[[3, 3], [3, 3]])
    x = net.conv(x, 64, 7, "conv1_conv", strides=2)
    if version == "v1":
        x = net.relu(net.norm(x, "conv1_bn"), "conv1_relu")
    x = net.add("ZeroPadding2D", "pool1_pad", [x], padding=[[1, 1], [1, 1]])
    x = net.add(
        "MaxPooling2D", "pool1_pool", [x], pool_size=[3, 3], strides=[2, 2], padding="valid"
    )
    for stack in range(n_stacks):
        count, name = 64 * 2**stack, f"conv{stack + 2}"
        if version == "v1":
            x = _block_v1(net, x, count, f"{name}_block1", strides=2, shortcut=True)
            x = _block_v1(net, x, count, f"{name}_block2", strides=1, shortcut=False)
        else:
            x = _block_v2(net, x, count, f"{name}_block1", strides=1, shortcut=True)
            x = _block_v2(net, x, count, f"{name}_block2", strides=2, shortcut=False)
    if version == "v2":
        x = net.relu(net.norm(x, "post_bn"), "post_relu")
    if pooling:
        kind = {"avg": "GlobalAveragePooling2D", "max": "GlobalMaxPooling2D"}[pooling]
        x = net.add(kind, f"{pooling}_pool", [x])
    if classes:
        size = net.channels[x]
        x = net.add("Dropout", "dropout", [x], rate=0.2)
        x = net.add("Dense", "dense", [x], units=classes)
        net.weights["dense"] = {
            "kernel": net.rng.normal(0, 1, (size, classes)), "bias": np.zeros(classes),
        }  # fmt: skip
        net.add("Activation", "activation", [x], activation="softmax")
    return net


def _block_v1(net, x, count, name, *, strides, shortcut):
    side = x
    if shortcut:
        side = net.conv(x, count, 1, f"{name}_0_conv", strides=strides)
        side = net.norm(side, f"{name}_0_bn")
    y = net.conv(x, count, 1, f"{name}_1_conv", strides=strides)
    y = net.relu(net.norm(y, f"{name}_1_bn"), f"{name}_1_relu")
    y = net.conv(y, count, 3, f"{name}_2_conv", padding="same")
    y = net.relu(net.norm(y, f"{name}_2_bn"), f"{name}_2_relu")
    return net.relu(net.add("Add", f"{name}_add", [side, y]), f"{name}_out")


def _block_v2(net, x, count, name, *, strides, shortcut):
    active = net.relu(net.norm(x, f"{name}_preact_bn"), f"{name}_preact_relu")
    if shortcut:
        side = net.conv(active, count, 1, f"{name}_0_conv", strides=strides)
    else:
        side = net.add(
            "MaxPooling2D", None, [x], pool_size=[1, 1], strides=[strides] * 2, padding="valid"
        )
    y = net.conv(active, count, 1, f"{name}_1_conv", bias=False)
    y = net.relu(net.norm(y, f"{name}_1_bn"), f"{name}_1_relu")
    y = net.add("ZeroPadding2D", f"{name}_2_pad", [y], padding=[[1, 1], [1, 1]])
    y = net.conv(y, count, 3, f"{name}_2_conv", strides=strides)
    return net.add("Add", f"{name}_out", [side, y])


def yamnet(layers, shape=(96, 64, 1)):
    """YAMNet's first ``layers`` layers."""
    net = Net(shape, seed=layers)

    def finish(x, name):
        x = net.norm(x, f"{name}/bn", 1e-4, scale=False)
        return net.add("ReLU", f"{name.removesuffix('/conv')}/relu", [x], max_value=None,
                       negative_slope=0.0, threshold=0.0)  # fmt: skip

    x = net.conv("input_1", 32, 3, "layer1/conv", strides=2, padding="same", bias=False)
    x = finish(x, "layer1/conv")
    strides = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1]
    counts = [64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024]
    for number in range(2, layers + 1):
        name = f"layer{number}/depthwise_conv"
        x = finish(net.depthwise(x, name, strides[number - 2]), name)
        name = f"layer{number}/pointwise_conv"
        x = net.conv(x, counts[number - 2], 1, name, padding="same", bias=False)
        x = finish(x, name)
    return net
