"""Folders of the server: predicted, or judged by what is true of their clips."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import ExitStack, aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Body, Request
from fastapi.responses import Response, StreamingResponse
from starlette.concurrency import run_in_threadpool

from soundgate.audio.serving.models.opened import OpenedModel
from soundgate.audio.serving.scoring.answers import Answer, RecordingAnswer, Wishes
from soundgate.audio.serving.scoring.decoding import stem
from soundgate.audio.serving.scoring.folders import (
    LabelledFile,
    files_of,
    labelled_files,
    metrics_of,
)
from soundgate.audio.serving.web.predicting import NDJSON, FailedRecording, Named, one
from soundgate.audio.serving.web.problems import Problem
from soundgate.audio.serving.web.state import Service, Serving, unless_gone
from soundgate.audio.serving.web.uploads import Upload

AHEAD = 32
"""Files of a request that are in progress at once."""
router = APIRouter(tags=["directories"])
Folders = Annotated[list[str], Body(min_length=1, description="Folders, or CSV tables of files")]
Found = tuple[LabelledFile, RecordingAnswer]
Zeros = dict[str, dict[str, int]]


class LabelledDirectory(Answer):
    """A labelled folder or table."""

    dataset_type: str
    """``irmastest``, ``irmastrain`` or ``csv``."""
    dataset_path: str


Directories = Annotated[list[LabelledDirectory], Body(min_length=1)]


@router.post("/model/predict-directory")
async def predict_directory(
    request: Request, service: Serving, folders: Folders, model_ckpt_path: Named = None
) -> Zeros:
    """0 or 1 of each label, for the audio files of folders below the declared roots."""
    with service.catalogue.use(model_ckpt_path) as model:
        files = await _unlabelled(service, folders)
        found = await unless_gone(request, _all(service, model, files))
    return {name: _zeros(answer) for name, (_, answer) in zip(_names(files), found, strict=True)}


@router.post("/model/predict-directory-stream")
async def predict_directory_stream(
    service: Serving, folders: Folders, model_ckpt_path: Named = None
) -> Response:
    """The same, a line of JSON for each file."""
    files = await _unlabelled(service, folders)
    return _streamed(service, model_ckpt_path, files, judged=False)


@router.post("/model/test-directory")
async def judge_directory(
    request: Request, service: Serving, datasets: Directories, model_ckpt_path: Named = None
) -> dict[str, float | Zeros | None]:
    """Accuracy, Hamming distance, F1, precision and recall, and the decisions for each file."""
    with service.catalogue.use(model_ckpt_path) as model:
        files = await _labelled(service, model, datasets)
        found = await unless_gone(request, _all(service, model, files))
        metrics = _metrics(service, model, found)
    predictions = {n: _zeros(answer) for n, (_, answer) in zip(_names(files), found, strict=True)}
    return {**metrics, "predictions": predictions}


@router.post("/model/test-directory-stream")
async def judge_directory_stream(
    service: Serving, datasets: Directories, model_ckpt_path: Named = None
) -> Response:
    """The same: a line for each file, then one of the metrics."""
    with service.catalogue.use(model_ckpt_path) as model:
        files = await _labelled(service, model, datasets)
    return _streamed(service, model_ckpt_path, files, judged=True)


async def _unlabelled(service: Service, folders: list[str]) -> list[LabelledFile]:
    roots = service.settings.roots
    listed = [await run_in_threadpool(files_of, folder, roots) for folder in folders]
    return [file for files in listed for file in files]


async def _labelled(
    service: Service, model: OpenedModel, datasets: list[LabelledDirectory]
) -> list[LabelledFile]:
    roots, labels = service.settings.roots, model.decisions.classes
    listed = [
        await run_in_threadpool(labelled_files, d.dataset_type, d.dataset_path, roots, labels)
        for d in datasets
    ]
    return [file for files in listed for file in files]


async def _all(service: Service, model: OpenedModel, files: list[LabelledFile]) -> list[Found]:
    """Answers for all files.

    Raises:
        Problem: one of them cannot be scored.
    """
    answers = _each(service, model, files)
    found = []
    async with aclosing(answers):
        async for file, answer in answers:
            if isinstance(answer, FailedRecording):
                raise Problem(answer.status, answer.error)
            found.append((file, answer))
    return found


async def _each(service: Service, model: OpenedModel, files: Iterable[LabelledFile]) -> Any:
    """Yield files with their answers, in order; some of them are in progress at once."""
    waiting: list[tuple[LabelledFile, asyncio.Task[Any]]] = []
    try:
        for file in files:
            upload = Upload(file.name, file.path)
            work = asyncio.ensure_future(one(service, model, upload, Wishes()))
            waiting.append((file, work))
            if len(waiting) >= AHEAD:
                yield waiting[0][0], await waiting[0][1]
                del waiting[0]
        while waiting:
            yield waiting[0][0], await waiting[0][1]
            del waiting[0]
    finally:
        for _, task in waiting:
            task.cancel()
        await asyncio.gather(*(task for _, task in waiting), return_exceptions=True)


def _streamed(
    service: Service, name: str | None, files: list[LabelledFile], *, judged: bool
) -> Response:
    with ExitStack() as held:
        model = held.enter_context(service.catalogue.use(name))
        held_on = held.pop_all()

    async def lines() -> AsyncIterator[bytes]:
        heard: list[Found] = []
        names = iter(_names(files))
        with held_on:
            answers = _each(service, model, files)
            async with aclosing(answers):
                async for file, answer in answers:
                    if isinstance(answer, FailedRecording):
                        next(names)
                        yield _line(answer.model_dump())
                        continue
                    heard.append((file, answer))
                    yield _line({next(names): _zeros(answer)})
            if judged and heard:
                yield _line(_metrics(service, model, heard))

    return StreamingResponse(lines(), media_type=NDJSON)


def _metrics(service: Service, model: OpenedModel, heard: list[Found]) -> dict[str, float | None]:
    each = service.settings.add_instrument_metrics
    return metrics_of(heard, model.decisions.classes, each=each)


def _zeros(answer: RecordingAnswer) -> dict[str, int]:
    return {label: int(label in answer.labels) for label in answer.scores}


def _names(files: list[LabelledFile]) -> list[str]:
    """Files by name without ending, where that tells them apart."""
    short = [stem(file.name) for file in files]
    seen = Counter(short)
    return [
        brief if seen[brief] == 1 else file.name for file, brief in zip(files, short, strict=True)
    ]


def _line(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode() + b"\n"
