"""Networks that say which labels a waveform has: a front end, a backbone and a head."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from soundgate.audio.networks import starting
from soundgate.audio.networks.encoders import loading
from soundgate.audio.networks.encoders.ast import AstBackbone
from soundgate.audio.networks.encoders.wav2vec import Wav2VecBackbone, Wav2VecConvolutions
from soundgate.audio.networks.heads import HEADS, HeadPerLabel, make_head
from soundgate.audio.networks.images.per_label import BackbonePerLabel
from soundgate.audio.networks.images.small import SMALL, SmallBackbone
from soundgate.audio.networks.images.torchvision_networks import FUNCTIONS, ImageBackbone
from soundgate.audio.networks.weights import NEW_HEAD, OTHER_LABELS, REFUSE, refuse_labels
from soundgate.audio.signal.front_ends import FrontEndSettings, canonical, front_end
from soundgate.errors import ConfigError, ParameterError

if TYPE_CHECKING:
    from pathlib import Path

    from soundgate.audio.networks.weights import Origin
    from soundgate.audio.signal.front_ends.base import FrontEnd

PER_LABEL = "MOBNET"
"""A MobileNetV3 large for each label."""
NETWORKS = (*FUNCTIONS, PER_LABEL, *loading.TAGGERS, *SMALL)
"""Names of the networks."""


@dataclass(frozen=True, kw_only=True)
class TaggerSettings:
    """What a tagger is made of."""

    network: str = "EFFICIENT_NET_V2_S"
    """One of ``NETWORKS``; case, blanks and hyphens do not matter."""
    front_end: FrontEndSettings = field(default_factory=FrontEndSettings)
    head: str = "DEEP_HEAD"
    """One of ``heads.HEADS``. LINEAR is the last layer that pretrained networks come with."""
    head_hidden: tuple[int, ...] = ()
    """Sizes of the hidden layers of DEEP_HEAD and ATTENTION_HEAD."""
    dropout: float = 0.3
    """Share of values set to zero in training, before each layer of the head but the first."""
    use_fluffy: bool = False
    """Whether each label has a head of its own."""
    use_rgb: bool = False
    """Whether an image of one channel is copied into three; otherwise the first layer is summed
    over its three, which gives the same numbers with less work."""
    architecture: Path | None = None
    """Of AST and WAV2VEC: folder whose ``config.json`` says how large the network is; None: the
    base size of its library, or what ``weights`` says."""
    weights: Path | None = None
    """Weights to start from: a .pth or .safetensors file of torchvision or of a tagger, or a folder
    of transformers. None: fresh weights."""
    other_labels: str = REFUSE
    """``new_head`` starts a new head where the last layer of ``weights`` does not fit; ``refuse``
    refuses such weights."""


class Tagger(nn.Module):
    """Waveforms to logits: ``front_end``, ``backbone``, ``head``, each a part by that name."""

    front_end: FrontEnd

    def __init__(
        self, settings: TaggerSettings, front_end: FrontEnd, backbone: nn.Module, head: nn.Module
    ) -> None:
        """Join the parts; ``make_tagger`` makes them."""
        super().__init__()
        self.settings = settings
        self.front_end, self.backbone, self.head = front_end, backbone, head
        self.origin: Origin | None = None
        """Which weights it started from."""
        self.encoder_config: Any = None
        """Of AST and WAV2VEC: the config of ``transformers`` that says how large the network is."""
        self.copies = 3 if settings.use_rgb and front_end.channels == 1 else 1

    @property
    def takes_lengths(self) -> bool:
        """Whether clips of several lengths may share a batch without changing one another."""
        return bool(self.backbone.takes_lengths)

    @property
    def least_frames(self) -> int:
        """How wide an image has to be; narrower ones are filled up with zeros, which then count."""
        return int(self.backbone.least_frames)  # type: ignore[arg-type]

    def forward(self, waveforms: Tensor, samples: Tensor | None = None) -> Tensor:
        """Logits float32 (clip, label).

        Args:
            waveforms: float32 (clip, sample), mono at the front end's rate, nominally in -1..1.
            samples: int64 (clip,), how many samples of each are real; None: all.

        Raises:
            ParameterError: the clips' lengths differ, and the network cannot mask.
        """
        images = self.front_end(waveforms, samples)
        return self.from_images(images, None if samples is None else self.front_end.frames(samples))

    def from_images(self, images: Tensor, frames: Tensor | None = None) -> Tensor:
        """Logits float32 (clip, label) of what the front end returns.

        Args:
            images: float32 (clip, channel, band, frame); of WAV2VEC waveforms (clip, sample).
            frames: int64 (clip,), how many frames of each are real; None: all. In training, batch
                normalisation counts the others too: there, batch clips of like length.

        Raises:
            ParameterError: the clips' lengths differ, and the network cannot mask.
        """
        if frames is not None and not self.takes_lengths:
            self._check_alike(frames, images.shape[-1])
            frames = None
        if not torch.compiler.is_exporting():
            images, frames = self._filled(images, frames)
        if self.copies > 1:
            images = images.expand(-1, self.copies, -1, -1)
        logits: Tensor = self.head(self.backbone(images, frames))
        return logits

    def _check_alike(self, frames: Tensor, width: int) -> None:
        """Refuse clips of several lengths."""
        if bool((frames != width).any()):
            raise ParameterError(
                f"{self.settings.network} cannot leave out what fills a clip up to the longest of "
                "its batch; batch clips of one length"
            )

    def _filled(self, images: Tensor, frames: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Images at least as wide as the network needs, with zeros, which then count."""
        least = self.least_frames
        missing = least - images.shape[-1]
        if missing > 0:
            images = functional.pad(images, (0, missing))
        return images, None if frames is None else frames.clamp(min=least)


def make_tagger(settings: TaggerSettings, labels: int) -> Tagger:
    """A tagger with fresh weights, drawn from torch's global generator, or with those of a file.

    Args:
        settings: what it is made of.
        labels: how many logits it gives.

    Raises:
        ConfigError: there is no such network, head or front end, or they do not fit together, or
            the weights do not fit them.
        DataError: the file with the weights is damaged.
        MissingExtra: a library that it needs is not installed.
    """
    name = canonical(settings.network, NETWORKS, "network")
    kind = canonical(settings.head, HEADS, "head")
    front = front_end(settings.front_end)
    _check(name, front, settings, labels)
    pooled = kind != "ATTENTION_HEAD"
    if name in loading.CLASSES:
        return _encoder(name, kind, settings, front, labels)
    backbone = _backbone(name, settings, front, labels, pooled=pooled)
    head = _head(kind, settings, backbone, labels)
    tagger = Tagger(settings, front, backbone, head)
    if settings.weights is not None:
        tagger.origin = starting.start(
            backbone, head, settings.weights, labels=labels, other_labels=settings.other_labels
        )
    return tagger


def _backbone(
    name: str, settings: TaggerSettings, front: FrontEnd, labels: int, *, pooled: bool
) -> Any:
    channels = 3 if settings.use_rgb else front.channels
    if name in SMALL:
        return SmallBackbone(SMALL[name], channels=channels, pooled=pooled)
    if name == PER_LABEL:
        function = FUNCTIONS["MOBILENET_V3_LARGE"]
        each = (ImageBackbone(function, channels=channels, pooled=pooled) for _ in range(labels))
        return BackbonePerLabel(list(each))
    return ImageBackbone(FUNCTIONS[name], channels=channels, pooled=pooled)


def _encoder(
    name: str, kind: str, settings: TaggerSettings, front: FrontEnd, labels: int
) -> Tagger:
    layer, origin = None, None
    if settings.weights is None:
        model = loading.fresh(name, loading.config_of(name, settings.architecture, labels))
    else:
        model, layer, origin = starting.encoder(
            name, settings.weights, settings.architecture, labels
        )
    backbone: Any
    if name == "AST":
        backbone = AstBackbone(model, pooled=kind != "ATTENTION_HEAD")
        _check_image(front, backbone)
    else:
        backbone = Wav2VecBackbone(model) if name == "WAV2VEC" else Wav2VecConvolutions(model)
    head = _head(kind, settings, backbone, labels)
    tagger = Tagger(settings, front, backbone, head)
    tagger.encoder_config = model.config
    if settings.weights is not None and origin is not None:
        kept = starting.take_last(head, layer)
        if not kept and settings.other_labels != NEW_HEAD:
            found = "no last layer" if layer is None else f"{len(layer[0])} label(s)"
            raise refuse_labels(settings.weights, found, labels)
        tagger.origin = replace(origin, head=kept)
    return tagger


def _head(name: str, settings: TaggerSettings, backbone: Any, labels: int) -> nn.Module:
    split = isinstance(backbone, BackbonePerLabel)

    def make(logits: int) -> nn.Module:
        hidden, dropout = settings.head_hidden, settings.dropout
        return make_head(name, backbone.size, hidden, logits, dropout=dropout)

    if settings.use_fluffy or split:
        return HeadPerLabel([make(1) for _ in range(labels)], split=split)
    return make(labels)


def _check(name: str, front: FrontEnd, settings: TaggerSettings, labels: int) -> None:
    """Refuse a front end that the network cannot take."""
    given = front.settings.name
    if labels < 1:
        raise ConfigError(f"labels: a tagger needs 1 or more, got {labels}")
    if settings.other_labels not in OTHER_LABELS:
        raise ConfigError(
            f"other_labels: give {' or '.join(OTHER_LABELS)}, not {settings.other_labels!r}"
        )
    waveform = name in {"WAV2VEC", "WAV2VEC_CNN"}
    if waveform != (given == "WAV2VEC"):
        needed = "WAV2VEC" if waveform else "an image, such as MEL_SPECTROGRAM"
        raise ConfigError(f"front_end.name: {name} needs {needed}, not {given}")
    if name == "AST" and given != "AST":
        raise ConfigError(f"front_end.name: AST needs AST, not {given}")


def _check_image(front: FrontEnd, backbone: AstBackbone) -> None:
    """Refuse images of another size than that of the position embeddings."""
    given = (front.settings.n_mels, front.settings.frames)
    if given != (backbone.bands, backbone.least_frames):
        raise ConfigError(
            f"front_end: this AST needs n_mels {backbone.bands} and frames {backbone.least_frames},"
            f" not {given[0]} and {given[1]}"
        )
