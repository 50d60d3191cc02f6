"""Log-mel features of a data set, one clip at a time: decode, resample, cut silence, transform."""

from __future__ import annotations

import functools
from dataclasses import dataclass
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
from soundgate.text.progress import track

if TYPE_CHECKING:
    from pathlib import Path

    from soundgate.audio.clips.selection import Member
    from soundgate.audio.config.sections.data import Dataset
    from soundgate.audio.config.sections.sound import FeatureExtraction, Preprocessing
    from soundgate.audio.files.levels import Levels
    from soundgate.audio.signal.waveforms import Samples


class Observer(Protocol):
    """What is told of every clip that is used, in their order."""

    def decoded(self, clip: Clip, member: Member, samples: Samples, levels: Levels) -> None:
        """Take note of a clip as it was decoded: samples float32 (sample,), and its levels."""

    def failed(self, clip: Clip, member: Member, error: DataError) -> None:
        """Take note of a clip that cannot be decoded, or is too short, and so is left out."""


@dataclass(frozen=True, slots=True)
class _Extracted:
    mel: Frames
    samples: Samples
    """As decoded, before silence is removed."""
    levels: Levels


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
    clips: Path,
    features: Path,
    config: Config,
    *,
    cache: Path | None = None,
    workers: int = 1,
    observer: Observer | None = None,
) -> None:
    """Compute the features of a data set.

    Args:
        clips: folder with ``manifest.jsonl`` and the audio.
        features: folder to write ``frames.npy``, ``clips.jsonl`` and ``features.json`` into.
        config: what is chosen of the data set, and how its features are computed.
        cache: folder of decoded waveforms, used where ``dataset.to_cache`` is on; the features are
            the same bits with and without it.
        workers: threads; the features do not depend on their number.
        observer: is told of every clip; with one, clips that cannot be used are left out.

    Raises:
        DataError: a clip carries labels that do not fit, or, without an observer, cannot be decoded
            or is too short.
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
        for (clip, member), found in track(results, total=chosen.count, label="features"):
            if isinstance(found, DataError):
                if observer is None:
                    raise found
                observer.failed(clip, member, found)
                continue
            duration_s = found.samples.size / config.preprocessing.target_rate
            writer.add(
                *(found.mel, clip),
                labels=member.labels,
                fold=member.fold,
                source=member.source or clip.source,
                duration_s=duration_s,
            )
            if observer is not None:
                observer.decoded(clip, member, found.samples, found.levels)


def _features_of(
    clips: Path, config: Config, cache: Path | None, clip: Clip
) -> _Extracted | DataError:
    """A clip's log-mel frames, float16 (frame, mel), or why there are none."""
    try:
        return _extract(clips, config, cache, clip)
    except DataError as error:
        return error


def _extract(clips: Path, config: Config, cache: Path | None, clip: Clip) -> _Extracted:
    path = clips / clip.path
    options, rate_hz = config.feature_extraction, config.preprocessing.target_rate
    decoded, levels = waveforms.decode(
        path, config.preprocessing, start_s=clip.start_s, end_s=clip.end_s, cache=cache
    )
    samples = waveforms.prepare(decoded, config.preprocessing)
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
    return _Extracted(half, decoded, levels)
