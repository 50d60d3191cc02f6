"""Score every window of recordings and write a ``scores/`` folder."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from soundgate.audio.detection import network
from soundgate.audio.detection.scoring.blocks import Opened, ahead, joined
from soundgate.audio.detection.scoring.scorer import (
    Scorer,
    Stretch,
    log_odds,
    prepared,
    probabilities,
)
from soundgate.audio.formats.detections.scores import (
    ScoredBy,
    ScoredRecording,
    ScoresFile,
    Windows,
    Writer,
    arrays_name,
)
from soundgate.audio.formats.model import digest
from soundgate.audio.signal.front_ends.detector import check_window
from soundgate.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from soundgate.audio.detection.scoring.recordings import Region

    Array = npt.NDArray[Any]

BATCH_SIZE, GPU_BATCH_SIZE = 64, 512
_SAID_EVERY_S: Final = 10.0
_LEAST_WINDOWS: Final = 1024


@dataclass(frozen=True)
class Asked:
    """How recordings are scored."""

    window_s: float | None = None
    """Length of a window; None: that of the model's training."""
    hop_s: float = 0.05
    """From the start of a window to the next one's."""
    batch_size: int = BATCH_SIZE
    """Windows scored at once; changes scores by rounding only."""
    downsample: bool = False
    """Whether recordings of more than twice the model's rate are taken."""
    checkpoints: Path | None = None
    """Where finished recordings are kept until all are; None: beside the scores."""
    device: torch.device | None = None
    """None: the GPU where there is one."""


@dataclass
class _Recording:
    """A recording of which some windows are scored."""

    row: ScoredRecording
    offset_s: float
    announced: int | None = None
    """Windows it has, once all of it was read."""
    count: int = 0
    """Windows that are scored."""
    _held: Array | None = None

    @property
    def is_complete(self) -> bool:
        """Whether every window is scored."""
        return self.announced == self.count

    @property
    def odds(self) -> Array:
        """Logarithms of the odds so far, float32 (window, class)."""
        assert self._held is not None
        return self._held[: self.count]

    def add(self, odds: Array) -> None:
        """Keep further ones, in one array: small ones would hold a day's memory in pieces."""
        needed = self.count + len(odds)
        if self._held is None or needed > len(self._held):
            larger = np.empty((max(2 * needed, _LEAST_WINDOWS), odds.shape[1]), np.float32)
            if self._held is not None:
                larger[: self.count] = self.odds
            self._held = larger
        self._held[self.count : needed] = odds
        self.count = needed


def predict(
    model: Path, corpus: Path, scores: Path, regions: Sequence[Region], asked: Asked | None = None
) -> ScoresFile:
    """Score ``regions`` of a corpus; memory does not grow with their length but by the scores.

    Args:
        model: a ``model/`` folder.
        corpus: folder of the recordings.
        scores: the folder to write.
        regions: what to score, in this order.
        asked: window, hop and the like.

    Raises:
        DataError: a recording cannot be read, or the model is damaged.
        ParameterError: a number is out of range.
        ConfigError: the window is too short for the model.
    """
    job = _Job(model, corpus, scores, asked or Asked())
    return job.run(regions)


class _Job:
    """One model, window and hop on one corpus."""

    def __init__(self, model: Path, corpus: Path, scores: Path, asked: Asked) -> None:
        description, detector = network.read_network(model)
        device = asked.device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._window_s = asked.window_s or description.window_s
        _check(asked, self._window_s)
        check_window(detector.front_end.settings, self._window_s, 1)
        self._corpus, self._asked, self._scores = corpus, asked, scores
        self._rate_hz = description.sample_rate_hz
        self._about = ScoresFile(
            model=ScoredBy(digest=digest(model), name=description.name or None),
            window_s=self._window_s,
            hop_s=asked.hop_s,
            class_names=description.classes[1:],
        )
        self._writer = Writer(asked.checkpoints or scores, self._about)
        window = round(self._window_s * self._rate_hz)
        self._scorer = Scorer(prepared(detector, device), window, asked.batch_size, device)
        self._open: dict[int, _Recording] = {}
        self._rows: dict[int, ScoredRecording] = {}
        self._begun = self._said = time.monotonic()
        self._windows = 0

    def run(self, regions: Sequence[Region]) -> ScoresFile:
        """Score what is not scored yet, and complete the folder."""
        for owner, logits in self._scorer(ahead(self._stretches(regions))):
            self._take(owner, logits, len(regions))
        self._write_complete()
        rows = tuple(self._rows[k] for k in range(len(regions)))
        self._writer.finish(rows, self._scores if self._asked.checkpoints else None)
        print(self._pace(len(regions)), flush=True)
        return self._about.model_copy(update={"recordings": rows})

    def _stretches(self, regions: Sequence[Region]) -> Iterator[Stretch]:
        """Read what is not scored yet."""
        hop = self._asked.hop_s * self._rate_hz
        for owner, region in enumerate(regions):
            opened = Opened(self._corpus, region, self._rate_hz, downsample=self._asked.downsample)
            with opened:
                row = self._row(region, opened)
                earlier = self._writer.finished(region.path, region.start_s)
                if earlier is not None and earlier.model_copy(update={"windows": 1}) == row:
                    self._rows[owner] = earlier
                    continue
                offset_s = opened.first / opened.info.rate_hz
                self._open[owner] = recording = _Recording(row, offset_s)
                count = 0
                for samples, starts in joined(opened.blocks(), self._scorer.window, hop):
                    count += len(starts)
                    yield Stretch(owner, samples, starts)
                recording.announced = count

    def _row(self, region: Region, opened: Opened) -> ScoredRecording:
        return ScoredRecording(
            path=region.path,
            file=arrays_name(region.path, region.start_s),
            duration_s=opened.info.duration_s,
            sample_rate_hz=opened.info.rate_hz,
            region_start_s=region.start_s,
            region_end_s=opened.end_s,
            windows=1,
        )

    def _take(self, owner: int, logits: Array, total: int) -> None:
        """Keep logits, and write every recording that turns out to be complete."""
        self._open[owner].add(log_odds(logits))
        self._windows += len(logits)
        self._write_complete()
        if time.monotonic() - self._said > _SAID_EVERY_S:
            self._said = time.monotonic()
            print(self._pace(total), flush=True)

    def _write_complete(self) -> None:
        # A list, since the thread that reads adds recordings meanwhile.
        for number in list(self._open):
            if self._open[number].is_complete:
                self._write(number)

    def _write(self, number: int) -> None:
        recording = self._open.pop(number)
        hop = self._asked.hop_s * self._rate_hz
        starts_s = recording.offset_s + np.rint(np.arange(recording.count) * hop) / self._rate_hz
        odds = recording.odds
        row = recording.row.model_copy(update={"windows": len(odds)})
        self._writer.add(row, Windows(starts_s, probabilities(odds), odds))
        self._rows[number] = row

    def _pace(self, total: int) -> str:
        """Where the work stands."""
        pace = self._windows / max(time.monotonic() - self._begun, 1e-9)
        return (
            f"{len(self._rows)} of {total} recordings, {self._windows} windows, "
            f"{pace:.0f} a second, {pace * self._asked.hop_s:.0f} times real time"
        )


def usual_batch_size() -> int:
    """Windows that keep this machine's device busy."""
    return GPU_BATCH_SIZE if torch.cuda.is_available() else BATCH_SIZE


def _check(asked: Asked, window_s: float) -> None:
    for name, value in (("window_s", window_s), ("hop_s", asked.hop_s)):
        if not value > 0:
            raise ParameterError(f"{name} must be above 0, got {value:g}")
    if asked.hop_s > window_s:
        raise ParameterError(
            f"hop_s {asked.hop_s:g} leaves gaps between windows of {window_s:g} s; lower it"
        )
    if asked.batch_size < 1:
        raise ParameterError(f"batch_size must be at least 1, got {asked.batch_size}")
