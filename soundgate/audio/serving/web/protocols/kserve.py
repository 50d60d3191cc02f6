"""The open inference protocol, version 2: tensors in, tensors out, as KServe and Triton have it."""

import base64
import binascii
import json
from contextlib import AsyncExitStack
from importlib import metadata
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, ValidationError
from starlette.concurrency import run_in_threadpool

from soundgate.audio.serving.models.opened import OpenedModel
from soundgate.audio.serving.scoring.answers import RecordingAnswer, Wishes
from soundgate.audio.serving.web.health import require_ready
from soundgate.audio.serving.web.predicting import FailedRecording, all_of, one
from soundgate.audio.serving.web.problems import Problem
from soundgate.audio.serving.web.state import Service, Serving, unless_gone
from soundgate.audio.serving.web.uploads import kept_bytes

HEADER_LENGTH = "inference-header-content-length"
"""Header that says how much of the body is JSON; raw tensors follow."""
WAVEFORM, AUDIO = "waveform", "audio"
# Of two decorators the lower one is asked first: a name may hold slashes, and would hold the rest.
router = APIRouter(prefix="/v2", tags=["open inference protocol"])


class Tensor(BaseModel):
    """An input."""

    name: str
    datatype: str
    shape: list[int]
    parameters: dict[str, Any] = Field(default_factory=dict)
    data: list[Any] = Field(default_factory=list)


class InferRequest(BaseModel):
    """A body, as far as it is used."""

    id: str | None = None
    inputs: list[Tensor]


@router.get("")
async def server() -> dict[str, Any]:
    """What answers here."""
    return {
        "name": "soundgate",
        "version": metadata.version("soundgate"),
        "extensions": ["binary_tensor_data"],
    }


@router.get("/health/live")
async def live() -> dict[str, bool]:
    """The process answers."""
    return {"live": True}


@router.get("/health/ready")
async def ready(service: Serving) -> dict[str, bool]:
    """Every model is open."""
    require_ready(service)
    return {"ready": True}


@router.get("/models/{name:path}/ready")
@router.get("/models/{name:path}/versions/{version}/ready")
async def model_ready(service: Serving, name: str, version: str | None = None) -> dict[str, Any]:
    """The model is open."""
    with service.catalogue.use(name) as model:
        _check_version(model, version)
        return {"name": name, "ready": True}


@router.post("/models/{name:path}/infer")
@router.post("/models/{name:path}/versions/{version}/infer")
async def infer(
    request: Request, service: Serving, name: str, version: str | None = None
) -> dict[str, Any]:
    """Scores and decisions of clips.

    Takes one input: ``waveform`` FP32 (clip, sample), mono at the model's rate, or ``audio`` BYTES
    (clip,), files in base64. Answers ``scores`` FP32 and ``decisions`` BOOL, both (clip, label).
    """
    asked, raw = await _read(request)
    with service.catalogue.use(name) as model:
        _check_version(model, version)
        found = await unless_gone(request, _answers(service, model, asked, raw))
        return _response(model, asked, found)


@router.get("/models/{name:path}")
@router.get("/models/{name:path}/versions/{version}")
async def model_metadata(service: Serving, name: str, version: str | None = None) -> dict[str, Any]:
    """Inputs and outputs, and the labels in the order of the scores."""
    with service.catalogue.use(name) as model:
        _check_version(model, version)
        labels = list(model.decisions.classes)
        return {
            "name": name,
            "versions": [model.version or "1"],
            "platform": f"soundgate_{model.runtime}",
            "inputs": [_tensor(WAVEFORM, "FP32", [-1, -1]), _tensor(AUDIO, "BYTES", [-1])],
            "outputs": [
                _tensor("scores", "FP32", [-1, len(labels)]),
                _tensor("decisions", "BOOL", [-1, len(labels)]),
            ],
            "parameters": {"labels": labels, "sample_rate_hz": model.lengths.sample_rate_hz},
        }


def _tensor(name: str, datatype: str, shape: list[int]) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape}


def _check_version(model: OpenedModel, version: str | None) -> None:
    if version is not None and version != (model.version or "1"):
        raise Problem(404, f"{model.name} is version {model.version or '1'}, not {version}")


async def _read(request: Request) -> tuple[InferRequest, bytes]:
    """The JSON of a body, and what follows it."""
    content = await request.body()
    length = request.headers.get(HEADER_LENGTH, str(len(content)))
    if not length.isdecimal() or int(length) > len(content):
        raise Problem(400, f"{HEADER_LENGTH}: {length!r} is not a length within the body")
    try:
        asked = InferRequest.model_validate(json.loads(content[: int(length)]))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise Problem(400, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except (ValueError, RecursionError) as error:
        raise Problem(400, f"the body is no JSON: {error}") from error
    return asked, content[int(length) :]


async def _answers(
    service: Service, model: OpenedModel, asked: InferRequest, raw: bytes
) -> list[RecordingAnswer]:
    given = [each for each in asked.inputs if each.name in {WAVEFORM, AUDIO}]
    if len(given) != 1 or len(asked.inputs) != 1:
        raise Problem(400, f"inputs: send one, {WAVEFORM} or {AUDIO}")
    (tensor,) = given
    if tensor.name == WAVEFORM:
        waveforms = await run_in_threadpool(_waveforms, tensor, raw)
        ask = service.asking.ask_samples
        return await all_of([ask(model, row, f"{k}", Wishes()) for k, row in enumerate(waveforms)])
    return await _of_files(service, model, tensor)


async def _of_files(service: Service, model: OpenedModel, tensor: Tensor) -> list[RecordingAnswer]:
    if tensor.datatype != "BYTES" or not tensor.data:
        raise Problem(400, f"{AUDIO}: send datatype BYTES and files in base64 as data")
    if len(tensor.data) > service.settings.max_files:
        raise Problem(413, f"{AUDIO}: at most {service.settings.max_files} are taken at once")
    async with AsyncExitStack() as held:
        uploads = [
            await held.enter_async_context(kept_bytes(_bytes(text), str(number)))
            for number, text in enumerate(tensor.data)
        ]
        found = await all_of([one(service, model, upload, Wishes()) for upload in uploads])
    for each in found:
        if isinstance(each, FailedRecording):
            raise Problem(each.status, each.error)
    return found


def _bytes(text: Any) -> bytes:
    try:
        return base64.b64decode(str(text), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Problem(400, f"{AUDIO}: is no base64: {error}") from error


def _waveforms(tensor: Tensor, raw: bytes) -> Any:
    """Float32 (clip, sample)."""
    if tensor.datatype != "FP32" or len(tensor.shape) != 2 or min(tensor.shape) < 1:
        raise Problem(400, f"{WAVEFORM}: send FP32 of shape [clip, sample]")
    size = tensor.parameters.get("binary_data_size")
    try:
        if size is None:
            values = np.array(tensor.data, np.float32)
        else:
            values = np.frombuffer(raw[: int(size)], "<f4")
        values = values.reshape(tensor.shape)
    except (ValueError, TypeError) as error:
        raise Problem(400, f"{WAVEFORM}: data is not of shape {tensor.shape}: {error}") from error
    if not np.isfinite(values).all():
        raise Problem(422, f"{WAVEFORM}: contains NaN or infinite samples")
    return values


def _response(
    model: OpenedModel, asked: InferRequest, found: list[RecordingAnswer]
) -> dict[str, Any]:
    labels = model.decisions.classes
    shape = [len(found), len(labels)]
    scores = [each.scores[label] for each in found for label in labels]
    decisions = [label in each.labels for each in found for label in labels]
    return {
        "model_name": model.name,
        "model_version": model.version or "1",
        "id": asked.id,
        "outputs": [
            _tensor("scores", "FP32", shape) | {"data": scores},
            _tensor("decisions", "BOOL", shape) | {"data": decisions},
        ],
    }
