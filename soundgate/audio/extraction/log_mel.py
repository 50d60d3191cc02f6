"""Log-mel features of a data set, one clip at a time: decode, resample, cut silence, transform."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Protocol

import torch

from soundgate.audio.clips import selection
from soundgate.audio.clips.manifest import Clip, read_manifest
from soundgate.audio.files import threads
from soundgate.audio.formats.features import Frames, Info, Writer
from soundgate.audio.signal import waveforms
from soundgate.audio.signal.log_mel import log_mel
from soundgate.audio.signal.patches import frame_count
from soundgate.errors import DataError
from soundgate.progress import track

if TYPE_CHECKING:
    from pathlib import Path

    from soundgate.audio.config.sections.data import Dataset
    from soundgate.audio.config.sections.sound import FeatureExtraction, Preprocessing


class Config(Protocol):
    """The sections of a system's config that say how its features are made."""

    @property
    def dataset(self) -> Dataset:
        """Which clips, which classes, which folds."""

    @property
    def preprocessing(self) -> Preprocessing:
        """From a file to a waveform."""

    @property
    def feature_extraction(self) -> FeatureExtraction:
        """From a waveform to log-mel frames."""


def extract(
    clips: Path, features: Path, config: Config, *, cache: Path | None = None, workers: int = 1
) -> None:
    """Compute the features of a data set.

    Args:
        clips: folder with ``manifest.jsonl`` and the audio.
        features: folder to write ``frames.npy``, ``clips.jsonl`` and ``features.json`` into.
        config: what is chosen of the data set, and how its features are computed.
        cache: folder of decoded waveforms, used where ``dataset.to_cache`` is on; the features are
            the same bits with and without it.
        workers: threads; the features do not depend on their number.

    Raises:
        DataError: a clip cannot be decoded, is too short or carries labels that do not fit.
        ConfigError: ``dataset.class_names`` names a class that no clip has.
    """
    chosen = selection.choose(clips, config.dataset)
    info = Info(
        chosen.classes, config.dataset.multi_label, config.preprocessing, config.feature_extraction
    )
    cache = cache if config.dataset.to_cache else None
    compute = functools.partial(_features_of, clips, config, cache)
    with threads.one_torch_thread(), Writer(features, info) as writer:
        listed = zip(read_manifest(clips), chosen.members(), strict=True)
        wanted = ((clip, member) for clip, member in listed if member is not None)
        results = threads.ordered(lambda pair: compute(pair[0]), wanted, workers)
        for (clip, member), (mel, duration_s) in track(
            results, total=chosen.count, label="features"
        ):
            writer.add(mel, clip, labels=member.labels, fold=member.fold, duration_s=duration_s)


def _features_of(
    clips: Path, config: Config, cache: Path | None, clip: Clip
) -> tuple[Frames, float]:
    """A clip's log-mel frames, float16 (frame, mel), and its duration in seconds."""
    path = clips / clip.path
    options, rate_hz = config.feature_extraction, config.preprocessing.target_rate
    samples, duration_s = waveforms.waveform(
        path, config.preprocessing, start_s=clip.start_s, end_s=clip.end_s, cache=cache
    )
    count = frame_count(samples.size, options)
    if count < options.patch_length:
        least_s = (options.hop_length * (options.patch_length - 1) + options.n_fft) / rate_hz
        raise DataError(
            f"{path}: {samples.size / rate_hz:.3f} s of sound give {max(count, 0)} frames, but a "
            f"patch has {options.patch_length}; set preprocessing.min_length to {least_s:.3f} or "
            "lower feature_extraction.patch_length"
        )
    with torch.inference_mode():
        mel = log_mel(torch.from_numpy(samples), options, rate_hz)
        half: Frames = mel.half().numpy()
    return half, duration_s
