"""What S3 servers and botocore say, as one line with what to do."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from soundgate.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

ADVICE = {
    "NoSuchBucket": "the bucket does not exist; create it or correct the store's url",
    "AccessDenied": "access denied; these credentials may not do that here",
    "403": "access denied; these credentials may not do that here",
    "InvalidAccessKeyId": "the server does not know this access key; check AWS_ACCESS_KEY_ID",
    "SignatureDoesNotMatch": "wrong signature; check AWS_SECRET_ACCESS_KEY and AWS_REGION",
    "ExpiredToken": "the session token has expired; sign in again",
    "InvalidToken": "the session token is not valid; sign in again",
    "RequestTimeTooSkewed": "this machine's clock is wrong; set it",
    "PermanentRedirect": "the bucket is in another region; set AWS_REGION",
    "301": "the bucket is in another region; set AWS_REGION",
    "SlowDown": "the server asks to slow down; try again with fewer workers",
    "NotImplemented": "the server lacks an operation this store needs (conditional PUT)",
    "QuotaExceeded": "the bucket is full",
}


class _Place(Protocol):
    @property
    def url(self) -> str: ...


def code_of(error: BaseException) -> str:
    """The S3 error code of a botocore ClientError, else an empty text."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def is_missing(error: BaseException) -> bool:
    """Whether the server said that there is no such key."""
    return code_of(error) in {"404", "NoSuchKey", "NotFound"}


def is_there_already(error: BaseException) -> bool:
    """Whether a conditional write found the key taken."""
    return code_of(error) in {"412", "PreconditionFailed"}


@contextmanager
def one_line(store: _Place, key: str) -> Iterator[None]:
    """Turn errors of botocore into StoreErrors of one line."""
    from botocore import exceptions as boto

    where = f"{store.url}: {key!r}"
    try:
        yield
    except boto.ClientError as error:
        code = code_of(error)
        if is_missing(error):
            raise StoreError(f"{store.url}: no object {key!r}") from error
        told = " ".join(str(error.response.get("Error", {}).get("Message", "")).split())
        raise StoreError(f"{where}: {ADVICE.get(code, told)} ({code})") from error
    except (boto.NoCredentialsError, boto.PartialCredentialsError) as error:
        raise StoreError(
            f"{where}: no AWS credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
            "AWS_PROFILE, or give the machine a role"
        ) from error
    except (boto.EndpointConnectionError, boto.ConnectTimeoutError) as error:
        raise StoreError(
            f"{where}: no S3 server answers ({error}); check AWS_ENDPOINT_URL_S3 and the network"
        ) from error
    except (boto.BotoCoreError, boto.HTTPClientError, ValueError) as error:
        raise StoreError(f"{where}: {' '.join(str(error).split())}") from error
    except OSError as error:
        path = f" ({error.filename})" if error.filename else ""
        raise StoreError(f"{where}: {error.strerror or error}{path}") from error
