"""The controller, through Slurm's own commands: text in, text out.

Every call has a time limit, and an error that passes (a controller being restarted) is tried again:
not to be answered is not to be told that a job ended.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from soundgate.errors import ExecutorError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

TIMEOUT_S = 60.0
TRIES = 5
PASSING = (
    "Unable to contact slurm controller",
    "Socket timed out",
    "Connection refused",
    "Connection reset",
    "temporarily unable",
    "Transport endpoint is not connected",
    "Zero Bytes were transmitted",
    "Slurm backup controller in standby",
    "rate limit",
)
"""Beginnings of what Slurm says when asking again may help."""

ENDED_BADLY = frozenset(
    {
        "BOOT_FAIL",
        "CANCELLED",
        "DEADLINE",
        "FAILED",
        "NODE_FAIL",
        "OUT_OF_MEMORY",
        "PREEMPTED",
        "REVOKED",
        "TIMEOUT",
    }
)
ENDED = ENDED_BADLY | {"COMPLETED"}
LEAVING = frozenset({"COMPLETING"})
"""Its tasks are over; only its node still cleans up."""
WAITING = frozenset({"PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT"})


@dataclass(frozen=True, slots=True)
class QueuedJob:
    """What the controller says of a job, or of one element of an array."""

    id: str
    """``123``, or ``123_4`` for an element."""
    state: str
    """Slurm's word without additions: PENDING, RUNNING, TIMEOUT, ..."""
    reason: str
    """Why it waits, or how it ended."""


class SlurmRefused(ExecutorError):
    """A command of Slurm failed for good."""


class Client:
    """Runs Slurm's commands."""

    def __init__(self, *, tries: int = TRIES, pause_s: float = 1.0) -> None:
        """Try again ``tries`` times what may pass, with growing pauses from ``pause_s``."""
        self._tries, self._pause_s = tries, pause_s

    def submit(self, script: str, options: Sequence[str]) -> str:
        """Submit a script; return its job id."""
        answer = self._run(["sbatch", "--parsable", *options], script)
        found = re.search(r"^(\d+)(;\S+)?\s*\Z", answer, re.MULTILINE)
        if found is None:
            raise SlurmRefused(f"sbatch answered {answer.strip()!r} instead of a job id")
        return found[1]

    def release(self, ids: Iterable[str]) -> None:
        """Let held jobs start."""
        for part in _parts(ids):
            self._run(["scontrol", "release", *part])

    def cancel(self, ids: Iterable[str]) -> None:
        """End jobs, whatever they do."""
        for part in _parts(ids):
            self._run(["scancel", *part])

    def requeue(self, job: str) -> None:
        """Put a job back; it starts again about two minutes later."""
        self._run(["scontrol", "requeue", job])

    def queue(self) -> dict[str, QueuedJob]:
        """Return all of the user's jobs that the controller still knows, by id; one query."""
        answer = self._run(
            ["squeue", "--noheader", "--me", "--states=all", "--array", "-o%i|%T|%r"]
        )
        found = {}
        for line in answer.splitlines():
            fields = line.strip().split("|", 2)
            if len(fields) == 3:
                state = fields[1].split()[0] if fields[1].split() else ""
                found[fields[0]] = QueuedJob(fields[0], state, fields[2])
        return found

    def ask(self, job: str) -> QueuedJob | None:
        """Ask for one job that left the queue: the controller, then accounting; None: unknown."""
        for command in (
            ["scontrol", "show", "job", "--oneliner", job],
            ["sacct", "--noheader", "--parsable2", "-X", "-oState,ExitCode", "-j", job],
        ):
            try:
                answer = self._run(command)
            except ExecutorError:
                continue  # purged, or no accounting
            if command[0] == "scontrol":
                state = re.search(r"JobState=(\S+)", answer)
                reason = re.search(r"Reason=(\S+)", answer)
                if state:
                    return QueuedJob(job, state[1], reason[1] if reason else "")
            elif answer.strip():
                words = answer.strip().splitlines()[-1].split("|")
                return QueuedJob(job, words[0].split()[0], words[-1])
        return None

    def configuration(self) -> dict[str, str]:
        """Return what ``scontrol show config`` says."""
        answer = self._run(["scontrol", "show", "config"])
        pairs = (line.partition("=") for line in answer.splitlines() if "=" in line)
        return {name.strip(): value.strip() for name, _, value in pairs}

    def partitions(self) -> dict[str, str]:
        """Return the state of every partition by name."""
        answer = self._run(["sinfo", "--noheader", "-o%R|%a|%l|%G"])
        return dict(line.split("|", 1) for line in answer.splitlines() if "|" in line)

    def _run(self, command: list[str], text: str = "") -> str:
        problem = ""
        for attempt in range(self._tries):
            if attempt:
                time.sleep(self._pause_s * 2 ** (attempt - 1))
            try:
                done = subprocess.run(
                    command,
                    input=text,
                    capture_output=True,
                    text=True,
                    check=False,
                    timeout=TIMEOUT_S,
                    env=outside_jobs(os.environ),
                )
            except FileNotFoundError:
                raise SlurmRefused(
                    f"{command[0]} is not on PATH; submit from a host of the cluster, or load "
                    "its Slurm module"
                ) from None
            except subprocess.TimeoutExpired:
                problem = f"no answer within {TIMEOUT_S:g} s"
                continue
            if done.returncode == 0:
                return done.stdout
            problem = " ".join((done.stderr.strip() or done.stdout.strip()).split())
            if not any(sign.lower() in problem.lower() for sign in PASSING):
                break
        raise SlurmRefused(f"{command[0]}: {problem or f'exit code {done.returncode}'}")


def outside_jobs(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without what a job sets: a submission from inside one is its own."""
    kept = ("SLURM_CONF", "SLURM_CLUSTERS", "SLURM_TIME_FORMAT")
    return {
        name: value
        for name, value in environment.items()
        if name in kept or not name.startswith(("SLURM_", "SBATCH_"))
    }


def _parts(ids: Iterable[str], size: int = 200) -> list[list[str]]:
    """Ids a command line at a time."""
    every = list(ids)
    return [every[i : i + size] for i in range(0, len(every), size)]
