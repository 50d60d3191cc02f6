"""Renders jobs as sbatch scripts: exactly what is submitted, and in which order."""

from __future__ import annotations

import math
import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from soundgate.errors import ParameterError
from soundgate.executors.slurm import job_description
from soundgate.executors.slurm.jobs import Job, partition_of
from soundgate.executors.slurm.marks import FOLDER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from soundgate.executors.slurm.profile import Profile
    from soundgate.pipeline import Pipeline
    from soundgate.reuse.cache import Hit
    from soundgate.runs import Run

WORKER = "soundgate.executors.slurm.node.worker"


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmRequest:
    """The scripts of a run in submission order; its text is one shell script."""

    pipeline: Pipeline
    folder: str
    jobs: tuple[Job, ...]
    scripts: tuple[str, ...]
    here: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Commands of the tasks that run on the submitting host, before anything is submitted."""
    reused: Mapping[str, Hit] = field(default_factory=dict)
    """Results that are there already; of these tasks nothing is submitted."""
    use_cache: bool = True

    def __str__(self) -> str:
        """Return a shell script that does what ``submit`` does."""
        lines = ["#!/bin/sh", f"# {self.folder}", "set -eu"]
        for command in self.here.values():
            lines += ["", "# needs the network: runs here", shlex.join(command)]
        for job, text in zip(self.jobs, self.scripts, strict=True):
            lines += ["", f"# {_about(job)}"]
            lines.append(f"{variable(job.name)}=$({self._sbatch(job)} <<'SBATCH'")
            lines += [text.rstrip("\n"), "SBATCH", ")"]
        held = [f'"${variable(job.name)}"' for job in self.jobs if is_held(job)]
        lines += ["", f"scontrol release {' '.join(held)}"] if held else []
        return "\n".join(lines) + "\n"

    def _sbatch(self, job: Job) -> str:
        words = ["sbatch", "--parsable"]
        if is_held(job):
            words.append("--hold")
        text = shlex.join(words)
        edges = dependencies(job, lambda name: f"${{{variable(name)}}}")
        return f'{text} --dependency="{edges}"' if edges else text


def is_held(job: Job) -> bool:
    """Whether the job is submitted held until the whole graph is submitted."""
    return not (job.after or job.element_wise)


def dependencies(job: Job, id_of: object) -> str:
    """Return the value of ``--dependency``; empty if the job waits for none."""
    assert callable(id_of)
    # afterok would cancel tasks that read nothing of the one that failed in a shared job or array
    parts = [f"afterany:{id_of(name)}" for name in job.after]
    parts += [f"aftercorr:{id_of(name)}" for name in job.element_wise]
    return ",".join(parts)


def variable(name: str) -> str:
    """Return a job's name as a shell variable."""
    return "job_" + "".join(letter if letter.isalnum() else "_" for letter in name)


def script(job: Job, run: Run, profile: Profile, *, use_cache: bool = True) -> str:
    """Return the sbatch script of a job.

    Raises:
        ParameterError: a name or path contains characters that ``#SBATCH`` lines do not accept.
    """
    folder = (run.folder / FOLDER).absolute()
    _check_path(folder)
    lines = ["#!/bin/bash"]
    lines += [f"#SBATCH {option}" for option in job_options(job, run, profile, folder)]
    lines += surroundings(profile)
    python = profile.python or sys.executable
    element = ['"$SLURM_ARRAY_TASK_ID"'] if job.is_array else []
    words = [python, "-m", WORKER, *([] if use_cache else ["--no-cache"])]
    words += [str(folder / job_description.NAME), job.name]
    # exec replaces the shell, so that Slurm's signals reach the worker itself
    lines += [f"cd {shlex.quote(str(Path.cwd()))}"]
    lines += [" ".join(["exec", shlex.join(words), *element])]
    return "\n".join(lines) + "\n"


def surroundings(profile: Profile) -> list[str]:
    """Return the shell lines that set up a job's environment as the profile describes."""
    # without this, steps of a job submitted with --export=NONE have no PATH
    lines = ["export SLURM_EXPORT_ENV=ALL"]
    if profile.modules:  # a batch script is not a login shell, so `module` may be undefined
        lines.append("command -v module >/dev/null || . /etc/profile")
    for name in profile.modules:
        said = shlex.quote(f"error: module {name} cannot be loaded on")
        lines.append(
            f'module load {shlex.quote(name)} || {{ echo {said} "$HOSTNAME" >&2; exit 1; }}'
        )
    return [*lines, *profile.setup]


def job_options(job: Job, run: Run, profile: Profile, folder: Path) -> list[str]:
    """Return the sbatch options of a job; its log goes to ``folder``."""
    where = partition_of(job.kind, profile)
    needs = job.resources
    number = "%A_%a" if job.is_array else "%j"
    options = {
        "job-name": f"{run.pipeline}.{job.name}",
        "comment": f"soundgate:{run.id}",
        "partition": where.name,
        "account": where.account or profile.account,
        "qos": where.qos,
        "constraint": where.constraint,
        "array": f"0-{len(job.elements) - 1}%{profile.throttle}" if job.is_array else None,
        "nodes": str(needs.nodes),
        "ntasks-per-node": "1",
        "cpus-per-task": str(needs.cpus),
        "mem": f"{math.ceil(needs.memory_gb * 1024)}M" if profile.memory else None,
        "time": str(max(1, math.ceil(needs.hours * 60))),
        "signal": f"B:USR1@{warning_s(job, profile)}",
        "output": str(folder / f"{job.name}.{number}.log"),
        "open-mode": "append",
        "export": profile.export,
        "kill-on-invalid-dep": "yes",
        "mail-user": profile.mail_user,
        "mail-type": profile.mail_type if profile.mail_user else None,
    }
    found = [f"--{name}={value}" for name, value in options.items() if value]
    if needs.gpus:
        found.append(profile.gpu_option.format(gpus=needs.gpus))
    return [*found, "--requeue", *profile.lines, *where.lines]


def warning_s(job: Job, profile: Profile) -> int:
    """Return how long before its time limit a job is warned, seconds: at most half of the limit."""
    return max(10, min(profile.warn_s, int(job.resources.hours * 1800)))


def _about(job: Job) -> str:
    count = f"{len(job.elements)} elements" if job.is_array else job.name
    said = f"{job.name}: {count}, {job.kind}" if job.is_array else f"{job.name}: {job.kind}"
    after = [*job.after, *(f"{name} (element-wise)" for name in job.element_wise)]
    parts = [said, job.why, f"after {', '.join(after)}" if after else ""]
    return "; ".join(part for part in parts if part)


def _check_path(folder: Path) -> None:
    """Refuse characters that sbatch would read as a pattern or as the end of an option."""
    wrong = [letter for letter in "%\n\\ \t'\"" if letter in str(folder)]
    if wrong:
        raise ParameterError(
            f"{folder}: Slurm does not accept {wrong[0]!r} in the path of log files; choose "
            "another folder of runs (SOUNDGATE_RUNS)"
        )
