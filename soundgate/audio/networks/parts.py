"""Parts of a tagger by name: which are frozen when only a part of its backbone is to learn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from soundgate.audio.networks.images.per_label import BackbonePerLabel
from soundgate.errors import ConfigError, nearest

if TYPE_CHECKING:
    from torch import nn

    from soundgate.audio.networks.tagger import Tagger

BACKBONE, HEAD = "backbone", "head"
"""Dotted names of a tagger's two parts that learn."""

HEAD_NAMES = ("head", "classifier", "fc")
"""What the last layer is called in the networks that taggers are made of."""


def frozen_parts(tagger: Tagger, backbone_after: str | None) -> tuple[str, ...]:
    """Dotted names that stay frozen, for ``Recipe.frozen``, when the rest learns.

    Args:
        tagger: the network.
        backbone_after: the first part of the backbone that learns, by the name it has in its
            library: ``features.5``, ``layer3.2``, ``wav2vec2.encoder``; it and everything that
            follows it learn. ``head`` (or ``classifier``, ``fc``): nothing of the backbone learns.
            None: everything learns.

    Raises:
        ConfigError: the backbone has no such part.
    """
    if backbone_after is None:
        return ()
    if backbone_after in HEAD_NAMES:
        return (BACKBONE,)
    backbone, prefix = tagger.backbone, BACKBONE
    if isinstance(backbone, BackbonePerLabel):
        backbone, prefix = backbone.labels[0], f"{BACKBONE}.labels.*"
    return tuple(f"{prefix}.{name}" for name in _before(backbone, backbone_after))


def _before(backbone: nn.Module, part: str) -> list[str]:
    """Modules and weights of ``backbone`` that stand before ``part``."""
    frozen: list[str] = []
    here, path = backbone, ""
    for component in part.split("."):
        children = dict(here.named_children())
        if component not in children:
            raise ConfigError(
                f"backbone_after: the backbone has no part {part!r}"
                f"{nearest(part, [name for name, _ in backbone.named_modules() if name])}"
            )
        frozen += [path + name for name, _ in here.named_parameters(recurse=False)]
        for name in children:
            if name == component:
                break
            frozen.append(path + name)
        here, path = children[component], f"{path}{component}."
    return frozen
