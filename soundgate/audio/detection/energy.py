"""The energy detector: a call is where a band is louder than usual. It learns nothing.

Its scores are stored as a network's, so that it is evaluated by the same steps and its threshold
chosen on the same recordings. What a network adds is the difference from it.
"""

from __future__ import annotations

import hashlib
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from soundgate.audio.files.reading import Reader
from soundgate.audio.formats.datasets.corpus import CALL, read_corpus_index
from soundgate.audio.formats.detections.scores import (
    ScoredBy,
    ScoredRecording,
    ScoresFile,
    Windows,
    Writer,
    arrays_name,
)
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from soundgate.audio.files.streams import Samples

    Floats = NDArray[np.float64]

NAME: Final = "energy"
_BLOCK_FRAMES: Final = 2000
_BACKGROUND: Final = 0.3
"""Quantile of the levels that is taken for the level without calls."""
_EVEN_DB: Final = 10.0
"""Above the background: where the score is a half."""
_DB_A_LOGIT: Final = 3.0
_SILENCE: Final = 1e-12


@dataclass(frozen=True, slots=True)
class EnergySettings:
    """What is measured."""

    window_s: float = 0.1
    hop_s: float = 0.05
    low_hz: float = 200.0
    high_hz: float = 4000.0

    def __post_init__(self) -> None:
        """Refuse what cannot be measured.

        Raises:
            DataError: a length or the band is empty.
        """
        if not 0 < self.hop_s <= self.window_s:
            raise DataError(
                f"hop_s must be above 0 and at most window_s ({self.window_s:g}), "
                f"got {self.hop_s:g}"
            )
        if not 0 <= self.low_hz < self.high_hz:
            raise DataError(f"low_hz {self.low_hz:g} is not below high_hz {self.high_hz:g}")


def score(
    corpus: Path,
    target: Path,
    settings: EnergySettings,
    regions: Mapping[str, tuple[float, float]] | None = None,
) -> None:
    """Write the scores of a corpus' recordings.

    A window's score is 0.5 where its band is 10 dB above the recording's background, the level
    that three tenths of its windows do not reach; 3 dB more are a logit more.

    Args:
        corpus: folder with ``corpus_index.json``.
        target: folder of scores to write.
        settings: windows and band.
        regions: start and end in seconds of what is scored of each recording; None: everything.

    Raises:
        DataError: a recording cannot be read, or its rate has no sound in the band.
    """
    digest = hashlib.sha256(repr(astuple(settings)).encode()).hexdigest()
    about = ScoresFile(
        model=ScoredBy(digest=digest, name=NAME),
        window_s=settings.window_s,
        hop_s=settings.hop_s,
        class_names=(CALL,),
    )
    writer, rows = Writer(target, about), []
    for recording in read_corpus_index(corpus).recordings:
        if regions is not None and recording.path not in regions:
            continue
        start_s, end_s = (regions or {}).get(recording.path, (0.0, recording.duration_s))
        found = _windows(corpus / recording.path, settings, start_s, end_s)
        row = ScoredRecording(
            path=recording.path,
            file=arrays_name(recording.path, start_s),
            duration_s=recording.duration_s,
            sample_rate_hz=recording.rate_hz,
            region_start_s=start_s,
            region_end_s=end_s,
            windows=len(found.starts_s),
        )
        writer.add(row, found)
        rows.append(row)
    writer.finish(tuple(rows))


def _windows(path: Path, settings: EnergySettings, start_s: float, end_s: float) -> Windows:
    power = np.concatenate(list(_frames(path, settings, start_s, end_s)))
    width = min(round(settings.window_s / settings.hop_s), len(power))
    sums = np.concatenate(([0.0], np.cumsum(power)))
    level_db = 10 * np.log10((sums[width:] - sums[:-width]) / width + _SILENCE)
    above_db = level_db - np.quantile(level_db, _BACKGROUND)
    logits = (above_db - _EVEN_DB) / _DB_A_LOGIT
    scores = 1 / (1 + np.exp(-logits))
    starts = np.asarray(start_s + settings.hop_s * np.arange(len(logits)), np.float64)
    return Windows(starts, scores.astype(np.float32)[:, None], logits.astype(np.float32)[:, None])


def _frames(path: Path, settings: EnergySettings, start_s: float, end_s: float) -> Iterator[Floats]:
    """Power in the band of each ``hop_s``, in blocks; memory does not grow with the recording."""
    with Reader(path) as file:
        rate_hz = file.info.rate_hz
        if settings.low_hz >= rate_hz / 2:
            raise DataError(
                f"{path}: sampled at {rate_hz} Hz, has no sound above {rate_hz / 2:g} Hz; lower "
                f"low_hz ({settings.low_hz:g})"
            )
        frames = max(int((end_s - start_s) / settings.hop_s + 1e-6), 1)
        for first in range(0, frames, _BLOCK_FRAMES):
            count = min(_BLOCK_FRAMES, frames - first)
            begin = start_s + first * settings.hop_s
            until = min(begin + count * settings.hop_s, file.info.duration_s)
            samples = file.read(start_s=begin, end_s=until)
            yield _band_power(samples, rate_hz, count, settings)


def _band_power(samples: Samples, rate_hz: int, frames: int, settings: EnergySettings) -> Floats:
    """Mean power in the band of each frame, float64 (frame,)."""
    edges = np.minimum(
        np.round(np.arange(frames) * settings.hop_s * rate_hz).astype(np.int64), len(samples) - 1
    )
    size = max(round(settings.hop_s * rate_hz), 1)
    padded = np.pad(samples, (0, size))
    cut = padded[edges[:, None] + np.arange(size)] * np.hanning(size + 2)[1:-1]
    spectrum = np.abs(np.fft.rfft(cut)) ** 2 / size**2
    hertz = np.fft.rfftfreq(size, 1 / rate_hz)
    inside = (hertz >= settings.low_hz) & (hertz <= settings.high_hz)
    # a frame too short for the band still has the bin that is nearest to its middle
    inside[np.argmin(np.abs(hertz - (settings.low_hz + settings.high_hz) / 2))] = True
    return np.asarray(spectrum[:, inside].sum(axis=1), np.float64)
