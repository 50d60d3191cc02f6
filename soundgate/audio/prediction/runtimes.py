"""What computes the scores: the trained network, or one of its exported programs.

Each takes clips as they were decoded, at the model's rate, and is called from several threads at
once, each of which is to use one core.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from soundgate.audio import export
from soundgate.audio.classification import inference
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt
    from torch import nn

    from soundgate.audio.classification.inference import Scorer
    from soundgate.audio.formats.model import Description
    from soundgate.audio.signal.waveforms import Arrangement, Samples

    Array = npt.NDArray[Any]

NETWORKS: Final = {"onnx": "network.onnx", "int8": "network_int8.onnx"}
PROGRAMS: Final = {"onnx": "model.onnx", "int8": "model_int8.onnx"}

# Half a minute fills a core as well as ten minutes do, in less memory; it does not fill a GPU.
GROUP_S: Final = 30.0
GPU_GROUP_S: Final = 600.0


class Runtime(Protocol):
    """Turns clips into scores."""

    group_s: float
    """Seconds of sound that are best handed over at once."""

    def score(self, clips: Sequence[tuple[Samples, Arrangement]]) -> list[Array]:
        """Patch scores float32 (patch, class) of each of the clips, in their order."""


def load(name: str, model: Path, description: Description, batch_size: int) -> Runtime:
    """The runtime called ``name`` for the model in a ``model/`` folder.

    Of the exported programs the network alone is used where it is there, because features are
    computed several times faster here than in a graph; its scores are those that were evaluated.

    Raises:
        DataError: the model is damaged, or has no such program.
        MissingExtra: the program's library is not installed.
    """
    if name == "torch":
        classifier = inference.load(model)
        _fold_normalisation(classifier.network.eval())
        return FeatureRuntime(classifier, description, batch_size, classifier.device.type)
    path = exported_path(name, model)
    import torch

    from soundgate.audio.export.runtime import ExportedNetwork, session

    opened = session(path, threads=1)
    if path.name == PROGRAMS[name]:
        return ProgramRuntime(opened, description, batch_size)
    network = ExportedNetwork(inference.load(model, torch.device("cpu")), opened)
    return FeatureRuntime(network, description, batch_size)


def exported_path(name: str, model: Path) -> Path:
    """The file of the runtime called ``name`` in a ``model/`` folder: a network, or a program.

    Raises:
        DataError: there is none.
        MissingExtra: the library that runs it is not installed.
    """
    network = model / "export" / NETWORKS[name]
    path = network if network.is_file() else program_path(name, model)
    export.require()
    return path


def program_path(name: str, model: Path) -> Path:
    """The file of the whole program of the runtime called ``name`` in a ``model/`` folder.

    Raises:
        DataError: there is none.
    """
    path = model / "export" / PROGRAMS[name]
    if not path.is_file():
        raise DataError(
            f"{path}: is missing: this version was registered without exported programs; "
            "set runtime to torch"
        )
    return path


class FeatureRuntime:
    """A network, with the features computed as preprocessing computes them."""

    def __init__(
        self, scorer: Scorer, description: Description, batch_size: int, device: str = "cpu"
    ) -> None:
        """Take what scores patches, wherever it computes."""
        self._scorer = scorer
        self._options = description.feature_extraction
        self._rate_hz = description.preprocessing.target_rate
        self._batch_size = batch_size
        self.group_s = GROUP_S if device == "cpu" else GPU_GROUP_S

    def score(self, clips: Sequence[tuple[Samples, Arrangement]]) -> list[Array]:
        """See ``Runtime``."""
        frames = (self._frames(arranged.apply(samples)) for samples, arranged in clips)
        return list(inference.score_frames(self._scorer, frames, self._batch_size))

    def _frames(self, samples: Samples) -> Array:
        """Log-mel frames float16 (frame, mel): half precision, because features are kept in it."""
        import torch

        from soundgate.audio.signal.log_mel import log_mel

        with torch.inference_mode():
            waveform = torch.from_numpy(np.ascontiguousarray(samples))
            mel = log_mel(waveform, self._options, self._rate_hz)
            half: Array = mel.half().numpy()
        return half


class ProgramRuntime:
    """A program from waveform to scores, front-end included, under ONNX Runtime on the CPU."""

    def __init__(self, opened: Any, description: Description, batch_size: int) -> None:
        """Take an ``onnxruntime.InferenceSession``."""
        self._session = opened
        spec = description.feature_extraction
        step = spec.patch_length - int(spec.patch_length * spec.overlap)
        self._at_most = batch_size * step * spec.hop_length  # samples
        self.group_s = GROUP_S

    def score(self, clips: Sequence[tuple[Samples, Arrangement]]) -> list[Array]:
        """See ``Runtime``; clips of one length share a batch."""
        of_length: dict[int, list[int]] = defaultdict(list)
        for number, (samples, _) in enumerate(clips):
            of_length[samples.size].append(number)
        scored: dict[int, Array] = {}
        for length, numbers in of_length.items():
            size = max(1, self._at_most // length)
            for first in range(0, len(numbers), size):
                batch = numbers[first : first + size]
                waveform = np.stack([clips[number][0] for number in batch])
                scores, patches = self._session.run(
                    ["patch_scores", "patches"], {"waveform": waveform}
                )
                for row, number in enumerate(batch):
                    scored[number] = scores[row, : int(patches[row])]
        return [scored[number] for number in range(len(clips))]


def _fold_normalisation(module: nn.Module) -> None:
    """Merge each batch normalisation with the convolution before it: the same numbers, sooner."""
    from torch import nn
    from torch.nn.utils.fusion import fuse_conv_bn_eval

    if isinstance(module, nn.Sequential):
        for index in range(len(module) - 1):
            first, second = module[index], module[index + 1]
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                module[index] = fuse_conv_bn_eval(first, second)
                module[index + 1] = nn.Identity()
    for child in module.children():
        _fold_normalisation(child)
