"""Opening an MLflow registry: embedded (``sqlite``) or a server, quietly and within seconds."""

from __future__ import annotations

import fcntl
import functools
import logging
import os
import shlex
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from soundgate.errors import MissingExtra, RegistryError
from soundgate.registry.service.addresses import is_sqlite, sqlite_address, sqlite_file
from soundgate.registry.service.mlflow_errors import no_address, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mlflow import MlflowClient

# Only where the environment says nothing else.
QUIET = {
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
# A server that is not there shows at once; one that was there is worth waiting for.
FIRST_REQUEST = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}
LATER_REQUESTS = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "4", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}
ARTIFACTS = "mlartifacts"


def tracking_uri(root: Path) -> str:
    """``MLFLOW_TRACKING_URI`` if it is set, else the sqlite file ``mlflow.db`` in ``root``."""
    return os.environ.get("MLFLOW_TRACKING_URI") or sqlite_address(root.resolve() / "mlflow.db")


class Registry:
    """An MLflow tracking store and model registry at one URI.

    Args:
        uri: ``sqlite:////folder/mlflow.db``, ``http(s)://...`` or what else MLflow takes.
        artifacts: folder or URI for files, recorded in the experiment when it is created. Without
            it: ``mlartifacts`` beside an sqlite file, so that a server started on that file on the
            same machine can serve them; the server's own choice for a server.
        experiment: name of the MLflow experiment that holds the runs.
    """

    def __init__(
        self, uri: str, artifacts: str | None = None, experiment: str = "soundgate"
    ) -> None:
        """Remember the address; MLflow is imported and contacted at the first use."""
        self.uri = uri
        self.experiment = experiment
        self._artifacts = artifacts

    @property
    def artifact_location(self) -> str | None:
        """URI below which a new experiment keeps files; None leaves it to the server."""
        if self._artifacts is not None:
            has_scheme = "://" in self._artifacts
            return self._artifacts if has_scheme else Path(self._artifacts).absolute().as_uri()
        database = self.database
        return (database.parent / ARTIFACTS).as_uri() if database else None

    @property
    def database(self) -> Path | None:
        """The embedded registry's file; None for a server."""
        return sqlite_file(self.uri)

    @property
    def exists(self) -> bool:
        """False for an embedded registry that was never written to; a server is not asked."""
        return self.database is None or self.database.is_file()

    def require(self) -> None:
        """Refuse an embedded registry that does not exist, which connecting would make.

        Raises:
            RegistryError: names the address.
        """
        if not self.exists:
            raise RegistryError(
                f"no registry at {self.uri}; run a pipeline that registers a model, or "
                "correct --registry or MLFLOW_TRACKING_URI"
            )

    def moved(self) -> str:
        """Say that an embedded registry was moved away from its files; empty where it was not.

        MLflow keeps the full path of every file, so that a moved folder of runs still has its
        records but points at where it was.

        Raises:
            RegistryError: MLflow refused or failed.
        """
        database = self.database
        if database is None or not database.is_file() or not (database.parent / ARTIFACTS).is_dir():
            return ""
        with self.reading() as client:
            found = client.get_experiment_by_name(self.experiment)
        address = urlsplit(found.artifact_location if found else "")
        before = Path(unquote(address.path))
        if address.scheme != "file" or before.name != ARTIFACTS or before.exists():
            return ""
        old, new = (shlex.quote(str(folder)) for folder in (before.parent, database.parent))
        return (
            f"the files of {self.uri} are expected in {before}, which is gone: its folder was "
            f"moved; move it back, or link the old path to it: ln -s {new} {old}"
        )

    def require_files(self) -> None:
        """Refuse an embedded registry that was moved away from its files.

        Raises:
            RegistryError: says from where and what to do.
        """
        if moved := self.moved():
            raise RegistryError(moved)

    @functools.cached_property
    def client(self) -> MlflowClient:
        """The connected client; makes the schema of a new sqlite file.

        Raises:
            MissingExtra: mlflow is not installed.
            RegistryError: nothing usable answers at ``uri``.
        """
        if is_sqlite(self.uri) and self.database is None:
            raise RegistryError(no_address(self.uri))
        _set_default(QUIET)
        # MLflow's dependencies deprecate each other at import; no reader of ours can mend that.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                from mlflow import MlflowClient
            except ImportError as error:
                message = "mlflow is not installed; pip install 'soundgate[registry]'"
                raise MissingExtra(message) from error
            if not self.uri.startswith("arn:"):
                # SageMaker's plug-in takes every address for an ARN, and MLflow warns of that at
                # each request
                logging.getLogger("mlflow.tracking.request_header.registry").setLevel("ERROR")
            with one_line(self.uri), self._locked(), _environment(FIRST_REQUEST):
                client = MlflowClient(self.uri, self.uri)
                client.search_experiments(max_results=1)
                client.search_registered_models(max_results=1)
        _set_default(LATER_REQUESTS)
        return client

    @functools.cached_property
    def experiment_id(self) -> str:
        """The experiment's id; creates it, with its artifact location, where it is absent.

        Raises:
            RegistryError: the experiment was deleted, the registry was moved away from its files,
                or MLflow refused or failed.
        """
        client = self.client
        self.require_files()
        from mlflow.exceptions import MlflowException

        with one_line(self.uri):
            found = client.get_experiment_by_name(self.experiment)
            if found is None:
                try:
                    return client.create_experiment(self.experiment, self.artifact_location)
                except MlflowException as error:
                    if error.error_code != "RESOURCE_ALREADY_EXISTS":
                        raise
                found = client.get_experiment_by_name(self.experiment)
            if found is None or found.lifecycle_stage != "active":
                raise RegistryError(
                    f"MLflow at {self.uri}: experiment {self.experiment!r} was deleted; "
                    "restore it or choose another name"
                )
            return str(found.experiment_id)

    @contextmanager
    def reading(self) -> Iterator[MlflowClient]:
        """Errors become RegistryErrors of one line; for what changes nothing."""
        client = self.client
        with one_line(self.uri):
            yield client

    @contextmanager
    def writing(self) -> Iterator[MlflowClient]:
        """Errors become RegistryErrors of one line; embedded, one process at a time is inside."""
        client = self.client
        with one_line(self.uri), self._locked():
            yield client

    @contextmanager
    def transaction(self) -> Iterator[MlflowClient]:
        """``writing``, with the experiment at hand that the runs are kept in."""
        _ = self.experiment_id
        with self.writing() as client:
            yield client

    @contextmanager
    def as_process_wide(self) -> Iterator[None]:
        """Make this MLflow's process-wide registry for the block.

        The embedded registry looks a version's source up through the process-wide URI instead of
        its own.
        """
        import mlflow

        held = os.environ.get("MLFLOW_TRACKING_URI")
        is_set = mlflow.is_tracking_uri_set()  # type: ignore[no-untyped-call]
        before: Any = mlflow.get_tracking_uri() if is_set else None
        mlflow.set_tracking_uri(self.uri)
        try:
            yield
        finally:
            mlflow.set_tracking_uri(before)
            if held is None:  # MLflow writes the URI there too
                os.environ.pop("MLFLOW_TRACKING_URI", None)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the embedded registry's file lock; nothing for a server."""
        database = self.database
        if database is None:
            yield
            return
        database.parent.mkdir(parents=True, exist_ok=True)
        with database.with_name(f"{database.name}.lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _set_default(values: Mapping[str, str]) -> None:
    for name, value in values.items():
        os.environ.setdefault(name, value)


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Give environment variables for the block the values they are to have if unset."""
    unset = [name for name in values if name not in os.environ]
    _set_default(values)
    try:
        yield
    finally:
        for name in unset:
            os.environ.pop(name, None)
