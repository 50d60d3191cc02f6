"""What a container on SageMaker answers: ``/ping`` and ``/invocations``, on port 8080."""

import base64
import binascii
import json
from contextlib import AsyncExitStack

from fastapi import APIRouter, Request
from pydantic import Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from soundgate.audio.serving.scoring.answers import Answer, Wishes
from soundgate.audio.serving.web.health import require_ready
from soundgate.audio.serving.web.predicting import Predictions, predicted
from soundgate.audio.serving.web.problems import Problem
from soundgate.audio.serving.web.state import Serving, unless_gone
from soundgate.audio.serving.web.uploads import Upload, kept, kept_bytes

TARGET = "x-amzn-sagemaker-target-model"
"""Header that names the model, where several are served."""
ENDINGS = {"audio/mp4": ".m4a", "audio/aac": ".aac", "audio/webm": ".webm", "video/mp4": ".mp4"}
"""Of types that are decoded by their ending."""
router = APIRouter(tags=["SageMaker"])


class Instance(Answer):
    """A recording in JSON."""

    audio: str
    """The file, in base64."""
    name: str = "audio"


class Invocation(Answer):
    """A body in JSON."""

    instances: tuple[Instance, ...]
    top_k: int = 5
    threshold: float | None = None
    thresholds: dict[str, float] = Field(default_factory=dict)


@router.get("/ping")
async def ping(service: Serving) -> dict[str, str]:
    """200 where every model is open."""
    require_ready(service)
    return {"status": "ready"}


@router.post("/invocations")
async def invocations(request: Request, service: Serving) -> Predictions:
    """Answers as of ``/predict`` for a file as the body, a form, or JSON with files in base64."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    with service.catalogue.use(request.headers.get(TARGET)) as model:
        async with AsyncExitStack() as held:
            uploads, wishes = await _read(request, kind, service.settings.max_files, held)
            wishes.check(model.decisions)
            return await unless_gone(request, predicted(service, model, uploads, wishes))


async def _read(
    request: Request, kind: str, most: int, held: AsyncExitStack
) -> tuple[list[Upload], Wishes]:
    """The files of a request, kept on disk as long as ``held`` is open."""
    if kind == "multipart/form-data":
        form = await held.enter_async_context(request.form(max_files=most))
        files = [each for _, each in form.multi_items() if isinstance(each, UploadFile)]
        return await held.enter_async_context(kept(files, most)), Wishes()
    content = await request.body()
    if kind == "application/json":
        asked = _invocation(content)
        if len(asked.instances) > most:
            raise Problem(413, f"instances: at most {most} are taken at once")
        uploads = []
        for each in asked.instances:
            audio = await run_in_threadpool(_bytes, each.audio)
            uploads.append(await held.enter_async_context(kept_bytes(audio, each.name)))
        return uploads, Wishes(asked.top_k, asked.threshold, asked.thresholds)
    if kind.startswith(("audio/", "video/")) or kind == "application/octet-stream":
        name = f"audio{ENDINGS.get(kind, '')}"
        return [await held.enter_async_context(kept_bytes(content, name))], Wishes()
    raise Problem(415, f"content type {kind!r}: send audio/*, application/json or a form")


def _invocation(content: bytes) -> Invocation:
    try:
        asked = Invocation.model_validate(json.loads(content))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "body"
        raise Problem(422, f"{place}: {first['msg']}") from error
    except (ValueError, RecursionError) as error:
        raise Problem(400, f"the body is no JSON: {error}") from error
    if not asked.instances:
        raise Problem(422, 'instances: send at least one {"audio": BASE64}')
    return asked


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Problem(422, f"audio: is no base64: {error}") from error
