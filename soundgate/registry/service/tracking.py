"""One MLflow run for each Soundgate run: training writes its curves there, register its evidence.

The link is the tag ``soundgate.run``. Where ``MLFLOW_RUN_ID`` names a run (an engine with its own
MLflow integration sets it), that run is used and tagged.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from soundgate.errors import RegistryError, Stopped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from mlflow import MlflowClient
    from mlflow.entities import Run

    from soundgate.registry.service.connection import Registry

RUN_TAG = "soundgate.run"
# Of one log_batch request, MLflow's limits.
MOST_PARAMS, MOST_METRICS = 100, 1000


class TrackedRun:
    """An MLflow run that is being written; made by ``tracked_run``."""

    def __init__(self, registry: Registry, run_id: str) -> None:
        """Write to the MLflow run ``run_id``."""
        self.registry = registry
        self.id = run_id

    def log_params(self, params: Mapping[str, object]) -> None:
        """Record parameters; one that was recorded before must have the same value."""
        from mlflow.entities import Param

        rows = [Param(name, str(value)) for name, value in params.items()]
        for first in range(0, len(rows), MOST_PARAMS):
            with self.registry.transaction() as client:
                client.log_batch(self.id, params=rows[first : first + MOST_PARAMS])

    def log_metrics(self, metrics: Mapping[str, float], *, step: int) -> None:
        """Record the values of one step (an epoch) in one request."""
        from mlflow.entities import Metric

        now_ms = int(time.time() * 1000)
        rows = [Metric(name, float(value), now_ms, step) for name, value in metrics.items()]
        for first in range(0, len(rows), MOST_METRICS):
            with self.registry.transaction() as client:
                client.log_batch(self.id, metrics=rows[first : first + MOST_METRICS])

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Set tags in one request."""
        from mlflow.entities import RunTag

        with self.registry.transaction() as client:
            client.log_batch(self.id, tags=[RunTag(name, value) for name, value in tags.items()])

    def log_artifacts(self, folder: Path, path: str) -> None:
        """Keep the files of ``folder`` as artifacts below ``path``."""
        with self.registry.transaction() as client:
            client.log_artifacts(self.id, str(folder), path)


@contextmanager
def tracked_run(
    registry: Registry,
    run: str,
    *,
    params: Mapping[str, object] | None = None,
    tags: Mapping[str, str] | None = None,
) -> Iterator[TrackedRun]:
    """Write to the MLflow run that belongs to the Soundgate run ``run``.

    Tasks of one run share its MLflow run; a task that needs its own (one of a training array) adds
    its name: ``"aed-20261120-1/train-3"``. The MLflow run ends ``FINISHED``, ``FAILED`` after an
    error, ``KILLED`` after ``Stopped``; entering it again continues it.

    Raises:
        RegistryError: MLflow refused or failed.
    """
    with registry.transaction() as client:
        found = find_run(registry, client, run)
        client.update_run(found.info.run_id, status="RUNNING")
    tracked = TrackedRun(registry, found.info.run_id)
    try:
        tracked.set_tags(tags or {})
        tracked.log_params(params or {})
        yield tracked
    except BaseException as error:
        stopped = isinstance(error, (Stopped, KeyboardInterrupt, SystemExit))
        try:
            _end(tracked, "KILLED" if stopped else "FAILED")
        except RegistryError as second:
            error.add_note(f"and the MLflow run {tracked.id} could not be ended: {second}")
        raise
    _end(tracked, "FINISHED")


def find_run(registry: Registry, client: MlflowClient, run: str) -> Run:
    """The MLflow run of a Soundgate run, created where there is none; inside a transaction."""
    if given := os.environ.get("MLFLOW_RUN_ID"):
        found = client.get_run(given)
        client.set_tag(given, RUN_TAG, run)
        return found
    if earlier := _earliest(registry, client, run):
        return earlier
    created = client.create_run(registry.experiment_id, run_name=run, tags={RUN_TAG: run})
    # Of two that found none at the same time on a server, both keep the earlier.
    first = _earliest(registry, client, run) or created
    if first.info.run_id != created.info.run_id:
        client.delete_run(created.info.run_id)
    return first


def quoted(text: str) -> str:
    """``text`` as a literal of MLflow's filter language.

    Raises:
        RegistryError: it holds a quote, which that language cannot escape.
    """
    if "'" in text or '"' in text:
        raise RegistryError(f"{text!r} cannot be looked up in MLflow; use a name without quotes")
    return f"'{text}'"


def _earliest(registry: Registry, client: MlflowClient, run: str) -> Run | None:
    found = client.search_runs(
        [registry.experiment_id],
        f"tags.`{RUN_TAG}` = {quoted(run)}",
        order_by=["attributes.start_time ASC", "attributes.run_id ASC"],
        max_results=1,
    )
    return found[0] if found else None


def _end(tracked: TrackedRun, status: str) -> None:
    with tracked.registry.transaction() as client:
        client.set_terminated(tracked.id, status)
