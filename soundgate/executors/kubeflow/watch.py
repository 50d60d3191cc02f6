"""Follows a run that was sent: how it stands, until it is over; ends it; shows its logs."""

from __future__ import annotations

import sys
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from soundgate import runs
from soundgate.errors import ExecutorError, ParameterError, SoundgateError
from soundgate.executors.display import display
from soundgate.executors.kubeflow import states
from soundgate.executors.kubeflow.refusals import KubeflowRefused
from soundgate.runs import State

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from soundgate.executors.base import Submission
    from soundgate.executors.display import Display
    from soundgate.executors.kubeflow.client import Client
    from soundgate.runs import Run

FOLDER = "kubeflow"
"""Below the run's folder: what was sent."""
SENT, ASKED, CANCELLED = "run.json", "asked.json", "cancelled.txt"
LOG_LINES = 20
PATIENCE = 60
"""Questions in a row that may go unanswered while a run is waited for."""


@dataclass(slots=True)
class Watch:
    """A run at the engine, and its folder here."""

    run: Run
    client: Client
    sent: dict[str, Any]
    """``run_id``, ``experiment_id``, ``pipeline``, ``tasks`` (names at the engine), ``values``."""

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

    def look(self, record: dict[str, Any]) -> list[str]:
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

    def wait(self, record: dict[str, Any], submission: Submission, pause_s: float) -> None:
        """Look again and again until the run is over.

        Raises:
            ExecutorError: the server does not answer for long; the run goes on.
        """
        stream = sys.stderr if submission.quiet else sys.stdout
        shown = display(record["tasks"], stream)
        shown.say(f"run {self.sent['run_id']}: {self.client.address(self.sent['run_id'])}")
        limit_s = submission.timeout_s
        end_s = time.monotonic() + limit_s if limit_s is not None else None
        unanswered, told, refused = 0, "", ""
        try:
            while True:
                unanswered = self._step(record, shown, unanswered)
                if State(record["state"]).final:
                    return
                if record["reason"] != told:
                    told = record["reason"]
                    shown.say(told or "Kubeflow goes on")
                if end_s is not None and time.monotonic() > end_s:
                    before, refused = (
                        refused,
                        self._end(f"the run exceeded --timeout {limit_s:g} s"),
                    )
                    end_s = end_s if refused else None
                    if refused and refused != before:
                        shown.say(refused)
                time.sleep(pause_s)
        except KeyboardInterrupt:
            shown.say(f"the run goes on; look with: show-run {self.run.id}")
            raise
        except SoundgateError as error:
            goes_on = f"{error}; the run goes on: look with show-run {self.run.id}"
            error.args = (goes_on, *error.args[1:])
            raise
        finally:
            shown.close()

    def terminate(self, reason: str) -> None:
        """Ask for the end of the run, and remember why.

        Raises:
            ExecutorError: the server refused, or does not answer.
        """
        self._note.write_text(f"{reason}\n", "utf-8")
        self.client.terminate(self.sent["run_id"])

    def _end(self, reason: str) -> str:
        """Ask for the end of the run; return why it was refused, or nothing."""
        try:
            self.terminate(reason)
        except KubeflowRefused as error:
            return str(error)
        return ""

    def log(self, record: dict[str, Any], task: str) -> Iterator[str]:
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

    def _step(self, record: dict[str, Any], shown: Display, unanswered: int) -> int:
        """Look once; return how many questions in a row went unanswered."""
        try:
            changed = self.look(record)
        except ExecutorError as error:  # not answered is not gone
            if unanswered + 1 == PATIENCE:
                raise
            record["reason"] = str(error)
            return unanswered + 1
        for name in changed:
            shown.update(name, record["tasks"][name])
            if record["tasks"][name]["state"] == State.FAILED:
                self._show_log(record, name, shown)
        if changed or State(record["state"]).final:
            self.run.write(record)
        return 0

    def _show_log(self, record: dict[str, Any], name: str, shown: Display) -> None:
        try:
            lines = deque(self.log(record, name), LOG_LINES)
        except ExecutorError as error:
            shown.say(f"--- {name}: {error}")
            return
        shown.say(f"--- last lines of {name}'s log")
        shown.say("".join(lines).rstrip("\n"))
        shown.say(f"--- whole log: show-logs {self.run.id} {name}")


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
