"""The controller, through Slurm's own commands: text in, text out.

Every call has a time limit and is retried after a temporary error (for example while the controller
restarts): a missing answer does not mean that a job ended.
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
"""Prefixes of Slurm's messages about temporary errors."""

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
"""States of a job whose tasks have ended while its node still cleans up."""
WAITING = frozenset({"PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT"})


@dataclass(frozen=True, slots=True)
class QueuedJob:
    """The controller's information about a job or one element of an array."""

    id: str
    """``123``, or ``123_4`` for an element."""
    state: str
    """Slurm's state without suffixes: PENDING, RUNNING, TIMEOUT, ..."""
    reason: str
    """Why it is waiting, or how it ended."""


class SlurmRefused(ExecutorError):
    """A Slurm command failed and retrying does not help."""


class Client:
    """Runs Slurm's commands."""

    def __init__(self, *, tries: int = TRIES, pause_s: float = 1.0) -> None:
        """Retry temporary errors ``tries`` times, with growing pauses from ``pause_s`` seconds."""
        self._tries, self._pause_s = tries, pause_s

    def submit(self, script: str, options: Sequence[str]) -> str:
        """Submit a script; return its job id."""
        answer = self._run(["sbatch", "--parsable", *options], script)
        # sites wrap sbatch, and their sentences stand before the id or behind it
        found = re.search(r"^(\d+)(;\S+)?[ \t\r]*$", answer, re.MULTILINE) or re.search(
            r"^Submitted batch job (\d+)", answer, re.MULTILINE
        )
        if found is None:
            raise SlurmRefused(f"sbatch answered {answer.strip()!r} instead of a job id")
        return found[1]

    def release(self, ids: Iterable[str]) -> None:
        """Release held jobs so that they can start."""
        for part in _parts(ids):
            self._run(["scontrol", "release", *part])

    def cancel(self, ids: Iterable[str], *, waiting: bool = False) -> None:
        """End jobs, whatever they do; with ``waiting`` only those that have not begun."""
        which = ["--state=PENDING"] if waiting else []
        for part in _parts(ids):
            self._run(["scancel", *which, *part])

    def requeue(self, job: str) -> None:
        """Requeue a job; Slurm starts it again about two minutes later."""
        self._run(["scontrol", "requeue", job])

    def queue(self) -> dict[str, QueuedJob]:
        """Return all jobs of this user that the controller still knows, by id, with one query."""
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

    def ask(self, job: str) -> dict[str, QueuedJob]:
        """Look up a job that left the queue: in the controller, then in accounting.

        Empty if unknown.

        An array is looked up by its own id; the answer covers all its elements.
        """
        for command, read in (
            (["scontrol", "show", "job", "--oneliner", job], _shown),
            (
                ["sacct", "--noheader", "--parsable2", "-X", "-oJobID,State,ExitCode", "-j", job],
                _booked,
            ),
        ):
            try:
                found = dict(
                    each for line in self._run(command).splitlines() for each in read(line)
                )
            except ExecutorError:
                continue  # the controller has purged it, or the site has no accounting
            if found:
                return found
        return {}

    def is_running(self, job: str) -> bool:
        """Whether the controller considers a job running: neither ended nor requeued."""
        try:
            answer = self._run(["scontrol", "show", "job", "--oneliner", job])
        except ExecutorError:
            return False
        return " JobState=RUNNING " in answer

    def configuration(self) -> dict[str, str]:
        """Return the settings printed by ``scontrol show config``."""
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


def _shown(line: str) -> list[tuple[str, QueuedJob]]:
    """Parse the lines of ``scontrol show job --oneliner`` for a job or array elements."""
    fields = dict(re.findall(r"(?:^| )(\w+)=(\S*)", line))
    if "JobId" not in fields or "JobState" not in fields:
        return []
    ids = [fields["JobId"]]
    if "ArrayJobId" in fields:
        numbers = _numbers(fields.get("ArrayTaskId", ""))
        ids = [f"{fields['ArrayJobId']}_{number}" for number in numbers]
    return [(i, QueuedJob(i, fields["JobState"], fields.get("Reason", ""))) for i in ids]


def _booked(line: str) -> list[tuple[str, QueuedJob]]:
    """Parse a line of ``sacct`` for a job or an element: ``12_3|CANCELLED by 1000|0:15``."""
    words = line.strip().split("|")
    if len(words) < 3 or not words[1]:
        return []
    return [(words[0], QueuedJob(words[0], words[1].split()[0], words[-1]))]


def _numbers(text: str) -> list[int]:
    """Elements of an array as Slurm writes them: ``3``, ``0-2,7%4``, ``0-8:2``."""
    found: list[int] = []
    for part in text.partition("%")[0].split(","):
        matched = re.fullmatch(r"(\d+)(?:-(\d+)(?::(\d+))?)?", part)
        if matched:
            first, last, step = (int(g) if g else None for g in matched.groups())
            assert first is not None
            found += range(first, (first if last is None else last) + 1, step or 1)
    return found


def outside_jobs(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without the variables of a surrounding job.

    A submission from inside a job must not inherit them.
    """
    kept = ("SLURM_CONF", "SLURM_CLUSTERS", "SLURM_TIME_FORMAT")
    return {
        name: value
        for name, value in environment.items()
        if name in kept or not name.startswith(("SLURM_", "SBATCH_"))
    }


def _parts(ids: Iterable[str], size: int = 200) -> list[list[str]]:
    """Split ids into groups that fit one command line."""
    every = list(ids)
    return [every[i : i + size] for i in range(0, len(every), size)]
