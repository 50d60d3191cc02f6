"""How a tagger takes over weights that were trained before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from soundgate.audio.networks import weights
from soundgate.audio.networks.encoders import loading
from soundgate.audio.networks.heads import LinearHead
from soundgate.audio.networks.images.per_label import BackbonePerLabel
from soundgate.audio.networks.images.torchvision_networks import ImageBackbone, layout, taken
from soundgate.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from soundgate.audio.networks.weights import Origin

_PARTS = ("backbone.", "head.")
# Last layers of the models of transformers, what they add to their encoder, and a weight that only
# the library's own augmentation reads.
_LAST = {"AST": "classifier.dense", "WAV2VEC": "classifier"}
_TOPS = ("classifier.", "projector.", "layer_weights")
_UNUSED = "masked_spec_embed"


def start(
    backbone: nn.Module, head: nn.Module, path: Path, *, labels: int, other_labels: str
) -> Origin:
    """Give a backbone, and a head that fits, the weights of a file.

    The file is one of torchvision, of which the last layer is the head's, or one of a whole tagger.

    Raises:
        ConfigError: the weights are of another network, or of other labels and ``other_labels`` is
            not ``new_head``.
        DataError: the file is damaged.
    """
    given = weights.read(path)
    if all(name.startswith(_PARTS) for name in given):
        origin, found = _from_tagger(backbone, head, path, given)
    elif isinstance(backbone, BackbonePerLabel):
        # Each label's network starts alike; a last layer of so many labels is of no use to one.
        for each in backbone.labels:
            assert isinstance(each, ImageBackbone)
            origin, found = _from_torchvision(each, None, path, given)
    elif isinstance(backbone, ImageBackbone):
        origin, found = _from_torchvision(backbone, head, path, given)
    else:
        raise ConfigError(
            f"{weights.FIELD}: {path} holds no weights of a tagger, from which alone this network "
            "can start; set network to one of torchvision or transformers"
        )
    if not origin.head and other_labels != weights.NEW_HEAD:
        raise weights.refuse_labels(path, found, labels)
    return origin


def encoder(
    name: str, path: Path, architecture: Path | None, labels: int
) -> tuple[nn.Module, tuple[Tensor, Tensor] | None, Origin]:
    """A model of ``transformers`` with the weights of a folder, or of a file beside a config.

    Returns:
        The model; weight and bias of its last layer, if it has one; its origin, without that layer.

    Raises:
        ConfigError: the weights are of another network.
        DataError: the file is damaged.
    """
    folder = path if path.is_dir() else architecture
    config = loading.config_of(name, folder, labels)
    file = weights.file_of(path)
    tensors = None if path.is_dir() else weights.read(path)
    if tensors is not None and name in _LAST:
        config.num_labels = len(tensors.get(f"{_LAST[name]}.weight", range(labels)))
    loaded = loading.with_weights(name, config, path, tensors)
    new = tuple(key for key in loaded.missing if key.startswith(_TOPS) or key.endswith(_UNUSED))
    missing = [key for key in loaded.missing if key not in new]
    unexpected = [key for key in loaded.unexpected if not _is_top(name, key)]
    weights.refuse(path, missing, unexpected, loaded.mismatched)
    layer = None
    if name in _LAST and f"{_LAST[name]}.weight" not in new:
        last: Any = loaded.model.get_submodule(_LAST[name])
        layer = (last.weight.detach().clone(), last.bias.detach().clone())
    origin = weights.Origin(
        str(path), weights.digest(file), head=False, left_out=loaded.unexpected, new=new
    )
    return loaded.model, layer, origin


def _is_top(name: str, key: str) -> bool:
    """Whether a weight belongs to what another task's model adds to the encoder."""
    if name == "WAV2VEC_CNN":
        return True
    base = {"AST": "audio_spectrogram_transformer.", "WAV2VEC": "wav2vec2."}[name]
    return not key.startswith(base)


def take_last(head: nn.Module, layer: tuple[Tensor, Tensor] | None) -> bool:
    """Copy a last layer's weight and bias into ``head``, if it is one layer of that size."""
    if layer is None or not isinstance(head, LinearHead):
        return False
    if layer[0].shape != head.linear.weight.shape:
        return False
    with torch.no_grad():
        head.linear.weight.copy_(layer[0])
        head.linear.bias.copy_(layer[1])
    return True


def _from_torchvision(
    backbone: ImageBackbone, head: nn.Module | None, path: Path, given: dict[str, Tensor]
) -> tuple[Origin, str]:
    """Take over a file of torchvision; says too what last layer it has."""
    where = layout(backbone.function)
    body = dict(given)
    last = [body.pop(f"{where.last}.{name}", None) for name in ("weight", "bias")]
    first, wanted = f"{where.first}.weight", backbone.state_dict()
    if first in body:
        body[first] = taken(body[first], wanted[first].shape[1])
    counters = [name for name in wanted if name.endswith("num_batches_tracked")]
    weights.check(path, body, wanted, may_lack=counters)
    backbone.load_state_dict(body, strict=False)
    weight, bias = last
    layer = None if weight is None or bias is None else (weight, bias)
    kept = head is not None and take_last(head, layer)
    found = "no last layer" if weight is None else f"{len(weight)} label(s)"
    left_out = () if kept or weight is None else (f"{where.last}.weight", f"{where.last}.bias")
    sha256 = weights.digest(path)
    return weights.Origin(str(path), sha256, head=kept, left_out=left_out), found


def _from_tagger(
    backbone: nn.Module, head: nn.Module, path: Path, given: dict[str, Tensor]
) -> tuple[Origin, str]:
    """Take over a file of a whole tagger; says too what last layer it has."""
    split: list[dict[str, Tensor]] = [
        {name.removeprefix(part): value for name, value in given.items() if name.startswith(part)}
        for part in _PARTS
    ]
    weights.check(path, split[0], backbone.state_dict())
    backbone.load_state_dict(split[0])
    shapes = {name: value.shape for name, value in split[1].items()}
    kept = shapes == {name: value.shape for name, value in head.state_dict().items()}
    if kept:
        head.load_state_dict(split[1])
    left_out = () if kept else tuple(f"head.{name}" for name in sorted(split[1]))
    origin = weights.Origin(str(path), weights.digest(path), head=kept, left_out=left_out)
    return origin, "a head of other labels or layers"
