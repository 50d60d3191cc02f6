"""A run's jobs as seen by the waiting loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from soundgate.executors.display import LOG_TAIL_LINES
from soundgate.executors.logs import tail
from soundgate.executors.slurm.marks import FOLDER
from soundgate.executors.slurm.service import states
from soundgate.executors.waiting import Seen

if TYPE_CHECKING:
    from pathlib import Path

    from soundgate.executors.slurm.service.client import Client
    from soundgate.run_record import RunRecord
    from soundgate.runs import Run

LOOK_S, LOOK_A_TASK_S, LONGEST_LOOK_S = 0.1, 0.0005, 2.0
"""Time between two scans for finished marks; scans do not involve the controller."""


@dataclass(slots=True)
class WatchedJobs:
    """The jobs of a run."""

    watcher: states.Watcher
    greeting: str = ""
    goes_on: str = "the jobs go on"
    is_usual: str = "the controller answers again"

    def look(self, record: RunRecord, *, due: bool) -> Seen:
        """Read finished marks; query the controller about silent tasks if that is due."""
        changed = self.watcher.look(record, ask=due)
        states.conclude(record, self.watcher.run)
        return Seen(
            changed,
            self.watcher.said,
            asked=self.watcher.asked,
            unsettled=self.watcher.puzzled,
        )

    def end(self, record: RunRecord, reason: str) -> None:  # noqa: ARG002 - marks tell
        """End all jobs."""
        end(self.watcher.run, self.watcher.client, reason)

    def last_lines(self, record: RunRecord, task: str) -> tuple[list[str], str]:  # noqa: ARG002
        """Return the end of a task's log, and its path."""
        log = logs_of(self.watcher.run, task)[-1]
        return tail(log, LOG_TAIL_LINES), str(log)

    def rest_s(self, record: RunRecord) -> float:
        """Rest longer the more marks there are to look for."""
        return min(LOOK_S + LOOK_A_TASK_S * len(record["tasks"]), LONGEST_LOOK_S)


def end(run: Run, client: Client, reason: str) -> None:
    """Cancel all jobs of a run with one request and record the reason."""
    (run.folder / FOLDER / states.CANCELLED).write_text(f"{reason}\n", "utf-8")
    client.cancel(states.job_ids(run))


def logs_of(run: Run, task: str) -> list[Path]:
    """Return the log of a task, or of its job if the task never started."""
    log = run.log(task)
    job = states.task_ids(run).get(task)
    if job and not log.exists():
        return sorted((run.folder / FOLDER).glob(f"*.{job}.log")) or [log]
    return [log]
