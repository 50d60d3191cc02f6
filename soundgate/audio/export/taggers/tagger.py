"""What is exported of a tagger, and by what it is proved."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from soundgate.audio.classification.tagging.evaluation import check_same_clips
from soundgate.audio.classification.tagging.inference import load
from soundgate.audio.clips.splits import TRAINING, VALIDATION
from soundgate.audio.export import checks, folder, opsets
from soundgate.audio.export.calibration import Calibration, segments_of, share_of
from soundgate.audio.export.program import Program, trace
from soundgate.audio.export.taggers.pieces import Cut, ImagesToLogits, TaggerFrontEnd
from soundgate.audio.export.taggers.scorer import ImageFeed
from soundgate.audio.files import reading
from soundgate.audio.formats.exported import Export, ModelFacts, Samples
from soundgate.audio.formats.model import digest as model_digest
from soundgate.audio.formats.model import rows_of
from soundgate.audio.formats.waveforms import read_waveforms
from soundgate.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from torch.export import ExportedProgram

    from soundgate.audio.classification.tagging.inference import TagScorer
    from soundgate.audio.config.tagging import TaggingConfig
    from soundgate.audio.formats.models.tagger import Chunks, TaggerFile
    from soundgate.audio.formats.waveforms import Row, WaveformSet
    from soundgate.audio.networks.tagger import Tagger

    Array = npt.NDArray[Any]

# Clips by which programs are proved; of long ones the beginning.
_CLIPS = 8
_LONGEST_S = 20.0


def export(
    waveforms: Path,
    model: Path,
    exported: Path,
    config: TaggingConfig,
    *,
    calibration_clips: Path | None = None,
) -> Export:
    """Write the programs of a tagger; each is compared with torch on clips of the data set.

    Args:
        waveforms: the clips that the model was trained with; calibration and comparison use some.
        model: folder that training wrote.
        exported: folder to write.
        config: ``quantization``, ``dataset.quantization_*`` and ``dataset.seed`` are used.
        calibration_clips: folder of audio to calibrate with instead of training clips; goes before
            ``dataset.quantization_audio_path``.

    Returns:
        What ``export.json`` holds.

    Raises:
        ConfigError: ``quantization`` asks for what cannot be done.
        DataError: the model cannot be exported, or a program does not compute what torch does.
    """
    opsets.check(config.quantization.target_opset)
    clips = read_waveforms(waveforms)
    description, scorer = load(model, torch.device("cpu"))
    check_same_clips(clips, description, waveforms)
    scorer.tagger.requires_grad_(requires_grad=False)
    rows = rows_of(model, clips.rows, TRAINING)
    other = calibration_clips or config.dataset.quantization_audio_path
    if other:
        held = _of_folder(Path(other), description.sample_rate_hz)
    else:
        chosen = share_of(rows, config.dataset.quantization_split, config.dataset.seed)
        names = [row.path for row in chosen]
        held = Calibration("training", names, (clips.waveform(row) for row in chosen))
    traced, cut = _trace(description, scorer, rows)
    feed = ImageFeed(scorer, cut.least, cut.most)
    shown = rows_of(model, clips.rows, VALIDATION) or rows
    made = folder.Source(
        about=_about(description, model_digest(model), cut),
        traced=traced,
        taken=_taken(feed, cut),
        feed=feed,
        calibration=held,
        cases=_cases(feed, clips, shown),
        thresholds=np.array([description.thresholds[label] for label in description.classes]),
    )
    return folder.export(made, config.quantization, exported)


def _trace(
    description: TaggerFile, scorer: TagScorer, rows: Sequence[Row]
) -> tuple[ExportedProgram, Cut]:
    """The program, for whole clips of any length where the network can be traced for any width."""
    chunks, tagger = scorer.chunks, scorer.tagger
    if chunks.length_s is not None:
        cut = _in_pieces(chunks, scorer)
        return trace(_program(tagger, cut, chunks.join), description.architecture), cut
    # At its least width a network that halves images ends with maps of one column, for which
    # torch.export writes another program: twice that width is the least of one program for all.
    cut = Cut(2 * _least(tagger), None)
    try:
        return trace(_program(tagger, cut, chunks.join), description.architecture), cut
    except DataError:
        # One length then: the commonest of the clips that were learnt from.
        lengths, counts = np.unique([row.samples for row in rows], return_counts=True)
        length = max(int(lengths[counts.argmax()]), _least(tagger))
        cut = Cut(length, length)
        return trace(_program(tagger, cut, chunks.join), description.architecture), cut


def _in_pieces(chunks: Chunks, scorer: TagScorer) -> Cut:
    assert chunks.length_s is not None
    rate_hz, least = scorer.sample_rate_hz, scorer.tagger.front_end.least_samples
    length = round(chunks.length_s * rate_hz)
    if length < least:
        raise DataError(
            f"training.chunk_s: {chunks.length_s:g} s are too short to be exported; give "
            f"{least / rate_hz:g} or more"
        )
    return Cut(length, length, round((chunks.hop_s or chunks.length_s) * rate_hz))


def _least(tagger: Tagger) -> int:
    """Samples from which on images need no filling."""
    low, high = tagger.front_end.least_samples - 1, tagger.front_end.least_samples

    def enough(samples: int) -> bool:
        return int(tagger.front_end.frames(torch.tensor([samples]))) >= tagger.least_frames

    while not enough(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _program(tagger: Tagger, cut: Cut, join: str) -> Program:
    return Program(
        TaggerFrontEnd(cut, tagger.front_end, tagger.least_frames),
        ImagesToLogits(tagger),
        multi_label=True,
        example_samples=2 * cut.least + 1,
        join=join,
    )


def _taken(feed: ImageFeed, cut: Cut) -> tuple[int | str, ...]:
    """Shape of an image; its width has a name where it follows the clip's length."""
    shape, longer = (
        feed.images([np.zeros(cut.length or samples, np.float32)]).shape[1:]
        for samples in (2 * cut.least, 4 * cut.least)
    )
    return shape if shape == longer else (*shape[:-1], "frame")


def _about(description: TaggerFile, sha256: str, cut: Cut) -> Export:
    return Export(
        model=ModelFacts(architecture=description.architecture, sha256=sha256),
        classes=description.classes,
        multi_label=True,
        sample_rate_hz=description.sample_rate_hz,
        samples=Samples(at_least=cut.least, at_most=cut.most),
        front_end=description.front_end,
        chunks=description.chunks,
        thresholds=description.thresholds,
    )


def _of_folder(audio: Path, rate_hz: int) -> Calibration:
    segments = segments_of(audio)
    waveforms = (
        reading.load(audio / name, sample_rate_hz=rate_hz, start_s=start_s, end_s=end_s)
        for name, start_s, end_s in segments
    )
    return Calibration("folder", [name for name, _, _ in segments], waveforms)


def _cases(feed: ImageFeed, clips: WaveformSet, rows: Sequence[Row]) -> list[checks.Case]:
    """Clips of the data set, and batches that are shorter and longer than a piece."""
    rate_hz = clips.sample_rate_hz
    longest = max(feed.least, round(_LONGEST_S * rate_hz))
    chosen = rows[:: -(-len(rows) // _CLIPS)]
    cases = [_case(feed, clips.waveform(row)[None, :longest], real=True) for row in chosen]
    rng, least = np.random.default_rng(checks.SEED), feed.least
    for batch, samples in ((1, max(1, least // 3)), (3, least), (2, 2 * least + 311)):
        cases.append(_case(feed, checks.waveforms(rng, batch, samples, rate_hz)))
    return cases


def _case(feed: ImageFeed, waveforms: Array, *, real: bool = False) -> checks.Case:
    """What evaluation makes of clips; a short one is repeated as the program repeats it."""
    fitted = [np.resize(clip, max(clip.size, feed.least))[: feed.most] for clip in waveforms]
    scores = feed.scorer.chunk_scores(fitted)
    return checks.Case(np.array(waveforms), scores, feed.scorer.chunks.join, real)
