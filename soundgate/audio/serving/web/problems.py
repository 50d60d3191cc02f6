"""Errors as clients read them: problem JSON (RFC 9457), one line each."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from soundgate.audio.serving.models.catalogue import UnknownModel
from soundgate.audio.serving.scoring.decoding import Refused
from soundgate.audio.serving.scoring.folders import Forbidden
from soundgate.errors import SoundgateError, UserError

if TYPE_CHECKING:
    from fastapi import FastAPI, Request
    from starlette.responses import Response

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER: Final = {"Retry-After": "1"}
_REFUSED: Final = {"unsupported": 415, "damaged": 422, "too_large": 413}


class Problem(HTTPException):
    """An error that a client is told; FastAPI hands it through unchanged."""


def too_busy() -> Problem:
    """More is asked than can wait."""
    return Problem(503, "the service is busy; try again", dict(RETRY_AFTER))


def status_of(refused: Refused) -> int:
    """The HTTP status of a recording that is not scored."""
    return _REFUSED[refused.reason]


def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    """A problem as a response."""
    return JSONResponse(
        body_of(status, detail), status_code=status, headers=headers, media_type=MEDIA_TYPE
    )


def body_of(status: int, detail: str) -> dict[str, Any]:
    """A problem as an object; ``error`` is what clients of the open inference protocol read."""
    problem = {"type": "about:blank", "title": _title(status), "status": status}
    return problem | {"detail": detail, "error": detail}


def _title(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:  # 499, of clients that left, has no standard phrase
        return "Client Closed Request"


def install(app: FastAPI) -> None:
    """Answer every error as a problem."""

    @app.exception_handler(HTTPException)
    async def _http(_request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers) if error.headers else None
        return problem(error.status_code, str(error.detail), headers)

    @app.exception_handler(RequestValidationError)
    async def _invalid(_request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
        return problem(422, f"{place}: {first['msg']}")

    @app.exception_handler(Refused)
    async def _refused(_request: Request, error: Refused) -> Response:
        return problem(status_of(error), str(error))

    @app.exception_handler(Forbidden)
    async def _forbidden(_request: Request, error: Forbidden) -> Response:
        return problem(403, str(error))

    @app.exception_handler(UnknownModel)
    async def _unknown(_request: Request, error: UnknownModel) -> Response:
        return problem(404, str(error))

    @app.exception_handler(UserError)
    async def _user(_request: Request, error: UserError) -> Response:
        return problem(422, str(error))

    @app.exception_handler(SoundgateError)
    async def _unready(_request: Request, error: SoundgateError) -> Response:
        return problem(503, str(error), dict(RETRY_AFTER))
