"""AWS on the wire: what a request asks for, how an answer and a refusal are written."""

from __future__ import annotations

import io
import json
import re
import urllib.parse
from datetime import datetime
from typing import Any

Answer = dict[str, Any]

PAGE = 20
"""Items of an answer, where the request does not say."""
_SCOPE = re.compile(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/aws4_request")
_S3 = {"GET": "GetObject", "PUT": "PutObject", "HEAD": "HeadObject", "DELETE": "DeleteObject"}
_BUCKETS = {"GET": "ListObjectsV2", "PUT": "CreateBucket", "HEAD": "HeadBucket"}


class ServiceError(Exception):
    """What a service answers instead of a result."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.status = code, status


def asked(environ: dict[str, Any]) -> tuple[str, str, bytes]:
    """Return service, operation, and the body where it is small and told the operation."""
    scope = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    service = scope[1] if scope else ""
    if target := environ.get("HTTP_X_AMZ_TARGET"):
        return service, target.rpartition(".")[2], _body(environ)
    if service == "s3":
        operations = _S3 if environ["PATH_INFO"].strip("/").count("/") else _BUCKETS
        return service, operations.get(environ["REQUEST_METHOD"], "Other"), b""
    if environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        body = _body(environ)
        return service, dict(urllib.parse.parse_qsl(body.decode())).get("Action", ""), body
    return service, "", b""


def _body(environ: dict[str, Any]) -> bytes:
    body: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    return body or b"{}"


def invalid(message: str) -> ServiceError:
    return ServiceError("ValidationException", message)


def refusal(service: str, error: ServiceError) -> tuple[int, str, bytes]:
    if service == "s3":
        text = f"<Error><Code>{error.code}</Code><Message>{error}</Message></Error>"
        return error.status, "application/xml", text.encode()
    if service in ("sts", "iam"):
        inner = f"<Error><Code>{error.code}</Code><Message>{error}</Message></Error>"
        return error.status, "text/xml", f"<ErrorResponse>{inner}</ErrorResponse>".encode()
    text = json.dumps({"__type": error.code, "message": str(error)})
    return error.status, "application/x-amz-json-1.1", text.encode()


def encoded(answer: Answer) -> bytes:
    def seconds(value: object) -> float:
        if isinstance(value, datetime):
            return value.timestamp()
        raise TypeError(value)

    return json.dumps(answer, default=seconds).encode()


def page(given: Answer, field: str, items: list[Answer]) -> Answer:
    start = int(given.get("NextToken", 0))
    size = given.get("MaxResults", PAGE)
    more = {"NextToken": str(start + size)} if start + size < len(items) else {}
    return {field: items[start : start + size], **more}


def snake(operation: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", operation).lower()
