"""What running tasks costs: no-op tasks against a bare loop that starts one Python a task.

    python -m benchmarks.overhead [--rounds N]

Peers take turns in one run on the same machine; figures are medians. CPU counts the whole process
tree. Only ratios to the bare loop should be compared between machines.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

STEP = """
from soundgate.step import InputPath, InputPaths, OutputPath, main

def noop(out: OutputPath, sources: InputPaths | None = None, *, n: int = 0) -> None:
    (out / "n").write_text(str(n))

if __name__ == "__main__":
    main(noop)
"""
CHAIN = """
from soundgate.pipeline import Pipeline
from toy.noop import noop

def get_pipeline() -> Pipeline:
    chain = Pipeline("chain")
    last = None
    for n in range(10):
        last = chain.add(noop, name=f"t{n}", n=n, sources=[last["out"]] if last else None)
    return chain
"""
FAN = """
from soundgate.pipeline import Pipeline
from toy.noop import noop

def get_pipeline() -> Pipeline:
    fan = Pipeline("fan")
    parts = fan.map(noop, over={"n": list(range(50))})
    fan.add(noop, name="join", n=50, sources=parts["out"])
    return fan
"""
BARE = "import sys, pathlib; pathlib.Path(sys.argv[1]).write_text('0')"


def bare_loop(folder: Path, tasks: int) -> None:
    """Start one interpreter after another; each writes one file."""
    for n in range(tasks):
        subprocess.run([sys.executable, "-c", BARE, str(folder / f"bare-{n}")], check=True)


def pipeline(folder: Path, name: str) -> None:
    """Run a pipeline of no-op tasks as a user does."""
    command = [sys.executable, "-m", "soundgate.cli", "run-pipeline", "-n", name]
    environment = {**os.environ, "SOUNDGATE_RUNS": "runs"}
    subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)


def measure(work: Callable[[], None]) -> tuple[float, float]:
    """Return (wall, CPU) seconds of a piece of work and the processes it started."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    work()
    wall_s = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall_s, cpu_s


def one_round(name: str, source: str, tasks: int) -> dict[str, tuple[float, float]]:
    """Let every peer do the work once, in a fresh folder."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "toy").mkdir()
        (folder / "toy" / "__init__.py").touch()
        (folder / "toy" / "noop.py").write_text(STEP)
        (folder / f"{name}.py").write_text(source)
        return {
            "bare loop": measure(lambda: bare_loop(folder, tasks)),
            "run-pipeline": measure(lambda: pipeline(folder, name)),
            "unchanged re-run": measure(lambda: pipeline(folder, name)),
        }


def compare(name: str, source: str, tasks: int, rounds: int) -> None:
    """Print a table for one pipeline."""
    peers: dict[str, list[tuple[float, float]]] = {}
    for _ in range(rounds):
        for peer, figures in one_round(name, source, tasks).items():
            peers.setdefault(peer, []).append(figures)
    floor = [statistics.median(values) for values in zip(*peers["bare loop"], strict=True)]
    print(f"\n{name}: {tasks} no-op tasks, median of {rounds} rounds")
    print(f"{'':18}{'wall s':>8}{'cpu s':>8}{'wall x':>8}{'cpu x':>8}")
    for peer, rows in peers.items():
        wall_s, cpu_s = (statistics.median(values) for values in zip(*rows, strict=True))
        ratios = f"{wall_s / floor[0]:8.2f}{cpu_s / floor[1]:8.2f}"
        print(f"{peer:18}{wall_s:8.2f}{cpu_s:8.2f}{ratios}")


def main(argv: list[str] | None = None) -> None:
    """Compare a chain of 10 and a fan-out of 50 with a join."""
    parser = argparse.ArgumentParser(description="overhead of the local executor")
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args(argv).rounds
    compare("chain", CHAIN, 10, rounds)
    compare("fan", FAN, 51, rounds)


if __name__ == "__main__":
    main()
