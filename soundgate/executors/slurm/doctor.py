"""Checks a cluster before anything is submitted."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from soundgate.errors import ExecutorError, SoundgateError
from soundgate.executors.base import Finding
from soundgate.executors.slurm.job_description import Box
from soundgate.executors.slurm.jobs import CPU, GPU, NETWORK, Job, partition_of
from soundgate.executors.slurm.node.command import in_image
from soundgate.executors.slurm.scripts import job_options, surroundings
from soundgate.executors.slurm.service.client import ENDED
from soundgate.runs import Run
from soundgate.task import Resources

if TYPE_CHECKING:
    from collections.abc import Iterator

    from soundgate.executors.slurm.profile import Profile
    from soundgate.executors.slurm.service.client import Client

PROGRAMS = ("sbatch", "squeue", "scontrol", "scancel")
WAIT_S = 120.0

PROBE = """
import json, os, socket, subprocess, sys
found = {"host": socket.gethostname(), "python": sys.version.split()[0]}
try:
    import soundgate; found["soundgate"] = soundgate.__file__
except Exception as error: found["error"] = repr(error)
found["gpus"] = os.environ.get("CUDA_VISIBLE_DEVICES", "")
found["sees"] = os.path.exists(sys.argv[1])
if sys.argv[3:]:
    try: done = subprocess.run(sys.argv[3:], capture_output=True, text=True)
    except OSError as error: found["container"] = str(error)
    else: found["container"] = " ".join(done.stderr.split())[-300:] if done.returncode else ""
open(sys.argv[2] + ".partial", "w").write(json.dumps(found))
os.rename(sys.argv[2] + ".partial", sys.argv[2])
"""


def examine(profile: Profile, client: Client, root: Path) -> Iterator[Finding]:
    """Yield findings; stop after a failure that makes the other checks pointless."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        yield Finding(
            "Slurm's commands", f"{', '.join(missing)} not on PATH", "load Slurm's module"
        )
        return
    yield Finding("Slurm's commands", "on PATH")
    try:
        configuration = client.configuration()
    except ExecutorError as error:
        yield Finding("controller", str(error), "ask the site whether it is up")
        return
    version = configuration.get("SLURM_VERSION", "unknown version")
    yield Finding("controller", f"answers, Slurm {version}")
    yield from _limits(profile, configuration)
    yield from _partitions(profile, client)
    for kind in (CPU, GPU) if profile.gpu.name else (CPU,):
        yield from _probe(profile, client, root, kind)


def _limits(profile: Profile, configuration: dict[str, str]) -> Iterator[Finding]:
    largest = int(configuration.get("MaxArraySize", "1001")) - 1
    fits = profile.array_size <= largest
    fix = "" if fits else f"set array_size: {largest} in the profile"
    yield Finding("array size", f"{profile.array_size} of at most {largest}", fix)
    books = configuration.get("AccountingStorageType", "")
    yield Finding(
        "accounting", "kept" if "slurmdbd" in books else "not kept; nothing here needs it"
    )


def _partitions(profile: Profile, client: Client) -> Iterator[Finding]:
    known = client.partitions()
    for kind in (CPU, GPU, NETWORK):
        if kind == NETWORK and profile.network is None:
            yield Finding("network", "tasks that need it run on this host")
            continue
        name = partition_of(kind, profile).name
        if name is None:
            continue
        if name not in known:
            have = ", ".join(sorted(known)) or "none"
            yield Finding(
                f"partition {name}", "there is none", f"correct {kind}.name; there: {have}"
            )
        elif not known[name].startswith("up"):
            yield Finding(f"partition {name}", f"is {known[name]}", "choose another, or wait")
        else:
            yield Finding(
                f"partition {name}", f"for {kind} tasks, {known[name].replace('|', ', ')}"
            )


def _probe(profile: Profile, client: Client, root: Path, kind: str) -> Iterator[Finding]:
    """Run a small job that checks this folder, Python and the GPU."""
    folder = (root / ".doctor" / uuid.uuid4().hex[:12]).absolute()
    folder.mkdir(parents=True)
    try:
        (folder / "here").touch()
        answer = folder / "answer.json"
        needs = Resources(hours=0.05, memory_gb=0.5, gpus=1 if kind == GPU else 0)
        job = Job(name=f"doctor-{kind}", kind=kind, elements=(("probe",),), resources=needs)
        run = Run(root, "soundgate", folder.name)
        options = job_options(job, run, profile, folder)
        lines = ["#!/bin/bash", *(f"#SBATCH {o}" for o in options), *surroundings(profile)]
        python = profile.python or sys.executable
        command = [python, "-c", PROBE, str(folder / "here"), str(answer)]
        if profile.container:
            box, sees = (
                Box(**profile.container.model_dump()),
                [str(root.absolute()), str(Path.cwd())],
            )
            command += [*in_image(box, sees, gpus=needs.gpus), box.python, "-c", "import soundgate"]
        lines += [f"cd {shlex.quote(str(Path.cwd()))}", shlex.join(command)]
        yield from _judge(client, "\n".join(lines) + "\n", answer, kind, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _judge(client: Client, script: str, answer: Path, kind: str, folder: Path) -> Iterator[Finding]:
    what = f"a {kind} job"
    try:
        number = client.submit(script, [])
    except SoundgateError as error:
        yield Finding(what, str(error), "correct account, partition or options in the profile")
        return
    state = _wait(client, number, answer)
    if not answer.exists():
        client.cancel([number])
        log = next(iter(folder.glob("*.log")), None)
        said = log.read_text("utf-8", "replace").strip().splitlines()[-1:] if log else []
        fix = "put runs on a file system that nodes share (SOUNDGATE_RUNS), or fix setup and python"
        if state not in ENDED:
            fix = "the queue is busy: try again later, or another partition"
        yield Finding(
            what, f"job {number} is {state} and wrote nothing {' '.join(said)}".strip(), fix
        )
        return
    found = json.loads(answer.read_text("utf-8"))
    yield Finding(what, f"ran on {found['host']}, Python {found['python']}")
    if "error" in found:
        yield Finding("soundgate on a node", found["error"], "install it where python: points")
    seen = "seen from the node" if found["sees"] else "not seen from the node"
    fix = "" if found["sees"] else "put runs on a shared file system (SOUNDGATE_RUNS)"
    yield Finding("folder of runs", seen, fix)
    if "container" in found:
        said = found["container"]
        fix = "correct container.image, .command or .python in the profile" if said else ""
        yield Finding("container on a node", said or "has Soundgate", fix)
    if kind == GPU:
        gpus = found["gpus"]
        fix = "" if gpus else "correct gpu_option in the profile"
        yield Finding("GPU", f"CUDA_VISIBLE_DEVICES={gpus}" if gpus else "none was given", fix)


def _wait(client: Client, number: str, answer: Path) -> str:
    """Wait until the job has answered or ended; return its state."""
    deadline, pause_s, state = time.monotonic() + WAIT_S, 0.3, "PENDING"
    while time.monotonic() < deadline and not answer.exists():
        time.sleep(pause_s)
        pause_s = min(5.0, pause_s * 1.3)
        job = client.queue().get(number)
        state = job.state if job else "gone"
        if state in ENDED or job is None:
            time.sleep(1.0)  # a shared file system may show the answer a moment after the job ended
            break
    return state
