"""Starting from weights that were trained before: an own ``model/`` folder, or a Keras ``.h5``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from soundgate.audio.classification.batches import standardisation
from soundgate.audio.classification.inference import Classifier, read_network
from soundgate.audio.files.digests import sha256_of
from soundgate.audio.formats.model import WEIGHTS
from soundgate.audio.networks import keras, models
from soundgate.audio.networks.keras import conversion, keras_file
from soundgate.audio.signal.standardisation import Standardisation
from soundgate.errors import ConfigError

if TYPE_CHECKING:
    from torch import nn

    from soundgate.audio.classification.plan import Plan
    from soundgate.audio.config import Model, Training
    from soundgate.audio.formats.features import Info
    from soundgate.audio.learning.distributed import Group
    from soundgate.audio.networks.keras.conversion import Identity

FIELD = "training.model.pretrained_weights"
_HEAD = "head."


@dataclass(frozen=True)
class Start:
    """What the weights bring beside themselves."""

    standardisation: Standardisation | None = None
    """The one that goes with them; None where training starts from scratch."""
    head: bool = False
    """Whether the classifier's last layer came with them."""
    origin: dict[str, Any] = field(default_factory=dict)
    """For ``model.json``: where they come from; empty from scratch."""
    notice: str = ""
    """A line for whoever started the training."""

    @property
    def record(self) -> dict[str, Any]:
        """``origin`` as ``model.json`` has it."""
        return {"pretrained": self.origin} if self.origin else {}


@dataclass(frozen=True)
class Initialisation:
    """A classifier before its first step."""

    classifier: Classifier
    measured: Standardisation
    """Of the training clips; the classifier's own unless weights brought one."""
    start: Start


def initialise(plan: Plan, group: Group) -> Initialisation:
    """Build the network of ``plan`` and give it what its config starts from.

    Raises:
        ConfigError: there are no such weights, or they are of another architecture or other
            features.
        DataError: they are damaged.
        MissingExtra: they are a ``.h5`` file, and h5py is not installed.
    """
    info = plan.features.info
    torch.manual_seed(plan.seed)
    network = models.build(plan.architecture, len(info.classes), plan.size)
    origin = start(network, plan.config.training, info)
    if origin.notice and group.writes:
        print(origin.notice, flush=True)
    measured = standardisation(plan.features.frames, plan.clips)
    classifier = Classifier(
        network=models.to_device(network, group.device),
        standardisation=origin.standardisation or measured,
        classes=info.classes,
        multi_label=info.multi_label,
        feature_extraction=info.feature_extraction,
        device=group.device,
    )
    return Initialisation(classifier, measured, origin)


def start(network: nn.Module, training: Training, info: Info) -> Start:
    """Give ``network`` the weights that ``training.model.pretrained_weights`` names, if any.

    The classifier's last layer is taken over from a ``model/`` folder where the classes are the
    same.

    Raises:
        ConfigError: there are no such weights, or they are of another architecture or other
            features.
        DataError: they are damaged.
        MissingExtra: they are a ``.h5`` file, and h5py is not installed.
    """
    wanted = training.model.pretrained_weights
    if not wanted:
        return Start()
    if wanted is True:
        raise ConfigError(
            f"{FIELD}: Soundgate includes no weights; give the path of a model/ folder or of a "
            "Keras .h5 (python -m soundgate.audio.networks.keras lists them), or false"
        )
    path = Path(str(wanted))
    if path.is_dir():
        return _from_folder(path, network, info)
    if not path.is_file():
        raise ConfigError(
            f"{FIELD}: {path} does not exist; give a model/ folder or a Keras .h5 file"
        )
    if path.suffix != ".h5" and not keras_file.is_keras_file(path):
        raise ConfigError(f"{FIELD}: {path} is not a Keras .h5 file; give one, or a model/ folder")
    return _from_keras(path, network, training.model, info)


def digest(wanted: bool | str) -> str:  # noqa: FBT001 - the config's own type
    """SHA-256 of the weights that the config names; "" where it names none."""
    if not isinstance(wanted, str):
        return ""
    path = Path(wanted)
    return sha256_of(path / WEIGHTS if path.is_dir() else path)


def _from_folder(folder: Path, network: nn.Module, info: Info) -> Start:
    description, donor = read_network(folder)
    if description.feature_extraction != info.feature_extraction:
        raise ConfigError(f"{FIELD}: {folder} has another feature_extraction; use its values")
    own = network.state_dict()
    same_classes = description.classes == info.classes
    given = {
        name: value
        for name, value in donor.state_dict().items()
        if not name.startswith(_HEAD) or same_classes
    }
    body = {name: value.shape for name, value in own.items() if not name.startswith(_HEAD)}
    if body != {name: given[name].shape for name in given if not name.startswith(_HEAD)}:
        size = ", ".join(f"{key} {value}" for key, value in description.size.items())
        raise ConfigError(
            f"{FIELD}: {folder} is {description.architecture} ({size}); set training.model to it"
        )
    network.load_state_dict(given, strict=False)
    origin = {"name": "model", "sha256": digest(str(folder))}
    return Start(description.standardisation, head=same_classes, origin=origin)


def _from_keras(path: Path, network: nn.Module, model: Model, info: Info) -> Start:
    sha256 = sha256_of(path)
    row = keras.known(sha256)
    file = keras_file.read(path)
    identity = conversion.identify(file)
    _check_model(path, identity, model)
    differing = _check_features(path, identity, info, strict=row is not None)
    left_out = conversion.load(file, identity, network)
    name = row.name if row else "unknown"
    origin = {"name": name, "architecture": identity.architecture, "sha256": sha256}
    if row:
        origin |= {"licence": row.licence, "source": row.source}
        notice = f"starting from {row.name}, licence {row.licence}"
    else:
        notice = (
            f"starting from {path.name}, {identity.architecture}, in no table (sha256 "
            f"{sha256[:16]}...): its licence and features are for you to know"
        )
        if differing:
            notice += f"; files of its kind were trained with {differing}"
    if left_out:
        notice += f"; its own classifier is left out ({', '.join(left_out)})"
    bands = info.feature_extraction.n_mels
    identity_norm = Standardisation(np.zeros(bands, np.float32), np.ones(bands, np.float32))
    return Start(identity_norm, origin=origin, notice=notice)


def _check_model(path: Path, identity: Identity, model: Model) -> None:
    """Refuse a config whose network is not the file's, naming the field and the right value."""
    if model.name != identity.architecture:
        raise ConfigError(
            f"training.model.name: {path} is a {identity.architecture}, not {model.name}; set it "
            f"to {identity.architecture}"
        )
    for key, value in identity.size.items():
        given = getattr(model, key)
        if given != value and not (key == "pooling" and given is None):
            raise ConfigError(
                f"training.model.{key}: {path} has {value}, not {given}; set it to {value}"
            )


def _check_features(path: Path, identity: Identity, info: Info, *, strict: bool) -> str:
    """What the config's features should be but are not, as YAML; "" where they fit.

    Raises:
        ConfigError: they do not fit, and the file is known to need them, or its input is of another
            size.
    """
    expected = keras.FEATURES[identity.architecture]
    wanted = dict(expected.feature_extraction)
    wanted |= {"n_mels": identity.n_mels, "patch_length": identity.patch_frames}
    spec = info.feature_extraction
    wrong = {}
    for key, value in wanted.items():
        right = value if isinstance(value, tuple) else (value,)
        if getattr(spec, key) not in right:
            wrong[f"feature_extraction.{key}"] = " or ".join(map(_spelt, right))
    if info.preprocessing.target_rate != expected.target_rate:
        wrong["preprocessing.target_rate"] = str(expected.target_rate)
    text = ", ".join(f"{key}: {value}" for key, value in wrong.items())
    size = {f"feature_extraction.{key}" for key in ("n_mels", "patch_length")}
    if wrong and (strict or size & wrong.keys()):
        raise ConfigError(f"{path} was trained on other features; set {text}")
    return text


def _spelt(value: object) -> str:
    """A value as YAML has it."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
