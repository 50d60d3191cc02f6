"""The pretrained backbones that Soundgate knows by name, beside those that it takes by path.

A backbone is a Keras ``.h5`` file, ``training.model.pretrained_weights: path/to/it.h5``. None is
shipped: the table says where each is to be had. A file whose SHA-256 is in the table is named in
``model.json``, and its licence is printed; any other file of one of the same layouts is taken too.

Importing this package imports neither torch nor h5py.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ZOO: Final = "https://github.com/STMicroelectronics/stm32ai-modelzoo"
# Two revisions of it that hold the files, by folder: later ones moved them.
_OLDER: Final = "f501e52ee1f0ba8854b3ee958a7dc7b9e21a791a"
_NEWER: Final = "ff424ea597aa8b1f7b9afd5f598668b9c28470ea"
_FOLDERS: Final = {
    _OLDER: "audio_event_detection/scripts/utils/models",
    _NEWER: "audio_event_detection/src/models",
    "main": "audio_event_detection/src/models",
}
_LICENCE: Final = "Apache-2.0 (STMicroelectronics, Google LLC)"
_FSD50K: Final = "; trained on FSD50K, clips CC0, CC BY, CC BY-NC and CC Sampling+"


@dataclass(frozen=True, slots=True)
class Features:
    """What a backbone was trained on; a value of another config gives it sounds it never met."""

    target_rate: int
    """Sample rate, Hz: ``preprocessing.target_rate``."""
    feature_extraction: Mapping[str, object]
    """Keys of ``feature_extraction`` and their values; a tuple holds values that are all right."""


YAMNET_FEATURES: Final = Features(
    16000,
    MappingProxyType(
        {
            "patch_length": 96,
            "n_mels": 64,
            "n_fft": 512,
            "hop_length": 160,
            "window_length": 400,
            "window": "hann",
            "center": False,
            "power": 1.0,
            "fmin": 125.0,
            "fmax": 7500.0,
            "norm": None,
            "htk": True,
            "to_db": False,
            # Google's own and the model zoo's: accuracies with either are the same.
            "log_offset": (1e-3, 1e-4),
        }
    ),
)
"""Logarithms of mel magnitudes, not standardised (Plakal and Ellis, YAMNet)."""

MINIRESNET_FEATURES: Final = Features(
    16000,
    MappingProxyType(
        {
            "patch_length": 50,
            "n_mels": 64,
            "n_fft": 1024,
            "hop_length": 320,
            "window_length": 1024,
            "window": "hann",
            "center": True,
            "pad_mode": "constant",
            "power": 2.0,
            "fmin": 20.0,
            "fmax": 7500.0,
            "norm": "slaney",
            "htk": False,
            "to_db": True,
        }
    ),
)
"""Decibels below the clip's maximum, not standardised (STM32 model zoo)."""

FEATURES: Final = MappingProxyType({"yamnet": YAMNET_FEATURES, "miniresnet": MINIRESNET_FEATURES})
"""By architecture."""


@dataclass(frozen=True, slots=True)
class Backbone:
    """A row of the table."""

    name: str
    file: str
    """Path in the repository."""
    architecture: str
    """Value of ``training.model.name``."""
    size: Mapping[str, object]
    """Further values of ``training.model`` that it needs."""
    licence: str
    sha256: str = ""
    """Of the file, in hexadecimal; "" where it was never measured: then it is taken as unknown."""
    source: str = _ZOO
    """The repository."""
    revision: str = _OLDER

    @property
    def features(self) -> Features:
        """What it was trained on."""
        return FEATURES[self.architecture]

    @property
    def command(self) -> str:
        """Shell command that downloads the file into the working folder."""
        return f"curl -fLO {self.source}/raw/{self.revision}/{self.file}"


def _yamnet(size: int, sha256: str = "", **source: str) -> Backbone:
    folder = _FOLDERS[source.get("revision", _OLDER)]
    file = f"{folder}/yamnet/yamnet_{size}_f32.h5"
    name = f"yamnet-{size}"
    return Backbone(name, file, "yamnet", {"embedding_size": size}, _LICENCE, sha256, **source)


def _miniresnet(stacks: int, version: str, *, pooled: bool, sha256: str = "") -> Backbone:
    name = "miniresnet" + ("v2" if version == "v2" else "")
    stem = f"{'pooled_' if pooled else ''}{name}_{stacks}_stacks_backbone"
    size: dict[str, object] = {"n_stacks": stacks, "version": version}
    if pooled:
        size["pooling"] = "avg"
    revision = _NEWER if pooled else _OLDER
    return Backbone(
        f"{name}-{stacks}{'-pooled' if pooled else ''}",
        f"{_FOLDERS[revision]}/{name}/{stem}.h5",
        "miniresnet",
        size,
        _LICENCE + _FSD50K,
        sha256,
        revision=revision,
    )


BACKBONES: Final = (
    _yamnet(256, "dfa6066b3f3bece880e9813b05cffb6a8328fe3da832f62401ce553dd380d2b3"),
    *(_yamnet(size, source=f"{_ZOO}-services", revision="main") for size in (512, 1024)),
    _miniresnet(
        1,
        "v1",
        pooled=False,
        sha256="11b54a8c2fe234c97bec1ab735137a8880f66c05c0746d4dbb467b9bedcddd57",
    ),
    *(
        _miniresnet(stacks, version, pooled=pooled)
        for version in ("v1", "v2")
        for pooled in (False, True)
        for stacks in (1, 2)
        if (stacks, version, pooled) != (1, "v1", False)
    ),
)
"""The one place to add one. Where sha256 is "", the address was not tried either."""


def known(sha256: str) -> Backbone | None:
    """The row of the table whose file has this digest."""
    return next((entry for entry in BACKBONES if entry.sha256 and entry.sha256 == sha256), None)


def table() -> Iterator[dict[str, str]]:
    """Yield the rows for a reader: name, architecture, size, licence, sha256, command."""
    for entry in BACKBONES:
        size = ", ".join(f"{key}: {value}" for key, value in entry.size.items())
        yield {
            "name": entry.name,
            "architecture": entry.architecture,
            "size": size,
            "licence": entry.licence,
            "sha256": entry.sha256,
            "command": entry.command,
        }


def main() -> None:
    """Print the table, a backbone a paragraph: ``python -m soundgate.audio.networks.keras``."""
    for row in table():
        print(f"{row['name']}\n  training.model  name: {row['architecture']}, {row['size']}")
        print(f"  licence         {row['licence']}")
        print(f"  sha256          {row['sha256'] or 'never measured'}")
        print(f"  get it          {row['command']}\n")
