"""What MLflow and the libraries below it say, as one line with what to do."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from soundgate.errors import RegistryError, about_place

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST = 300
ADVICE = {
    401: "it wants a sign-in; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, "
    "or MLFLOW_TRACKING_TOKEN",
    403: "it refuses this user or this host name; check the permissions and the server's "
    "--allowed-hosts",
    404: "nothing of MLflow there; check the path of MLFLOW_TRACKING_URI",
}
UNREACHABLE = ("Max retries exceeded", "Connection refused", "Connection aborted", "timed out")
DATABASE = {
    "database is locked": "another program holds its database; try again when that has ended",
    "not a database": "the file is no sqlite database; name another, or restore it",
    "readonly database": "its database may not be written; ask who owns the file for the right",
    "unable to open database": "its database cannot be opened; check the path and the rights",
}
NO_BACKEND = ("unsupported URI", "maintenance mode", "Could not parse", "Can't load plugin")


@contextmanager
def one_line(uri: str) -> Iterator[None]:
    """Turn errors of MLflow, its database and its network into RegistryErrors of one line."""
    from mlflow.exceptions import MlflowException
    from requests import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, RequestException, SQLAlchemyError, OSError) as error:
        raise RegistryError(_line(uri, error)) from error


def is_refusal(error: Exception) -> bool:
    """Whether MLflow answered that this user may not do that."""
    cause = error.__cause__ if isinstance(error, RegistryError) else error
    return isinstance(cause, Exception) and _status(cause, str(cause)) in {401, 403}


def no_address(uri: str) -> str:
    """The text of the error for a URI that MLflow cannot keep a registry at."""
    return (
        f"{uri!r} is no address of an MLflow registry; expected sqlite:////folder/mlflow.db "
        "or http(s)://host:port"
    )


def _line(uri: str, error: Exception) -> str:
    told = " ".join(str(error).split())
    status = _status(error, told)
    if status in ADVICE:
        return f"MLflow at {uri}: {ADVICE[status]} ({status})"
    if any(sign in told for sign in UNREACHABLE):
        return (
            f"no MLflow server answers at {uri}; start it, or correct MLFLOW_TRACKING_URI "
            "(unset, runs are kept in a local file)"
        )
    if any(sign in told for sign in NO_BACKEND):
        return no_address(uri)
    if (place := about_place(error)) is not None:
        return f"MLflow at {uri}: {place}"
    for sign, advice in DATABASE.items():
        if sign in told:
            return f"MLflow at {uri}: {advice}"
    return f"MLflow at {uri}: {told.partition(' [SQL: ')[0][:LONGEST]}"


def _status(error: Exception, told: str) -> int:
    """The HTTP status of a server's answer, 0 where there was none."""
    found = re.search(r"failed with error code (\d{3})", told)
    if found:
        return int(found[1])
    code = getattr(error, "error_code", "")
    return {"PERMISSION_DENIED": 403, "UNAUTHENTICATED": 401}.get(code, 0)
