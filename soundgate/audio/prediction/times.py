"""Where in a clip the patches lie that a network was shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from soundgate.audio.signal.patches import frame_count, patch_starts

if TYPE_CHECKING:
    import numpy.typing as npt

    from soundgate.audio.config.sections.sound import FeatureExtraction
    from soundgate.audio.signal.waveforms import Arrangement

    Array = npt.NDArray[Any]


def patch_times(
    arrangement: Arrangement,
    samples: int,
    patches: int,
    options: FeatureExtraction,
    sample_rate_hz: int,
) -> Array:
    """First and last moment of the sound in each patch.

    A patch begins with its first frame and ends with the end of its last one. Where silence was cut
    out or the clip repeated, its samples are followed back to where they stood: a patch that
    reaches over a cut lasts as long as what was cut out does too.

    Args:
        arrangement: what was done to the clip.
        samples: how many samples the clip had before.
        patches: how many patches were scored.
        options: how frames and patches were cut.
        sample_rate_hz: of the samples.

    Returns:
        Float64 (patch, 2): start and end in seconds from the beginning of the clip.
    """
    kept = arrangement.keeps(samples)
    origin = np.empty(samples, np.int64) if kept else arrangement.apply(np.arange(samples))
    half = options.n_fft // 2 if options.center else 0
    frames = frame_count(origin.size, options)
    starts = patch_starts(
        max(frames, options.patch_length),
        options.patch_length,
        options.overlap,
        include_last_patch=options.include_last_patch,
    )[:patches]
    first = np.clip(starts * options.hop_length - half, 0, origin.size - 1)
    length = (options.patch_length - 1) * options.hop_length + options.n_fft
    last = np.clip(starts * options.hop_length - half + length, first + 1, origin.size)
    if not kept:
        spans = [origin[begin:end] for begin, end in zip(first, last, strict=True)]
        first = np.array([span.min() for span in spans])
        last = np.array([span.max() + 1 for span in spans])
    return np.stack([first, last], axis=1) / sample_rate_hz
