"""From a config, or from a ``model/`` folder, to a detector."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from soundgate.audio.detection import published
from soundgate.audio.files.digests import sha256_of
from soundgate.audio.formats.model import DESCRIPTION, WEIGHTS, Pretrained, read_weights
from soundgate.audio.formats.models.detector import (
    DetectorFile,
    DetectorFrontEndRecord,
    DetectorNetworkRecord,
    read_detector,
)
from soundgate.audio.networks import weights
from soundgate.audio.networks.detector import (
    CLASSIFIER,
    Detector,
    DetectorSettings,
    make_detector,
)
from soundgate.audio.signal.front_ends.detector_settings import DetectorFrontEndSettings
from soundgate.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from soundgate.audio.config.spot import SpotConfig


class Start(NamedTuple):
    """Weights that a training starts from."""

    tensors: dict[str, Tensor]
    """By the names of a detector."""
    classes: tuple[str, ...]
    origin: Pretrained


def settings_of(config: SpotConfig) -> DetectorSettings:
    """What the config's network is made of."""
    audio, network = config.audio, config.model
    left_out = {"downsample", "sequence_len_ms"}
    return DetectorSettings(
        network=network.name,
        front_end=DetectorFrontEndSettings(**audio.model_dump(exclude=left_out)),
        window_s=audio.window_s,
        width=network.width,
        conv_kernel_size=network.conv_kernel_size,
        max_pool=network.max_pool,
        pooling=network.pooling,
        dropout=network.dropout,
    )


def fresh(config: SpotConfig, classes: Sequence[str]) -> tuple[Detector, Pretrained | None]:
    """The config's network, and which weights it starts from; None: fresh ones.

    Fresh weights are drawn from torch's global generator.

    Raises:
        ConfigError: there is no such network, or the weights do not fit it or the classes.
        DataError: the file with the weights is damaged.
    """
    detector = make_detector(settings_of(config), len(classes))
    if config.model.pretrained_weights is None:
        return detector, None
    path = Path(config.model.pretrained_weights)
    start = _start(path)
    given = _fitting(path, start, classes, config)
    wanted = detector.state_dict()
    may_lack = [name for name in wanted if name.endswith("num_batches_tracked")]
    if len(given) < len(start.tensors):
        may_lack += [name for name in wanted if name.startswith(f"{CLASSIFIER}.")]
    weights.check(path, given, wanted, may_lack=may_lack)
    detector.load_state_dict(given, strict=False)
    return detector, start.origin


def _start(path: Path) -> Start:
    """The weights at a path: a model folder, or a file of ANIMAL-SPOT."""
    if (path / DESCRIPTION).is_file():
        found = read_detector(path)
        digest = sha256_of(path / WEIGHTS)
        origin = Pretrained(name=path.name, sha256=digest, architecture=found.architecture)
        return Start(read_weights(path), found.classes, origin)
    model = published.read(path)
    origin = Pretrained(name=path.name, sha256=sha256_of(path), architecture=model.settings.network)
    return Start(model.tensors, model.classes, origin)


def _fitting(
    path: Path, start: Start, classes: Sequence[str], config: SpotConfig
) -> Mapping[str, Tensor]:
    """The weights that are taken over: without the last layer where a new one is wanted."""
    if tuple(classes) == start.classes:
        return start.tensors
    if config.model.other_classes == "refuse":
        raise ConfigError(
            f"model.pretrained_weights: {path} tells {', '.join(start.classes)} apart, the data "
            f"{', '.join(classes)}; set model.other_classes to new_head to learn the last layer"
        )
    head = f"{CLASSIFIER}."
    return {name: value for name, value in start.tensors.items() if not name.startswith(head)}


def described(settings: DetectorSettings, classes: Sequence[str]) -> DetectorFile:
    """``model.json`` of a network that nothing is known of besides what it is made of."""
    names = set(DetectorNetworkRecord.model_fields)
    parts = {name: value for name, value in asdict(settings).items() if name in names}
    return DetectorFile(
        architecture=settings.network,
        classes=tuple(classes),
        sample_rate_hz=settings.front_end.sample_rate_hz,
        window_s=settings.window_s,
        front_end=DetectorFrontEndRecord.of(settings.front_end),
        network=DetectorNetworkRecord.model_validate(parts),
    )


def read_network(model: Path) -> tuple[DetectorFile, Detector]:
    """The description and the network of a ``model/`` folder, on the CPU, to score with.

    Raises:
        DataError: a file is missing or damaged, or the folder holds no detector.
    """
    if model.is_file():
        raise DataError(
            f"{model}: is no model folder; make one of a .pk file with 'soundgate import-detector'"
        )
    description, tensors = read_detector(model), read_weights(model)
    settings = DetectorSettings(
        front_end=description.front_end.settings(),
        window_s=description.window_s,
        **dict(description.network),
    )
    try:
        detector = make_detector(settings, len(description.classes))
        detector.load_state_dict(tensors)
    except (RuntimeError, ConfigError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{model / WEIGHTS}: does not fit {DESCRIPTION}: {reason}") from error
    return description, detector.eval()
