"""Waveforms of a data set, one clip at a time: decode, mix to one channel, resample.

What is computed of them is left to the network's own front end, which runs where the network does.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import Field

from soundgate.audio.clips.division import Division, choose_labels, divide, restrict
from soundgate.audio.clips.identical import joint_sources
from soundgate.audio.clips.manifest import Clip, read_manifest
from soundgate.audio.clips.selection import Member
from soundgate.audio.config.sections.inspection import Inspection
from soundgate.audio.config.sections.sound import Preprocessing
from soundgate.audio.files import threads
from soundgate.audio.formats.record import Record, read_record
from soundgate.audio.formats.waveforms import Writer
from soundgate.audio.signal import waveforms
from soundgate.errors import DataError
from soundgate.text.progress import track

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from soundgate.audio.extraction.log_mel import Observer
    from soundgate.audio.files.levels import Levels
    from soundgate.audio.signal.waveforms import Samples


class Settings(Record):
    """What is prepared of a data set, and how: a JSON file that a pipeline writes."""

    sample_rate_hz: int = Field(default=16000, ge=1000)
    """Rate of all waveforms."""
    longest_s: float = Field(default=60.0, gt=0)
    """What exceeds this many seconds of a clip is not read."""
    labels: tuple[str, ...] = ()
    """The labels that are learnt, in the order of the network's outputs; empty: all, sorted."""
    validation_split: float = Field(default=0.2, ge=0, lt=1)
    """Share of the training clips that becomes validation, where none are given."""
    n_folds: int = Field(default=5, ge=2)
    """Folds that are made to hold one out as the test, where no test clips are given."""
    test_fold: int = Field(default=1, ge=1)
    """The one that is held out."""
    seed: int = 120
    """Seed of the division."""
    dataset_fraction: float = Field(default=1.0, gt=0, le=1)
    """Share of the clips of each split that is used."""
    quick: bool = False
    """Whether about a hundred clips are used."""
    predicted_only: bool = False
    """Whether clips carry no labels and are not divided: they are only to be predicted."""
    inspection: Inspection = Inspection()
    """What the data set may hold."""

    @property
    def preprocessing(self) -> Preprocessing:
        """How files are decoded; silence is kept and nothing is repeated."""
        return Preprocessing(
            target_rate=self.sample_rate_hz,
            max_length=self.longest_s,
            min_length=0,
            top_db=None,
        )

    @property
    def division(self) -> Division:
        """How clips are divided."""
        return Division(
            validation_split=self.validation_split,
            n_folds=self.n_folds,
            test_fold=self.test_fold,
            seed=self.seed,
            fraction=self.dataset_fraction,
            quick=self.quick,
        )


def read_settings(path: Path) -> Settings:
    """Read the settings in a file.

    Raises:
        DataError: the file is missing, or a value in it is wrong.
    """
    return read_record(path, Settings, remedy="submit the pipeline again")


def extract_waveforms(
    clips: Path,
    folder: Path,
    settings: Settings,
    *,
    cache: Path | None = None,
    workers: int = 1,
    observer: Observer | None = None,
) -> None:
    """Decode the clips of a data set that are used into a ``waveforms/`` folder.

    Args:
        clips: folder with ``manifest.jsonl`` and the audio.
        folder: folder to write.
        settings: which clips, which labels, which rate.
        cache: folder of decoded waveforms; the result is the same with and without it.
        workers: threads; the result does not depend on their number.
        observer: is told of every clip; with one, clips that cannot be decoded are left out.

    Raises:
        DataError: a recording lies on two sides, a label has no training clip, or, without an
            observer, a clip cannot be decoded.
        ConfigError: no clip has a label that is asked for.
    """
    labels, used = _chosen(clips, settings)
    decode = functools.partial(_decode, clips, settings.preprocessing, cache)
    with Writer(folder, sample_rate_hz=settings.sample_rate_hz, labels=labels) as writer:
        results = threads.ordered(decode, used, workers)
        for clip, found in track(results, total=len(used), label="waveforms"):
            member = Member(clip.labels, clip.fold or 0, clip.source)
            if isinstance(found, DataError):
                if observer is None:
                    raise found
                observer.failed(clip, member, found)
                continue
            samples, levels = found
            writer.add(samples, clip)
            if observer is not None:
                observer.decoded(clip, member, samples, levels)


def _chosen(folder: Path, settings: Settings) -> tuple[tuple[str, ...], Sequence[Clip]]:
    """The labels, and the clips with those of their labels and with their splits.

    Clips of the same bytes count as one recording.
    """
    clips = list(read_manifest(folder, allow_unlabelled=True))
    if settings.predicted_only:
        return settings.labels, clips
    labels = choose_labels(clips, settings.labels)
    sources = joint_sources(folder, clips)
    named = (
        replace(restrict(clip, labels), source=source)
        for clip, source in zip(clips, sources, strict=True)
    )
    return labels, divide(list(named), settings.division)


def _decode(
    clips: Path, preprocessing: Preprocessing, cache: Path | None, clip: Clip
) -> tuple[Samples, Levels] | DataError:
    """A clip's samples and levels, or why there are none."""
    try:
        return waveforms.decode(
            clips / clip.path, preprocessing, start_s=clip.start_s, end_s=clip.end_s, cache=cache
        )
    except DataError as error:
        return error
