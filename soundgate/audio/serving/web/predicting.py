"""Recordings in, answers out: in full at ``/predict``, as 0 and 1 at ``/model/predict-files``."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import ExitStack, aclosing
from typing import Annotated, Any

from fastapi import APIRouter, File, Query, Request, UploadFile
from fastapi.responses import Response, StreamingResponse

from soundgate.audio.serving.models.opened import OpenedModel
from soundgate.audio.serving.scoring.answers import Answer, RecordingAnswer, Wishes
from soundgate.audio.serving.scoring.decoding import Refused, stem
from soundgate.audio.serving.web.health import ModelAnswer, about
from soundgate.audio.serving.web.problems import Problem, status_of
from soundgate.audio.serving.web.state import Service, Serving, unless_gone
from soundgate.audio.serving.web.uploads import Upload, kept
from soundgate.errors import ParameterError

NDJSON = "application/x-ndjson"
router = APIRouter(tags=["predicting"])

Files = Annotated[list[UploadFile], File(description="Audio files, in any format that is read")]
Named = Annotated[str | None, Query(description="Name of the model, where several are served")]
TopK = Annotated[int, Query(ge=1, le=1000, description="How many of the highest scores to list")]
Threshold = Annotated[float | None, Query(ge=0, le=1, description="Give labels from this score on")]
Thresholds = Annotated[
    str | None, Query(description='Thresholds of single labels as JSON, {"voice": 0.7}')
]

Stream = Annotated[bool, Query(description="Answer a line a recording, as they are done")]


class FailedRecording(Answer):
    """A recording that was not scored."""

    file: str
    status: int
    """As HTTP has it: 413 too large, 415 no audio, 422 damaged."""
    error: str


class Predictions(Answer):
    """What a model says of recordings."""

    model: ModelAnswer
    recordings: tuple[RecordingAnswer, ...]
    """In the order of the request."""
    failures: tuple[FailedRecording, ...] = ()


@router.post("/predict")
async def predict(  # noqa: PLR0913, PLR0917 - each is a parameter of the request
    request: Request,
    service: Serving,
    audio_files: Files,
    model: Named = None,
    top_k: TopK = 5,
    threshold: Threshold = None,
    thresholds: Thresholds = None,
    stream: Stream = False,  # noqa: FBT002 - of the request
) -> Predictions:
    """Scores, decisions, segments and events of recordings.

    With ``stream=true``, or where the client accepts ``application/x-ndjson``, a line of JSON for
    each recording as soon as it is scored.
    """
    wishes = read_wishes(top_k, threshold, thresholds)
    if stream or NDJSON in request.headers.get("accept", ""):
        return streamed(service, model, audio_files, wishes)  # type: ignore[return-value]
    with service.catalogue.use(model) as opened:
        wishes.check(opened.decisions)
        async with kept(audio_files, service.settings.max_files) as uploads:
            work = predicted(service, opened, uploads, wishes)
            return await unless_gone(request, work)


@router.post("/model/predict-files")
async def predict_files(
    request: Request, service: Serving, audio_files: Files, model_ckpt_path: Named = None
) -> dict[str, dict[str, int]]:
    """0 or 1 of each label, by the name of the file without its ending."""
    with service.catalogue.use(model_ckpt_path) as opened:
        async with kept(audio_files, service.settings.max_files) as uploads:
            work = predicted(service, opened, uploads, Wishes())
            found = await unless_gone(request, work)
    if found.failures:
        raise Problem(found.failures[0].status, found.failures[0].error)
    return zeros_and_ones(found.recordings)


def read_wishes(
    top_k: int = 5, threshold: float | None = None, thresholds: str | None = None
) -> Wishes:
    """What a request asks for.

    Raises:
        ParameterError: the thresholds are no JSON object of numbers from 0 to 1.
    """
    if not thresholds:
        return Wishes(top_k, threshold)
    try:
        given = json.loads(thresholds)
    except ValueError as error:
        raise ParameterError(f'thresholds: write JSON such as {{"voice": 0.7}}: {error}') from error
    if not isinstance(given, dict):
        raise ParameterError('thresholds: write a JSON object such as {"voice": 0.7}')
    for label, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise ParameterError(f"thresholds: {label}: {value!r} is not a number from 0 to 1")
    return Wishes(top_k, threshold, given)


async def predicted(
    service: Service, model: OpenedModel, uploads: Sequence[Upload], wishes: Wishes
) -> Predictions:
    """Answers for all files.

    Raises:
        Problem: none of them could be scored.
    """
    found = await all_of([one(service, model, upload, wishes) for upload in uploads])
    recordings = tuple(each for each in found if isinstance(each, RecordingAnswer))
    failures = tuple(each for each in found if isinstance(each, FailedRecording))
    if not recordings:
        raise Problem(failures[0].status, failures[0].error)
    return Predictions(model=about(model), recordings=recordings, failures=failures)


async def one(
    service: Service, model: OpenedModel, upload: Upload, wishes: Wishes
) -> RecordingAnswer | FailedRecording:
    """The answer for a file, or why there is none."""
    try:
        found = await service.asking.ask(model, upload.path, upload.name, wishes)
    except Refused as refused:
        return FailedRecording(file=upload.name, status=status_of(refused), error=str(refused))
    service.measures.audio_s.labels(model.name).inc(found.duration_s)
    return found


async def all_of(work: Sequence[Any]) -> list[Any]:
    """Results in the order of ``work``; all of it ends when one fails or this is cancelled."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each) for each in work]
    return [task.result() for task in tasks]


def streamed(
    service: Service, name: str | None, files: Sequence[UploadFile], wishes: Wishes
) -> Response:
    """A line a recording; the model is held until the last one is sent."""
    with ExitStack() as held:
        opened = held.enter_context(service.catalogue.use(name))
        wishes.check(opened.decisions)
        held_on = held.pop_all()

    async def lines() -> AsyncIterator[bytes]:
        with held_on:
            async with kept(files, service.settings.max_files) as uploads:
                answers = as_done([one(service, opened, upload, wishes) for upload in uploads])
                async with aclosing(answers):
                    async for found in answers:
                        yield line(found)

    return StreamingResponse(lines(), media_type=NDJSON)


async def as_done(work: Sequence[Any]) -> AsyncGenerator[Any, None]:
    """Results as they come; all of it ends when nobody asks for more."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        for each in asyncio.as_completed(tasks):
            yield await each
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def line(found: Answer) -> bytes:
    """An answer as a line of JSON."""
    return found.model_dump_json().encode() + b"\n"


def zeros_and_ones(recordings: Sequence[RecordingAnswer]) -> dict[str, dict[str, int]]:
    """0 or 1 of each label, by the name of the file without its ending.

    Where two differ in that only, by the whole name.
    """
    short = [stem(each.file) for each in recordings]
    names = [
        brief if short.count(brief) == 1 else each.file
        for each, brief in zip(recordings, short, strict=True)
    ]
    return {
        name: {label: int(label in each.labels) for label in each.scores}
        for name, each in zip(names, recordings, strict=True)
    }
