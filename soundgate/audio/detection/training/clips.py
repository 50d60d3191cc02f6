"""The clips of a data set, decoded once and kept in a file of the machine that trains."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from soundgate.audio.detection.rates import check_rate
from soundgate.audio.files import reading
from soundgate.audio.files.digests import sha256_of
from soundgate.audio.files.threads import ordered
from soundgate.audio.formats.datasets.variant import VariantEntry, read_variant_index
from soundgate.audio.formats.models.detector import NOISE
from soundgate.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    Array = npt.NDArray[Any]

TRAIN, VAL, TEST = "train", "val", "test"


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip and where its samples lie."""

    entry: VariantEntry
    number: int
    """Of its class."""
    first: int
    samples: int
    call: tuple[int, int] | None
    """First sample of the call in the clip and the one behind its last; None: noise."""


class ClipSet:
    """All clips of a data set, at one rate."""

    def __init__(
        self, folder: Path, sample_rate_hz: int, *, downsample: bool, workers: int
    ) -> None:
        """Read the index and decode every clip of train and val.

        Args:
            folder: of the data set.
            sample_rate_hz: to which clips are resampled.
            downsample: whether files of more than twice that rate are taken.
            workers: threads; the result does not depend on their number.

        Raises:
            DataError: the data set is damaged, or lacks noise or calls to learn from.
        """
        index = read_variant_index(folder)
        self.folder, self.sample_rate_hz = folder, sample_rate_hz
        self.entries = index.entries
        self.classes = (NOISE, *sorted({e.class_name for e in index.entries} - {NOISE}))
        _check(folder, self.entries, self.classes)
        self._downsample = downsample
        used = [entry for entry in self.entries if entry.split != TEST]
        with tempfile.TemporaryFile() as file:  # the mapping outlives it
            self.clips = tuple(self._decoded(used, workers, file))
            file.flush()
            self.sounds: Array = np.memmap(file, np.float32, "r")

    def of(self, split: str) -> tuple[Clip, ...]:
        """The clips of train or val, in the order of the index."""
        return tuple(clip for clip in self.clips if clip.entry.split == split)

    def waveform(self, clip: Clip) -> Array:
        """Samples float32 (sample,); a view that cannot be written to."""
        return self.sounds[clip.first : clip.first + clip.samples]

    def fingerprint(self) -> str:
        """Changes with the files, their sides and their calls."""
        digest = hashlib.sha256(str(self.sample_rate_hz).encode())
        for entry in self.entries:
            digest.update(entry.model_dump_json().encode())
            digest.update(sha256_of(self.folder / entry.fn).encode())
        return digest.hexdigest()

    def _decoded(self, entries: list[VariantEntry], workers: int, file: IO[bytes]) -> list[Clip]:
        clips, first = [], 0
        for entry, sound in ordered(self._load, entries, workers):
            try:
                file.write(np.ascontiguousarray(sound, np.float32).data)
            except OSError as error:
                raise DataError(
                    f"{tempfile.gettempdir()}: cannot hold the decoded clips of {self.folder}: "
                    f"{error.strerror}; set TMPDIR to a folder with more room"
                ) from error
            number = self.classes.index(entry.class_name)
            clips.append(Clip(entry, number, first, sound.size, self._call(entry, sound.size)))
            first += sound.size
        return clips

    def _load(self, entry: VariantEntry) -> Array:
        path = self.folder / entry.fn
        with reading.Reader(path) as file:
            check_rate(path, file.info.rate_hz, self.sample_rate_hz, downsample=self._downsample)
            return file.load(sample_rate_hz=self.sample_rate_hz)

    def _call(self, entry: VariantEntry, samples: int) -> tuple[int, int] | None:
        if entry.class_name == NOISE:
            return None
        seconds = samples / self.sample_rate_hz
        start_s = entry.call_start_s or 0.0
        end_s = seconds if entry.call_end_s is None else min(entry.call_end_s, seconds)
        if not 0 <= start_s < end_s:
            raise DataError(
                f"{self.folder / entry.fn}: its call from {start_s:g} s to {end_s:g} s is not in "
                f"its {seconds:g} s; make the data set again"
            )
        return round(start_s * self.sample_rate_hz), round(end_s * self.sample_rate_hz)


def _check(folder: Path, entries: tuple[VariantEntry, ...], classes: tuple[str, ...]) -> None:
    found = {entry.class_name for entry in entries if entry.split == TRAIN}
    if len(classes) < 2:
        raise DataError(f"{folder}: holds no calls, only {NOISE}; nothing can be learnt")
    if missing := [name for name in classes if name not in found]:
        raise DataError(
            f"{folder}: train has no clip of {', '.join(missing)}; every class must be learnt"
        )
