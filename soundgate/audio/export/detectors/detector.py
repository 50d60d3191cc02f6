"""What is exported of a detector, and by what it is proved.

The program takes recordings of any length and gives the probabilities of their windows, those of
``steps.spot.predict`` with the same hop; of a recording, the highest of each class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from soundgate.audio.detection import network
from soundgate.audio.detection.scoring.blocks import joined
from soundgate.audio.detection.scoring.scorer import Scorer, Stretch, prepared
from soundgate.audio.export import checks, folder, opsets
from soundgate.audio.export.calibration import Calibration
from soundgate.audio.export.detectors.windows import FromImages, WindowsFrontEnd
from soundgate.audio.export.program import Program, trace
from soundgate.audio.files import reading
from soundgate.audio.formats.datasets.corpus import entries_by_recording, read_corpus_index
from soundgate.audio.formats.exported import Export, ModelFacts
from soundgate.audio.formats.model import digest
from soundgate.audio.formats.models.tagger import Chunks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt
    from torch import Tensor

    from soundgate.audio.config.sections.general import Quantization
    from soundgate.audio.formats.models.detector import DetectorFile
    from soundgate.audio.networks.detector import Detector

    Array = npt.NDArray[Any]

_CALIBRATING: Final = 400
"""Windows by which the int8 network is calibrated, half of them of calls."""
_PROVING: Final = 6
"""Stretches of the corpus by which programs are proved."""
_SEED: Final = 0


@dataclass(frozen=True)
class WindowFeed:
    """From recordings to what a detector's network takes, see ``calibration.Feed``."""

    detector: Detector
    window: int
    hop: int

    def patches(self, frames: Array, *, at_most: int) -> Iterator[Array]:
        """Yield images float32 (window, 1, frame, bin) of a stretch of sound (sample,)."""
        for samples, starts in joined(iter([frames]), self.window, self.hop):
            for first in range(0, len(starts), at_most):
                pieces = [samples[s : s + self.window] for s in starts[first : first + at_most]]
                with torch.inference_mode():
                    yield self.detector.front_end(torch.from_numpy(np.stack(pieces))).numpy()

    def standardised(self, patches: Array) -> Tensor:
        """Images are what the network takes."""
        return torch.from_numpy(patches)


def export(
    corpus: Path, model: Path, exported: Path, settings: Quantization, *, hop_s: float
) -> Export:
    """Write the programs of a detector; each is compared with torch on recordings of a corpus.

    Args:
        corpus: recordings with their calls; calibration and comparison use some.
        model: folder that training wrote.
        exported: folder to write.
        settings: of the int8 network.
        hop_s: from the start of a window to the next one's.

    Returns:
        What ``export.json`` holds.

    Raises:
        ConfigError: ``settings`` ask for what cannot be done.
        DataError: the model cannot be exported, or a program does not compute what torch does.
    """
    opsets.check(settings.target_opset)
    description, detector = network.read_network(model)
    detector.requires_grad_(requires_grad=False)
    rate_hz = description.sample_rate_hz
    window = round(description.window_s * rate_hz)
    hop = max(1, round(hop_s * rate_hz))
    feed = WindowFeed(detector, window, hop)
    cases = list(_cases(corpus, feed, rate_hz))
    program = Program(
        WindowsFrontEnd(detector, window, hop),
        FromImages(detector),
        multi_label=False,
        example_samples=2 * window + 1,
        join="max",
    )
    made = folder.Source(
        about=_about(description, digest(model), hop / rate_hz),
        traced=trace(program, description.architecture),
        taken=next(feed.patches(np.zeros(window, np.float32), at_most=1)).shape[1:],
        feed=feed,
        calibration=_calibration(corpus, window, rate_hz),
        cases=cases,
    )
    return folder.export(made, settings, exported)


def _about(description: DetectorFile, sha256: str, hop_s: float) -> Export:
    return Export(
        model=ModelFacts(architecture=description.architecture, sha256=sha256),
        classes=description.classes,
        sample_rate_hz=description.sample_rate_hz,
        front_end=description.front_end,
        chunks=Chunks(length_s=description.window_s, hop_s=hop_s, join="max"),
    )


def _calibration(corpus: Path, window: int, rate_hz: int) -> Calibration:
    """Windows around calls, and as many anywhere, spread over the recordings."""
    index = read_corpus_index(corpus)
    rng = np.random.default_rng(_SEED)
    length_s = window / rate_hz
    lengths = {recording.path: recording.duration_s for recording in index.recordings}
    middles = [
        (path, (call.clip_start_s + call.clip_end_s) / 2)
        for path, calls in entries_by_recording(index).items()
        for call in calls
    ]
    anywhere = [(path, float(rng.uniform(0, lengths[path]))) for path, _ in middles]
    anywhere = anywhere or [(path, seconds / 2) for path, seconds in lengths.items()]
    chosen = [
        pair
        for pairs in (middles, anywhere)
        for pair in pairs[:: max(1, -(-len(pairs) * 2 // _CALIBRATING))]
    ]
    names = [f"{path}@{middle:.3f}" for path, middle in chosen]
    return Calibration(
        "corpus",
        names,
        (_read(corpus / p, m - length_s / 2, length_s, lengths[p], rate_hz) for p, m in chosen),
    )


def _read(path: Path, start_s: float, length_s: float, duration_s: float, rate_hz: int) -> Array:
    """So much of a recording from ``start_s`` on, or as near to it as there is."""
    start_s = min(max(start_s, 0.0), max(duration_s - length_s, 0.0))
    end_s = min(start_s + length_s, duration_s)
    return reading.load(path, sample_rate_hz=rate_hz, start_s=start_s, end_s=end_s)


def _cases(corpus: Path, feed: WindowFeed, rate_hz: int) -> Iterator[checks.Case]:
    """Stretches of recordings, and batches that are shorter and longer than a window."""
    recordings = read_corpus_index(corpus).recordings
    length_s = (feed.window + 3.5 * feed.hop) / rate_hz
    for recording in recordings[:: -(-len(recordings) // _PROVING)]:
        middle = recording.duration_s / 2
        path = corpus / recording.path
        sound = _read(path, middle, length_s, recording.duration_s, rate_hz)
        yield _case(feed, sound[None], real=True)
    rng = np.random.default_rng(checks.SEED)
    for batch, samples in ((1, feed.window // 3), (2, feed.window), (2, 2 * feed.window + 311)):
        yield _case(feed, checks.waveforms(rng, batch, samples, rate_hz))


def _case(feed: WindowFeed, waveforms: Array, *, real: bool = False) -> checks.Case:
    """What a prediction says of recordings."""
    device = torch.device("cpu")
    scorer = Scorer(prepared(feed.detector, device), feed.window, 16, device)
    scores = []
    for waveform in waveforms:
        cut: Sequence[Stretch] = [
            Stretch(0, *pair) for pair in joined(iter([waveform]), feed.window, feed.hop)
        ]
        logits = np.concatenate([found for _, found in scorer(cut)])
        scores.append(torch.from_numpy(logits).softmax(1).numpy())
    return checks.Case(np.array(waveforms, np.float32), scores, "max", real)
