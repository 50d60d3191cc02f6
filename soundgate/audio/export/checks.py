"""Prove an exported program against the way in which models are evaluated.

The reference is not the exported module run in torch but the code that preprocessing and evaluation
run: ``waveforms.arrange``, ``log_mel``, ``Classifier``. Whatever the module got wrong of
either shows here, before anything is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from soundgate.audio.export import graphs
from soundgate.audio.export.front_end import least_samples, most_samples
from soundgate.audio.export.program import INPUT
from soundgate.audio.export.runtime import session
from soundgate.audio.signal.log_mel import arrange, log_mel
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt
    from onnx import ModelProto

    from soundgate.audio.classification.inference import Classifier
    from soundgate.audio.formats.model import Description

    Array = npt.NDArray[Any]

TOLERANCE = 1e-4
"""Largest difference of a score that counts as rounding."""

_SEED = 0
# Clips longer than this are not made only to be cut: it would take as long as the export.
_LONGEST_S = 60.0


@dataclass(frozen=True)
class Case:
    """A batch of waveforms and what evaluation makes of it."""

    waveform: Array
    """Float32 (batch, sample)."""
    scores: list[Array]
    """Patch scores float32 (patch, class) of each clip."""


def cases(description: Description, classifier: Classifier) -> list[Case]:
    """Batches of 1 to 3 clips that meet every branch of the front end.

    Shorter than ``min_length``, one patch exactly, odd lengths, silence inside, nothing but
    silence, longer than ``max_length``.
    """
    rate_hz = description.preprocessing.target_rate
    least = least_samples(description.preprocessing, description.feature_extraction)
    most = most_samples(description.preprocessing)
    lengths = [(1, max(1, least // 3)), (3, least), (2, 2 * least + 311), (3, 3 * least + 1)]
    if most <= _LONGEST_S * rate_hz:
        lengths.append((2, most + rate_hz // 3))
    rng = np.random.default_rng(_SEED)
    batches = [_waveforms(rng, batch, samples, rate_hz) for batch, samples in lengths]
    return [
        Case(waveform, [reference(clip, description, classifier) for clip in waveform])
        for waveform in batches
    ]


def reference(clip: Array, description: Description, classifier: Classifier) -> Array:
    """Patch scores float32 (patch, class) of one waveform float32 (sample,), as evaluation has it.

    Where evaluation would refuse a clip because it fills no patch, it is repeated until it does.
    """
    preprocessing, options = description.preprocessing, description.feature_extraction
    clip = clip[: most_samples(preprocessing)]
    samples = arrange(clip, preprocessing, options).apply(clip)
    with torch.inference_mode():
        mel = log_mel(torch.from_numpy(samples), options, preprocessing.target_rate)
    return classifier.patch_scores(mel.numpy())


def compare(name: str, run: Callable[[Array], Sequence[Array]], held: Sequence[Case]) -> float:
    """The largest difference of a score between ``run`` and the reference.

    Args:
        name: file that ``run`` runs.
        run: waveforms (batch, sample) to clip scores, patch scores and numbers of patches.
        held: what to compare with.

    Raises:
        DataError: it exceeds ``TOLERANCE``, or the numbers of patches differ.
    """
    differences = [0.0]
    for case in held:
        scores, patch_scores, counts = run(case.waveform)
        expected = [len(one) for one in case.scores]
        if counts.tolist() != expected:
            raise DataError(
                f"{name}: clips of {case.waveform.shape[1]} samples have {counts.tolist()} patches "
                f"instead of {expected}; this model cannot be exported"
            )
        for k, one in enumerate(case.scores):
            real, beyond = patch_scores[k, : len(one)], patch_scores[k, len(one) :]
            found = (scores[k] - one.mean(0), real - one, beyond)
            differences += [float(np.abs(values).max(initial=0.0)) for values in found]
    largest = float(np.max(differences))  # max() would pass over NaN
    if not largest <= TOLERANCE:
        raise DataError(
            f"{name}: scores differ from torch's by {largest:.2g}, more than {TOLERANCE:g}; this "
            "model cannot be exported"
        )
    return largest


def same_network(whole: ModelProto, network: bytes, held: Sequence[Case]) -> None:
    """Run the network inside ``whole`` beside the one in a file of its own, on the same patches.

    Raises:
        DataError: their scores differ.
    """
    inner = graphs.showing_network(whole)
    looking, alone = session(inner.SerializeToString()), session(network)
    for case in held:
        patches, scores = looking.run([graphs.INSIDE, graphs.OUTSIDE], {INPUT: case.waveform})
        expected = alone.run(None, {graphs.PATCHES: patches})[0]
        difference = np.abs(scores.astype(np.float64) - expected).max()
        if difference > TOLERANCE:
            raise DataError(
                f"the int8 network differs by {difference:.2g} within its program; "
                "this model cannot be exported"
            )


def _waveforms(rng: np.random.Generator, batch: int, samples: int, rate_hz: int) -> Array:
    """Tones in noise; in the second clip a third is silence, the third is silence throughout."""
    time_s = np.arange(samples) / rate_hz
    made = np.zeros((batch, samples), np.float32)
    for k in range(min(batch, 2)):
        tone_hz = rng.uniform(0.02, 0.4) * rate_hz
        made[k] = 0.3 * np.sin(2 * np.pi * tone_hz * time_s) + rng.normal(0, 0.05, samples)
    if batch > 1:
        made[1, samples // 4 : samples // 4 + samples // 3] = 0.0
    return made
