"""Starting from a model that was trained before: on other classes, or on more clips."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from soundgate.audio import model_folder
from soundgate.errors import ConfigError

if TYPE_CHECKING:
    from soundgate.audio.batches import Standardisation
    from soundgate.audio.config import Training
    from soundgate.audio.frames import Info

_HEAD = "head."


def start(network: nn.Module, training: Training, info: Info) -> Standardisation | None:
    """Give ``network`` the weights that ``training.model.pretrained_weights`` names, if any.

    The classifier's last layer is taken over where the classes are the same. Unless
    ``training.fine_tune`` is set, every other layer stays as it was.

    Returns:
        The standardisation that goes with the weights; None where training starts from scratch.

    Raises:
        ConfigError: there are no such weights, or they are of another architecture or other
            features.
        DataError: the folder is damaged.
    """
    wanted = training.model.pretrained_weights
    if not wanted:
        return None
    field = "training.model.pretrained_weights"
    if wanted is True:
        raise ConfigError(
            f"{field}: no weights come with Soundgate; give the path of a model/ folder, or false"
        )
    folder = Path(str(wanted))
    if not folder.is_dir():
        raise ConfigError(f"{field}: {folder} is no folder; give the path of a model/")
    description, donor = model_folder.read(folder)
    if description.feature_extraction != info.feature_extraction:
        raise ConfigError(f"{field}: {folder} has another feature_extraction; use its values")
    own = network.state_dict()
    given = {
        name: value
        for name, value in donor.state_dict().items()
        if not name.startswith(_HEAD) or description.classes == info.classes
    }
    body = {name: value.shape for name, value in own.items() if not name.startswith(_HEAD)}
    if body != {name: given[name].shape for name in given if not name.startswith(_HEAD)}:
        size = ", ".join(f"{key} {value}" for key, value in description.size.items())
        raise ConfigError(
            f"{field}: {folder} is {description.architecture} ({size}); set training.model to it"
        )
    network.load_state_dict(given, strict=False)
    if not training.fine_tune:
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(name.startswith(_HEAD))
    return description.standardisation


def train_mode(network: nn.Module, training: Training) -> None:
    """Switch dropout on, and batch normalisation unless it belongs to pretrained layers.

    Running means that follow a small set of clips would undo what the other layers have learnt.
    """
    network.train()
    if training.model.pretrained_weights:
        for module in network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):  # noqa: SLF001
                module.eval()
