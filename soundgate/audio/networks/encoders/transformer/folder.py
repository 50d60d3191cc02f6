"""A folder that ``save_pretrained`` wrote: its model, and how sound is prepared for it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from soundgate.audio.files.digests import sha256_of
from soundgate.audio.networks import weights
from soundgate.audio.networks.encoders import loading
from soundgate.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

PREPARATION = "preprocessor_config.json"
_PARTS = ("*.safetensors", "pytorch_model*.bin", "*.json", "*.txt", "*.model")
# Only the libraries' own augmentation reads it.
_UNUSED = "masked_spec_embed"


def model_in(name: str, folder: Path, *, may_lack: tuple[str, ...] = ()) -> Any:
    """The model of a folder, with all of its weights.

    Weights of the folder that the model has no use for are another task's last layers.

    Args:
        name: of ``loading.CLASSES``.
        folder: where ``save_pretrained`` wrote it.
        may_lack: beginnings of names of weights that are not used.

    Raises:
        ConfigError: the folder holds no such model, or lacks some of its weights.
        MissingExtra: transformers is not installed.
    """
    if not folder.is_dir():
        raise ConfigError(
            f"encoder.path: {folder} is no folder; give one that save_pretrained wrote"
        )
    config = loading.config_of(name, folder, 1)
    loaded = loading.with_weights(name, config, folder, None)
    missing = [
        key
        for key in loaded.missing
        if not key.endswith(_UNUSED) and not key.startswith(may_lack or ("\0",))
    ]
    weights.refuse(
        folder,
        missing,
        (),
        loaded.mismatched,
        field="encoder.path",
        fix=f"set encoder.name to what the folder holds, or copy it again: {name} needs them",
    )
    return loaded.model


def preparation(folder: Path) -> dict[str, Any]:
    """What ``preprocessor_config.json`` says; empty where there is none.

    Raises:
        ConfigError: it is not JSON.
    """
    path = folder / PREPARATION
    if not path.is_file():
        return {}
    try:
        found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}; copy it again") from error
    return found


def expect(folder: Path, said: dict[str, Any], **wanted: object) -> None:
    """Refuse a folder whose sound is prepared in another way than it is here.

    Raises:
        ConfigError: a value of ``preprocessor_config.json`` is another than wanted.
    """
    for key, value in wanted.items():
        if said.get(key, value) != value:
            raise ConfigError(
                f"{folder / PREPARATION}: {key} is {said[key]!r}; only {value!r} is computed here"
            )


def digest(folder: Path) -> str:
    """What all files of a folder hold that may change numbers: their names and SHA-256."""
    files = sorted({path for part in _PARTS for path in folder.glob(part)})
    return json.dumps({path.name: sha256_of(path) for path in files}, sort_keys=True)
