"""A WebSocket that takes PCM as it is recorded, and answers scores and events."""

import json
import time
from typing import Annotated, Any, Literal

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from pydantic import Field, ValidationError

from soundgate.audio.serving.models.opened import OpenedModel
from soundgate.audio.serving.scoring.answers import Answer, Wishes
from soundgate.audio.serving.scoring.live import OpenEvents, PcmStream
from soundgate.audio.serving.web.health import about
from soundgate.audio.serving.web.state import Service, Serving
from soundgate.errors import ParameterError, SoundgateError

LEAST_WINDOW_S = 1.0
"""Of the default; a model's parts may be longer."""
INVALID, BUSY = 1007, 1013
"""Codes of closing: wrong data, and try again later."""
router = APIRouter()


class Opening(Answer):
    """The first message of a client."""

    model: str | None = None
    sample_rate_hz: Annotated[int, Field(ge=1000, le=384_000)] = 16_000
    encoding: Literal["pcm_s16le", "pcm_f32le"] = "pcm_s16le"
    window_s: Annotated[float, Field(gt=0)] | None = None
    """Length of what is scored at once; None: the model's parts, at least a second."""
    hop_s: Annotated[float, Field(gt=0)] | None = None
    """From window to window; None: half a window."""
    threshold: Annotated[float, Field(ge=0, le=1)] | None = None
    thresholds: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(default_factory=dict)


@router.websocket("/stream")
async def stream(socket: WebSocket, service: Serving) -> None:
    """First a message of JSON (``Opening``), then PCM in binary ones, at last ``{"type": "end"}``.

    Answers ``ready``, ``scores`` for each window, ``event`` when one is over, and ``done``.
    """
    await socket.accept()
    if not service.seats.take():
        await socket.close(BUSY, "too many streams; try again later")
        return
    try:
        opening = Opening.model_validate(json.loads(await socket.receive_text()))
        with service.catalogue.use(opening.model) as model:
            await _Listening(socket, service, model, opening).run()
        await socket.close()
    except WebSocketDisconnect:
        pass
    except (ValidationError, SoundgateError, ValueError, KeyError) as error:
        await socket.close(INVALID, _line(error))
    finally:
        service.seats.give_back()


def _line(error: Exception) -> str:
    """Why, in the 123 bytes that a close frame has room for."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        text = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    else:
        text = str(error)
    return text.encode()[:123].decode(errors="ignore")


class _Listening:
    """One stream."""

    def __init__(
        self, socket: WebSocket, service: Service, model: OpenedModel, opening: Opening
    ) -> None:
        self._socket, self._service, self._model = socket, service, model
        self._wishes = Wishes(1, opening.threshold, opening.thresholds)
        self._wishes.check(model.decisions)
        rate_hz, longest_s = model.lengths.sample_rate_hz, model.lengths.longest_s
        default_s = min(max(model.part_s, LEAST_WINDOW_S), longest_s)
        window_s = opening.window_s or default_s
        if not model.lengths.least_s <= window_s <= longest_s:
            raise ParameterError(
                f"window_s: {window_s:g} s is not from {model.lengths.least_s:g} to {longest_s:g} s"
            )
        self._window_s = window_s
        self._hop_s = min(opening.hop_s or window_s / 2, window_s)
        self._stream = PcmStream(
            encoding=opening.encoding,
            rate_hz=opening.sample_rate_hz,
            model_rate_hz=rate_hz,
            window=round(window_s * rate_hz),
            hop=max(1, round(self._hop_s * rate_hz)),
        )
        self._events = OpenEvents()

    async def run(self) -> None:
        """Answer until the client ends the stream."""
        await self._send(
            "ready",
            model=about(self._model).model_dump(),
            window_s=self._window_s,
            hop_s=self._hop_s,
            latency_s=self._window_s,  # a sound at a window's beginning is told at its end
        )
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", 1006))
            arrived = time.monotonic()
            last = message.get("bytes") is None
            if last and json.loads(message["text"])["type"] != "end":
                raise ParameterError('send PCM in binary messages, or {"type": "end"}')
            for first, samples in self._stream.add(message.get("bytes") or b"", last=last):
                await self._hear(first, samples, arrived)
            if last:
                break
        await self._tell(self._events.end())
        await self._send("done")

    async def _hear(self, first: int, samples: Any, arrived: float) -> None:
        found = await self._service.asking.ask_samples(self._model, samples, "", self._wishes)
        start_s = round(first / self._model.lengths.sample_rate_hz, 6)
        end_s = round(start_s + found.duration_s, 6)
        await self._tell(self._events.add(start_s, end_s, found.labels, found.scores))
        await self._send(
            "scores",
            start_s=start_s,
            end_s=end_s,
            labels=found.labels,
            scores=found.scores,
            took_s=round(time.monotonic() - arrived, 6),
        )

    async def _tell(self, events: Any) -> None:
        for event in events:
            await self._send("event", **event.model_dump())

    async def _send(self, kind: str, **fields: Any) -> None:
        await self._socket.send_text(json.dumps({"type": kind, **fields}, ensure_ascii=False))
