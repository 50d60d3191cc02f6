"""Make a ``model/`` folder of a model that ANIMAL-SPOT saved."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from soundgate.audio.detection import published
from soundgate.audio.detection.network import described
from soundgate.audio.formats import model as model_folder
from soundgate.audio.networks import weights
from soundgate.audio.networks.detector import make_detector
from soundgate.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def convert(path: Path, folder: Path, *, window_s: float, normalisation: str) -> None:
    """Make a ``model/`` folder of a ``.pk`` file.

    Args:
        path: the file.
        folder: where the model goes.
        window_s: length of the windows that it was trained with (``sequence_len``).
        normalisation: ``min_max`` where it was trained with ``min_max_norm``, else ``reference``.

    Raises:
        DataError: as ``read``.
        ConfigError: the weights do not fit the options, or there is something in ``folder``.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder}: is there already; give a new folder")
    found = published.read(path)
    front = replace(found.settings.front_end, normalisation=normalisation)
    settings = replace(found.settings, front_end=front, window_s=window_s)
    detector = make_detector(settings, len(found.classes))
    wanted = detector.state_dict()
    counters = [name for name in wanted if name.endswith("num_batches_tracked")]
    weights.check(path, found.tensors, wanted, may_lack=counters)
    detector.load_state_dict(found.tensors, strict=False)
    model_folder.write(folder, described(settings, found.classes), detector.state_dict(), [])
