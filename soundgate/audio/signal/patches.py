"""How many frames a waveform has, and where the patches of a clip begin."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from soundgate.audio.signal import waveforms

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from soundgate.audio.config.sections.sound import FeatureExtraction, Preprocessing


def frame_count(samples: int, options: FeatureExtraction) -> int:
    """Number of frames of a waveform of ``samples`` samples; 0 or less where it has none."""
    padding = 2 * (options.n_fft // 2) if options.center else 0
    if options.center and options.pad_mode == "reflect" and samples <= options.n_fft // 2:
        return 0
    return 1 + (samples + padding - options.n_fft) // options.hop_length


def patch_samples(options: FeatureExtraction) -> int:
    """Samples of the shortest waveform that fills a patch."""
    half = options.n_fft // 2 if options.center else 0
    one_patch = options.hop_length * (options.patch_length - 1) + options.n_fft - 2 * half
    if half and options.pad_mode == "reflect":
        return max(one_patch, half + 1)
    return max(one_patch, 1)


def arrange_patches(
    samples: waveforms.Samples, preprocessing: Preprocessing, options: FeatureExtraction
) -> waveforms.Arrangement:
    """How a clip (sample,) is prepared; one that fills no patch is repeated until it does.

    Feature extraction refuses such a clip instead: in a data set it is a mistake.
    """
    arrangement = waveforms.arrange(samples, preprocessing)
    return replace(arrangement, least_after=max(arrangement.least_after, patch_samples(options)))


def patch_starts(
    frame_total: int, patch_length: int, overlap: float, *, include_last_patch: bool = False
) -> NDArray[np.int64]:
    """First frames of the patches that a clip is cut into, int64 (patch,).

    Neighbours are ``patch_length - floor(patch_length * overlap)`` frames apart; frames at the end
    that fill no patch are left out, or covered by one more patch that ends with the clip.

    Args:
        frame_total: frames of the clip.
        patch_length: frames of a patch.
        overlap: share of a patch that the next one repeats, 0 to below 1.
        include_last_patch: whether the end is covered too.

    Returns:
        Empty for a clip shorter than one patch.
    """
    step = patch_length - int(patch_length * overlap)
    starts = np.arange(0, frame_total - patch_length + 1, step, dtype=np.int64)
    if include_last_patch and starts.size and starts[-1] + patch_length < frame_total:
        starts = np.append(starts, frame_total - patch_length)
    return starts
