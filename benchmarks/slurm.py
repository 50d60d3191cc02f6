"""A chain of 5 and an array of 50 no-op tasks on a real Slurm, against plain sbatch and peers.

    python -m benchmarks.slurm [--chain 5] [--array 50] [--at-a-time 2] [--rounds 3]
                               [--tasks 10000] [--peers PYTHON]

The cluster, two nodes of this machine, is started for it and ended after it (root, ``slurm-wlm``
and ``munge``). Times are from the command to the last result, the least of the rounds, in which
all take their turns: what else the machine does only ever adds to them.

``--peers`` is an interpreter that has ``submitit``, or ``snakemake`` with
``snakemake-executor-plugin-slurm``; they need an environment of their own:

    python -m venv PEERS
    PEERS/bin/pip install submitit snakemake snakemake-executor-plugin-slurm
    python -m benchmarks.slurm --peers PEERS/bin/python

Snakemake looks for the ends of jobs every two seconds here, not every forty, and takes part in one
round: minutes, even so.
"""

from __future__ import annotations

import argparse
import os
import shutil
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


SUBMITIT = """
import sys, submitit
folder, chain, array, slots = sys.argv[1], *map(int, sys.argv[2:])
executor = submitit.AutoExecutor(folder)
common = {"mem_gb": 0.1, "timeout_min": 60}
executor.update_parameters(slurm_array_parallelism=slots, **common)
if chain:
    job = executor.submit(abs, 1)
    for _ in range(chain - 1):
        after = {"dependency": f"afterok:{job.job_id}"}
        executor.update_parameters(slurm_additional_parameters=after)
        job = executor.submit(abs, 1)
    job.result()
else:
    jobs = executor.map_array(abs, list(range(array)))
    after = {"dependency": f"afterok:{jobs[0].job_id.partition('_')[0]}"}
    executor.update_parameters(slurm_additional_parameters=after)
    executor.submit(abs, 1).result()
"""
SNAKEFILE = """
rule last:
    input: CHAIN
rule first:
    output: "c0"
    shell: "touch {output}"
rule next:
    input: lambda wildcards: f"c{int(wildcards.number) - 1}"
    output: "c{number,[1-9][0-9]*}"
    shell: "touch {output}"
rule element:
    output: "a{number}"
    shell: "touch {output}"
rule join:
    input: ELEMENTS
    output: "joined"
    shell: "touch {output}"
"""


def has(python: str, module: str) -> bool:
    """Whether an interpreter has a module."""
    looked = subprocess.run([python, "-c", f"import {module}"], check=False, capture_output=True)
    return looked.returncode == 0


def submitit(python: str, folder: Path, chain: int, array: int, at_a_time: int) -> None:
    """A chain, or an array and a call that joins it, through submitit."""
    words = [python, "-c", SUBMITIT, str(folder / "submitit"), str(chain), str(array)]
    peer([*words, str(at_a_time)], folder)


def snakemake(python: str, folder: Path, target: str, counts: tuple[int, int], jobs: int) -> None:
    """The same through Snakemake and its plug-in, without accounting."""
    chain, array = counts
    elements = [f"a{number}" for number in range(array)]
    text = SNAKEFILE.replace("CHAIN", f'"c{chain - 1}"').replace("ELEMENTS", repr(elements))
    place = folder / f"snakemake-{target}"
    place.mkdir()
    (place / "Snakefile").write_text(text)
    # its jobs drop SLURM_CONF, and would look for a cluster of the machine's
    srun = place / "srun"
    configuration = os.environ["SLURM_CONF"]
    text = f'#!/bin/sh\nSLURM_CONF={configuration} exec {shutil.which("srun")} "$@"\n'
    srun.write_text(text)
    srun.chmod(0o755)
    words = [python, "-m", "snakemake", target, "--executor", "slurm", "--jobs", str(jobs)]
    words += ["--slurm-status-command", "squeue", "--slurm-no-account"]
    words += ["--slurm-init-seconds-before-status-checks", "2", "--seconds-between-status-checks"]
    words += ["2", "--latency-wait", "5", "--default-resources", "mem_mb=100", "runtime=60"]
    peer(words, place)


def peer(words: list[str], folder: Path) -> None:
    """Run another tool's command."""
    path = f"{folder}:{Path(words[0]).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path}
    done = subprocess.run(
        words, cwd=folder, env=environment, check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"{words[:4]} failed:\n{done.stdout}{done.stderr}"[-3000:])


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


def contest(folder: Path, given: argparse.Namespace) -> dict[str, tuple[float, float]]:
    """Let all take their turns; return the least seconds of the chain and of the array."""
    chain, array, slots = given.chain, given.array, given.at_a_time
    rows: dict[str, tuple[Callable[[], None], Callable[[], None]]] = {
        "plain sbatch": (lambda: plain_chain(chain), lambda: plain_array(array, slots)),
        "a job a task": (lambda: ours(folder, "chain_long"), lambda: ours(folder, "array_long")),
        "short tasks together": (
            lambda: ours(folder, "chain_short"),
            lambda: ours(folder, "array_short"),
        ),
    }
    if given.peers and has(given.peers, "submitit"):
        rows["submitit"] = (
            lambda: submitit(given.peers, folder, chain, 0, slots),
            lambda: submitit(given.peers, folder, 0, array, slots),
        )
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in rows}
    for number in range(given.rounds):
        for name, (first, second) in rows.items():
            taken[name].append((took(first), took(second)))
            print(f"round {number + 1}: {name} {taken[name][-1]}", file=sys.stderr, flush=True)
    found = {
        name: (min(a for a, _ in pairs), min(b for _, b in pairs)) for name, pairs in taken.items()
    }
    if given.peers and has(given.peers, "snakemake_executor_plugin_slurm"):
        counts = (chain, array)
        found["snakemake"] = (
            took(lambda: snakemake(given.peers, folder, "last", counts, 1)),
            took(lambda: snakemake(given.peers, folder, "join", counts, slots)),
        )
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--chain", type=int, default=5)
    parser.add_argument("--array", type=int, default=50)
    parser.add_argument("--at-a-time", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tasks", type=int, default=10_000, help="of the pipeline rendered")
    parser.add_argument("--peers", default="", metavar="PYTHON", help="that has the peers")
    given = parser.parse_args()
    sys.path.insert(0, str(ROOT / "tests"))
    import slurm_cluster

    print(f"rendering {given.tasks} tasks: {rendering(given.tasks):.2f} s")
    if reason := slurm_cluster.why_not():
        raise SystemExit(f"no Slurm here: {reason}")
    with tempfile.TemporaryDirectory(prefix="slurm") as temporary:
        folder = Path(temporary)
        project(folder, {"chain": given.chain, "array": given.array}, given.at_a_time)
        with slurm_cluster.cluster(folder / "cluster") as configuration:
            os.environ["SLURM_CONF"] = str(configuration)
            times = contest(folder, given)
    base = times["plain sbatch"]
    load = os.getloadavg()[0]
    print(f"load at the end {load:.1f} on {os.cpu_count()} cores, best of {given.rounds} rounds")
    array = f"array of {given.array}, {given.at_a_time} at a time, and a join"
    print(f"{'':22} chain of {given.chain:<14} {array}")
    for name, pair in times.items():
        cells = [f"{s:6.1f} s {s / b:5.2f}x" for s, b in zip(pair, base, strict=True)]
        print(f"{name:22} {cells[0]:23} {cells[1]}")


if __name__ == "__main__":
    main()
