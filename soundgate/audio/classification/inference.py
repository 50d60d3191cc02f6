"""From log-mel frames to scores: of patches, and of the clips they were cut from.

Torch takes seconds to import: it is, where a network is opened or asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from soundgate.audio.formats.model import DESCRIPTION, WEIGHTS, read_description, read_weights
from soundgate.audio.metrics.classification import THRESHOLD
from soundgate.audio.signal.patches import patch_starts
from soundgate.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import numpy.typing as npt
    import torch
    from torch import nn

    from soundgate.audio.config.sections.sound import FeatureExtraction
    from soundgate.audio.formats.feature_set import FeatureSet
    from soundgate.audio.formats.features import Row
    from soundgate.audio.formats.model import Description
    from soundgate.audio.signal.standardisation import Standardisation

    Array = npt.NDArray[Any]

BATCH_SIZE = 256


class Scorer(Protocol):
    """What scores patches: a network in torch, or one that was exported."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the scores."""

    @property
    def multi_label(self) -> bool:
        """Whether each score stands on its own."""

    def patches(self, frames: Array, *, at_most: int) -> Iterator[Array]:
        """Cut a clip ``(frame, mel)`` into patches ``(patch, mel, frame)``, at least one."""

    def scores(self, patches: Array) -> Array:
        """Scores float32 ``(patch, class)`` of patches ``(patch, mel, frame)``."""


@dataclass(frozen=True)
class Classifier:
    """A network, and what has to be known to feed it and to read its answer."""

    network: nn.Module
    """Takes standardised patches float32 ``(batch, 1, mel, frame)``, returns logits."""
    standardisation: Standardisation
    classes: tuple[str, ...]
    multi_label: bool
    feature_extraction: FeatureExtraction
    device: torch.device

    def patch_scores(self, frames: Array, batch_size: int = BATCH_SIZE) -> Array:
        """Scores float32 ``(patch, class)`` of one clip.

        Args:
            frames: log-mel frames ``(frame, mel)``, computed as ``feature_extraction`` says.
            batch_size: patches scored at once; changes the result by rounding only.

        Returns:
            A row a patch: probabilities that add up to 1, or, where the model is multi-label, one
            probability a class on its own.
        """
        parts = [self.scores(patches) for patches in self.patches(frames, at_most=batch_size)]
        return np.concatenate(parts)

    def patches(self, frames: Array, *, at_most: int) -> Iterator[Array]:
        """Cut a clip ``(frame, mel)`` into patches, at least one.

        A clip shorter than a patch is repeated until it fills one, as in training.

        Yields:
            ``(patch, mel, frame)``, ``at_most`` patches at a time.
        """
        spec = self.feature_extraction
        if len(frames) < spec.patch_length:
            frames = np.resize(frames, (spec.patch_length, frames.shape[1]))
        starts = patch_starts(
            len(frames),
            spec.patch_length,
            spec.overlap,
            include_last_patch=spec.include_last_patch,
        )
        windows = np.lib.stride_tricks.sliding_window_view(frames, spec.patch_length, axis=0)
        for first in range(0, len(starts), at_most):
            yield windows[starts[first : first + at_most]]

    def scores(self, patches: Array) -> Array:
        """Scores float32 ``(patch, class)`` of patches ``(patch, mel, frame)``, in one batch."""
        import torch

        self.network.eval()
        with torch.inference_mode():
            logits = self.network(self.standardised(patches)).float()
            scores = logits.sigmoid() if self.multi_label else logits.softmax(1)
        result: Array = scores.cpu().numpy()
        return result

    def standardised(self, patches: Array) -> torch.Tensor:
        """What the network takes, float32 ``(patch, 1, mel, frame)``, on its device."""
        import torch

        batch = torch.from_numpy(patches).to(self.device).float()
        return self.standardisation.apply(batch).unsqueeze(1)


def load(model: Path, device: torch.device | None = None) -> Classifier:
    """Read a ``model/`` folder; weights are read as numbers, no code in them is ever run.

    Args:
        model: the folder.
        device: where to compute; by default the GPU where there is one.

    Raises:
        DataError: a file is missing or damaged, or the folder is no model.
    """
    import torch

    from soundgate.audio.networks import models

    if device is None:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    description, network = read_network(model)
    network = models.to_device(network, device).eval()
    return Classifier(
        network=network,
        standardisation=description.standardisation,
        classes=description.classes,
        multi_label=description.multi_label,
        feature_extraction=description.feature_extraction,
        device=device,
    )


def read_network(model: Path) -> tuple[Description, nn.Module]:
    """The description and the network of a ``model/`` folder, on the CPU.

    Raises:
        DataError: a file is missing or damaged, or the folder is no model.
    """
    from soundgate.audio.networks import models

    description, weights = read_description(model), read_weights(model)
    try:
        network = models.build(description.architecture, len(description.classes), description.size)
        network.load_state_dict(weights)
    except (RuntimeError, ConfigError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{model / WEIGHTS}: does not fit {DESCRIPTION}: {reason}") from error
    return description, network


def score_clips(
    classifier: Scorer, features: FeatureSet, rows: Iterable[Row], batch_size: int = BATCH_SIZE
) -> Iterator[Array]:
    """Yield the patch scores float32 ``(patch, class)`` of each of ``rows``, in their order.

    Patches of several clips share a batch; memory holds one batch and one clip's scores.
    """
    yield from score_frames(classifier, map(features.clip_frames, rows), batch_size)


def score_frames(
    classifier: Scorer, clips: Iterable[Array], batch_size: int = BATCH_SIZE
) -> Iterator[Array]:
    """The same for log-mel frames ``(frame, mel)``, wherever they come from."""
    counts: list[int] = []
    scored = np.empty((0, len(classifier.classes)), np.float32)
    for patches, ends_clip in _batches(classifier, clips, batch_size):
        if len(patches):
            scored = np.concatenate([scored, classifier.scores(patches)])
        counts += ends_clip
        while counts and counts[0] <= len(scored):
            count = counts.pop(0)
            yield scored[:count]
            scored = scored[count:]


def _batches(
    classifier: Scorer, clips: Iterable[Array], batch_size: int
) -> Iterator[tuple[Array, list[int]]]:
    """Batches of patches, and how many patches each clip has that is complete with the batch."""
    waiting: list[Array] = []
    complete: list[int] = []
    room = batch_size
    for frames in clips:
        count = 0
        for piece in classifier.patches(frames, at_most=batch_size):
            count += len(piece)
            if len(piece) >= room:
                waiting.append(piece[:room])
                yield np.concatenate(waiting), complete
                rest = piece[room:]
                waiting, complete, room = [rest], [], batch_size - len(rest)
            else:
                waiting.append(piece)
                room -= len(piece)
        complete.append(count)
    if complete:
        yield np.concatenate(waiting), complete


def clip_scores(patch_scores: Array) -> Array:
    """A clip's scores float64 ``(class,)``: the mean over its patches, summed in float64.

    The vote of the STM32 model zoo, which adds up the patches' softmax.
    """
    return np.asarray(np.mean(patch_scores, axis=0, dtype=np.float64))


def decide(scores: Array, *, multi_label: bool) -> npt.NDArray[np.bool_]:
    """Which classes are given, bool ``(n, class)``, for scores ``(n, class)``.

    Multi-label: those that reach 0.5. Otherwise the one with the highest score, and of equal ones
    the first in the sorted list of classes.
    """
    if multi_label:
        return np.asarray(scores >= THRESHOLD)
    decided = np.zeros(scores.shape, np.bool_)
    decided[np.arange(len(scores)), scores.argmax(1)] = True
    return decided
