"""The whole of a prediction: list, decode, score, write."""

from __future__ import annotations

import itertools
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from soundgate.audio.files import threads
from soundgate.audio.formats.model import digest as model_digest
from soundgate.audio.formats.predictions import (
    Failure,
    PredictedBy,
    Predictions,
    PredictionSettings,
    write_predictions,
)
from soundgate.audio.prediction import checkpoint as checkpoints
from soundgate.audio.prediction import reading
from soundgate.audio.prediction.listing import listing
from soundgate.audio.prediction.predictors.opening import open_predictor
from soundgate.audio.prediction.results import ClipScorer
from soundgate.audio.prediction.settings import Settings
from soundgate.audio.prediction.tables import Tables
from soundgate.errors import DataError, Stopped
from soundgate.text.progress import track

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from soundgate.audio.formats.version import VersionCard
    from soundgate.audio.prediction.checkpoint import Checkpoint, Result
    from soundgate.audio.prediction.predictors.base import Decisions
    from soundgate.audio.prediction.reading import Part


@dataclass(frozen=True, slots=True)
class _Work:
    """What is to be done, and who asks to stop."""

    scorer: ClipScorer
    groups: Iterator[list[Part]]
    checkpoint: Checkpoint
    workers: int
    stop: Callable[[], bool]

    def results(self) -> Iterator[tuple[list[Part], list[Result]]]:
        """Yield groups with their results, in order: those kept from before, then the others."""
        groups = self.groups
        for identities, results in self.checkpoint.kept():
            taken = list(itertools.islice(groups, len(identities)))
            if [checkpoints.identity(group) for group in taken] != identities:
                groups = itertools.chain(taken, groups)
                break
            yield [part for group in taken for part in group], results
        for group, results in threads.ordered(self.scorer.score, groups, self.workers):
            self.checkpoint.add(group, results)
            yield group, results
            if self.stop():
                self.checkpoint.save()
                raise Stopped("asked to stop: the predictions so far are kept in the checkpoint")


def predict(  # noqa: PLR0913 - what is predicted, with what, how, and for whom
    model: Path,
    audio: Path,
    predictions: Path,
    settings: Settings | None = None,
    *,
    manifest: Path | None = None,
    encoder: Path | None = None,
    version: VersionCard | None = None,
    workers: int = 1,
    checkpoints_folder: Path | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Predictions:
    """Predict clips and write the files that the package describes.

    Args:
        model: folder ``model/`` of a training, for the exported programs with ``export/`` in it.
        audio: a folder, searched with all folders in it, or one file.
        predictions: folder to write.
        settings: how.
        manifest: ``manifest.jsonl`` or a CSV table: predict these clips of ``audio`` only.
        encoder: weights of the encoder that a classifier of embeddings listens through.
        version: which version of a registered model it is, for ``predictions.json``.
        workers: threads; the results do not depend on their number.
        checkpoints_folder: where an interrupted attempt keeps its results.
        stop: asked between groups of clips.

    Returns:
        What ``predictions.json`` holds.

    Raises:
        DataError: there is nothing to predict, nothing can be read, or with ``settings.strict``
            something cannot be read; the model or the table is wrong.
        ParameterError: segments that are too long or too short for the model.
        Stopped: ``stop`` said so.
    """
    settings = settings or Settings()
    predictor = open_predictor(model, settings, encoder)
    lengths = predictor.lengths(settings)
    folder, segments = listing(audio, manifest)
    total = sum(1 for _ in segments())
    if not total:
        raise DataError(f"{manifest or audio}: contains no audio: give another folder or table")
    digest = model_digest(model)
    dependent = {name: getattr(settings, name) for name in ("runtime", "segment_s", "hop_s")}
    work = _Work(
        ClipScorer(folder, predictor, lengths),
        reading.groups(folder, segments(), lengths, predictor.group_s),
        checkpoints.Checkpoint(checkpoints_folder, {**dependent, "model": digest}),
        workers,
        stop,
    )
    tables = Tables(
        predictions,
        settings.format,
        predictor.decisions,
        unknown_class_threshold=settings.unknown_class_threshold,
    )
    started = time.monotonic()
    with threads.one_torch_thread(), tables:
        scored = _write(work, tables, strict=settings.strict)
        for _ in track(scored, total=total, label="predicting"):
            pass
        tables.flush()
        if not tables.clips:
            raise DataError(f"{audio}: none of {total} could be read: {tables.first_failure}")
    took_s = time.monotonic() - started
    summary = _summary(
        settings, tables, predictor.decisions, _model(version, digest), total, took_s
    )
    write_predictions(predictions, summary)
    return summary


def _write(work: _Work, tables: Tables, *, strict: bool) -> Iterator[None]:
    """Write results as they come; yield once for each file, or segment of one, that is done."""
    for group, results in work.results():
        for result in results:
            if strict and isinstance(result, Failure):
                raise DataError(f"{result.path}: {result.reason}")
            tables.add(result)
        for part in group:
            if part.ends:
                yield


def _model(version: VersionCard | None, digest: str) -> PredictedBy:
    if version is None:
        return PredictedBy(digest=digest)
    # The registry's digest covers the exported programs too.
    digest = version.tags.get("model.digest", digest)
    return PredictedBy(
        digest=digest, name=version.name, version=version.version, run_id=version.run_id
    )


def _summary(
    settings: Settings,
    tables: Tables,
    decisions: Decisions,
    model: PredictedBy,
    files: int,
    took_s: float,
) -> Predictions:
    return Predictions(
        classes=decisions.classes,
        multi_label=decisions.multi_label,
        columns=tables.columns,
        settings=PredictionSettings(**asdict(settings)),
        files=files,
        clips=tables.clips,
        patches=tables.patches,
        unknown=tables.unknown,
        remarks=dict(sorted(tables.remarks.items())),
        failures=tables.failures,
        audio_s=round(tables.audio_s, 3),
        took_s=round(took_s, 3),
        clips_per_s=round(tables.clips / took_s, 1),
        audio_s_per_s=round(tables.audio_s / took_s, 1),
        model=model,
    )
