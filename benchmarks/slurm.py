"""A chain of 5 and an array of 50 no-op tasks on a real Slurm, against plain sbatch.

    python -m benchmarks.slurm [--chain 5] [--array 50] [--at-a-time 2] [--tasks 10000]

The cluster, two nodes of this machine, is started for it and ended after it (root, ``slurm-wlm``
and ``munge``). Times are from the command to the last result. ``submitit`` takes part where it is
installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parent.parent

STEP = """
from __future__ import annotations
from soundgate.step import InputPath, InputPaths, OutputPath, main
def noop(out: OutputPath, source: InputPath | None = None, *, number: int = 0) -> None:
    (out / "done").touch()
if __name__ == "__main__":
    main(noop)
"""
JOIN = """
from __future__ import annotations
from soundgate.step import InputPaths, OutputPath, main
def join(sources: InputPaths, out: OutputPath) -> None:
    (out / "done").touch()
if __name__ == "__main__":
    main(join)
"""
PIPELINE = """
from soundgate.pipeline import Pipeline, Resources
from toy.join import join
from toy.noop import noop
TINY = Resources(memory_gb=0.1, hours=HOURS)
def get_pipeline() -> Pipeline:
    p = Pipeline("NAME")
    BODY
    return p
"""
CHAIN = """
    before = None
    for number in range(COUNT):
        before = p.add(noop, name=f"t{number}", source=before["out"] if before else None,
                       resources=TINY)
"""
ARRAY = """
    made = p.map(noop, name="m", over={"number": list(range(COUNT))}, resources=TINY)
    p.add(join, sources=made["out"], resources=TINY)
"""


def project(folder: Path, counts: dict[str, int], at_a_time: int) -> None:
    """Write steps, pipelines and profiles of the contest."""
    (folder / "toy").mkdir()
    (folder / "pipelines").mkdir()
    for package in ("toy", "pipelines"):
        (folder / package / "__init__.py").touch()
    (folder / "toy" / "noop.py").write_text(STEP)
    (folder / "toy" / "join.py").write_text(JOIN)
    for name, body in (("chain", CHAIN), ("array", ARRAY)):
        for kind, hours in (("long", "1"), ("short", "0.02")):
            text = PIPELINE.replace("HOURS", hours).replace("NAME", f"{name}_{kind}")
            inner = textwrap.dedent(body).replace("COUNT", str(counts[name])).strip()
            text = text.replace("    BODY", textwrap.indent(inner, "    "))
            (folder / "pipelines" / f"{name}_{kind}.py").write_text(text)
    path = f"{folder}:{ROOT}"
    (folder / "site.yaml").write_text(
        f"setup: ['export PYTHONPATH={path}', 'export HOME={Path.home()}']\n"
        f"throttle: {at_a_time}\njob_minutes: 600\n"
    )


def ours(folder: Path, name: str) -> None:
    """Submit a pipeline and wait for it, as a user types it."""
    command = [sys.executable, "-m", "soundgate.cli", "run-pipeline", "-n", f"pipelines.{name}"]
    command += ["--executor", "slurm", "--profile", "site.yaml", "--no-cache"]
    environment = {**os.environ, "PYTHONPATH": f"{folder}:{ROOT}"}
    done = subprocess.run(
        command, cwd=folder, env=environment, check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stdout}{done.stderr}")


def sbatch(*words: str, script: str = "#!/bin/sh\npython3 -c pass\n") -> str:
    """Submit a job; return its id."""
    command = ["sbatch", "--parsable", "--mem=100M", "--output=/dev/null", *words]
    done = subprocess.run(command, input=script, text=True, check=True, capture_output=True)
    return done.stdout.strip()


def wait_for(job: str) -> None:
    """Wait until a job has left the queue."""
    while True:
        command = ["squeue", "--noheader", "--states=all", "-o%T", "-j", job]
        done = subprocess.run(command, text=True, check=False, capture_output=True)
        if set(done.stdout.split()) <= {"COMPLETED"}:
            return
        time.sleep(0.2)


def plain_chain(count: int) -> None:
    """A chain of jobs, each after the one before."""
    last = sbatch()
    for _ in range(count - 1):
        last = sbatch(f"--dependency=afterok:{last}")
    wait_for(last)


def plain_array(count: int, at_a_time: int) -> None:
    """An array and a job after it."""
    array = sbatch(f"--array=0-{count - 1}%{at_a_time}")
    wait_for(sbatch(f"--dependency=afterok:{array}"))


def submitit_array(folder: Path, count: int, at_a_time: int) -> None:
    """The same array through submitit, and a call that joins it."""
    import submitit

    executor = submitit.AutoExecutor(folder / "submitit")
    executor.update_parameters(slurm_array_parallelism=at_a_time, mem_gb=0.1, timeout_min=60)
    jobs = executor.map_array(abs, list(range(count)))
    sum(job.result() for job in jobs)
    executor.submit(abs, 1).result()


def rendering(count: int) -> float:
    """Processor time from a pipeline of ``count`` tasks to its request's text, seconds."""
    from soundgate.executors.slurm.executor import SlurmExecutor
    from soundgate.pipeline import Pipeline, Resources
    from soundgate.runs import Run
    from steps.stage import stage

    pipeline = Pipeline("wide")
    names = [[f"a{number}=x"] for number in range(count // 2)]
    for label in ("one", "two"):
        over = {"assets": names}
        pipeline.map(stage, name=label, over=over, resources=Resources(hours=1))
    began = time.process_time()
    text = str(SlurmExecutor().render(pipeline, Run(Path("runs"), "wide", "RUN-ID")))
    assert text.count("sbatch --parsable") == 2 * -(-(count // 2) // 1000)
    return time.process_time() - began


def took(action: Callable[[], None]) -> float:
    """Wall time of an action, seconds."""
    began = time.monotonic()
    action()
    return time.monotonic() - began


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chain", type=int, default=5)
    parser.add_argument("--array", type=int, default=50)
    parser.add_argument("--at-a-time", type=int, default=2)
    parser.add_argument("--tasks", type=int, default=10_000, help="of the pipeline rendered")
    arguments = parser.parse_args()
    sys.path.insert(0, str(ROOT / "tests"))
    import slurm_cluster

    print(f"rendering {arguments.tasks} tasks: {rendering(arguments.tasks):.2f} s")
    if reason := slurm_cluster.why_not():
        raise SystemExit(f"no Slurm here: {reason}")
    chain, array, slots = arguments.chain, arguments.array, arguments.at_a_time
    with tempfile.TemporaryDirectory(prefix="slurm") as temporary:
        folder = Path(temporary)
        project(folder, {"chain": chain, "array": array}, slots)
        with slurm_cluster.cluster(folder / "cluster") as configuration:
            os.environ["SLURM_CONF"] = str(configuration)
            rows: list[tuple[str, Callable[[], None], Callable[[], None]]] = [
                ("plain sbatch", lambda: plain_chain(chain), lambda: plain_array(array, slots)),
                (
                    "a job a task",
                    lambda: ours(folder, "chain_long"),
                    lambda: ours(folder, "array_long"),
                ),
                (
                    "short tasks together",
                    lambda: ours(folder, "chain_short"),
                    lambda: ours(folder, "array_short"),
                ),
            ]
            times = {name: (took(first), took(second)) for name, first, second in rows}
            if importlib.util.find_spec("submitit"):
                seconds = took(lambda: submitit_array(folder, array, slots))
                times["submitit"] = (float("nan"), seconds)
    base = times["plain sbatch"]
    print(f"{'':22} chain of {chain:<14} array of {array}, {slots} at a time, and a join")
    for name, pair in times.items():
        cells = [f"{s:6.1f} s {s / b:5.2f}x" for s, b in zip(pair, base, strict=True)]
        print(f"{name:22} {cells[0]:23} {cells[1]}")


if __name__ == "__main__":
    main()
