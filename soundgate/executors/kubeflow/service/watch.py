"""Follows a run that was sent: how it stands, until it is over; ends it; shows its logs."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from soundgate import runs
from soundgate.errors import ExecutorError, ParameterError
from soundgate.executors.display import LOG_TAIL_LINES
from soundgate.executors.kubeflow.service import states
from soundgate.executors.kubeflow.service.refusals import KubeflowRefused
from soundgate.executors.waiting import Seen
from soundgate.runs import State

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from soundgate.executors.kubeflow.service.client import Client
    from soundgate.run_record import RunRecord
    from soundgate.runs import Run

FOLDER = "kubeflow"
"""Below the run's folder: what was sent."""
SENT, ASKED, CANCELLED = "run.json", "asked.json", "cancelled.txt"
PATIENCE = 60
"""Questions in a row that may go unanswered while a run is waited for."""


@dataclass(slots=True)
class Watch:
    """A run at the engine, and its folder here."""

    run: Run
    client: Client
    sent: dict[str, Any]
    """``run_id``, ``experiment_id``, ``pipeline``, ``tasks`` (names at the engine), ``values``."""
    goes_on: str = "the run goes on"
    is_usual: str = "Kubeflow goes on"
    unanswered: int = 0
    """Questions in a row."""

    @classmethod
    def of(cls, run: Run, client: Client) -> Self:
        """Follow a run that was sent.

        Raises:
            ParameterError: it never was.
        """
        sent = read_sent(run)
        if sent is None:
            raise ParameterError(f"run {run.id} was never submitted")
        return cls(run, client, sent)

    @property
    def greeting(self) -> str:
        """Where Kubeflow shows it."""
        return f"run {self.sent['run_id']}: {self.client.address(self.sent['run_id'])}"

    def update(self, record: RunRecord) -> list[str]:
        """Bring the record up to date; return the names of the tasks that changed.

        Raises:
            ExecutorError: the server does not answer.
        """
        record["engine_id"] = self.sent["run_id"]
        try:
            seen = self.client.run(self.sent["run_id"])
        except KubeflowRefused as error:
            if not error.absent:
                raise
            return states.lose(record, f"somebody deleted it from {self.client.where}")
        changed = states.update(record, seen, self.sent["tasks"])
        if record["state"] == State.CANCELLED and self._note.exists():
            record["reason"] = self._note.read_text("utf-8").strip()
        return changed

    def look(self, record: RunRecord, *, due: bool) -> Seen:  # noqa: ARG002 - every look asks
        """Ask for the run and its tasks.

        Raises:
            ExecutorError: the server does not answer for long.
        """
        try:
            changed = self.update(record)
        except ExecutorError as error:  # not answered is not gone
            self.unanswered += 1
            if self.unanswered == PATIENCE:
                raise
            return Seen([], str(error))
        self.unanswered = 0
        return Seen(changed, record["reason"])

    def end(self, record: RunRecord, reason: str) -> None:  # noqa: ARG002 - a note tells
        """Ask for the end of the run, and remember why.

        Raises:
            ExecutorError: the server refused, or does not answer.
        """
        self._note.write_text(f"{reason}\n", "utf-8")
        self.client.terminate(self.sent["run_id"])

    def last_lines(self, record: RunRecord, task: str) -> tuple[list[str], str]:
        """Return the end of a task's log, as far as the server keeps it."""
        try:
            lines = [line.rstrip("\n") for line in deque(self.log(record, task), LOG_TAIL_LINES)]
        except ExecutorError as error:
            return [], str(error)
        return lines, f"show-logs {self.run.id} {task}"

    def rest_s(self, record: RunRecord) -> None:
        """Rest until Kubeflow may be asked again."""

    def log(self, record: RunRecord, task: str) -> Iterator[str]:
        """Yield the log of a task's last attempt, as far as the server keeps it.

        Raises:
            ExecutorError: it keeps none; says where else it may be.
        """
        found = record["tasks"][task]
        if not found["engine_id"] or State(found["state"]) in (State.REUSED, State.SKIPPED):
            return
        try:
            yield from self.client.log(self.sent["run_id"], found["engine_id"])
        except ExecutorError as error:
            space = self.client.profile.namespace
            raise ExecutorError(
                f"{error}; look at {self.client.address(self.sent['run_id'])}, or with: kubectl "
                f"logs {found['engine_id']} -c main{f' -n {space}' if space else ''}"
            ) from error

    @property
    def _note(self) -> Path:
        return self.run.folder / FOLDER / CANCELLED


def settle(run: Run, client: Client) -> None:
    """Find out what became of a submission whose answer never came.

    Raises:
        ExecutorError: the server does not answer.
    """
    path = run.folder / FOLDER / ASKED
    asked = runs.read_json(path)
    if not isinstance(asked, dict):
        return
    found = client.find_run(asked["experiment_id"], asked["name"])
    known = read_sent(run)
    if found is not None and (known is None or known["run_id"] != found):
        runs.write_json(run.folder / FOLDER / SENT, {**asked, "run_id": found})
    path.unlink()


def read_sent(run: Run) -> dict[str, Any] | None:
    """Return what was sent of a run, or None where nothing was."""
    found = runs.read_json(run.folder / FOLDER / SENT)
    return found if isinstance(found, dict) else None
