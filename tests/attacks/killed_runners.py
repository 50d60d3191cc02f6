"""Runners that are killed at any instant and resumed at once, some with stopped helpers."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from toy_project import Toy, alive

from soundgate.executors import leftovers

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

PIPELINE = """
a = t.add(work, name="a", text="a", seconds=0.3)
b = t.add(work, name="b", text="b", source=a["out"], seconds=0.5, child="stubborn")
c = t.add(work, name="c", text="c", source=a["out"], seconds=0.5)
t.add(work, name="d", text="d", parts=[b["out"], c["out"]], seconds=0.3)
"""
STOPPED = ("nothing", "server", "task", "guard", "nothing", "nothing")
"""What is stopped before the runner is killed, by the number of the try."""
LATEST_S = 2.5


def results(toy: Toy) -> dict[str, bytes]:
    """What the latest run wrote, by path."""
    folder = toy.runs()[-1] / "tasks"
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.glob("*/out/**/*")}


def children(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(c) for c in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def helpers(runner: subprocess.Popen[str]) -> dict[str, list[int]]:
    """The processes between a runner and its tasks, and the tasks, as far as there are any yet."""
    guards = children(runner.pid)
    servers = [pid for guard in guards for pid in children(guard)]
    tasks = [pid for server in servers for pid in children(server)]
    return {"nothing": [], "guard": guards, "server": servers, "task": tasks}


def attack(folder: Path, count: int) -> Iterator[str]:
    """Yield what went wrong with each of ``count`` kills; empty where nothing did."""
    quiet = Toy(folder / "undisturbed")
    module = quiet.pipeline("p", PIPELINE)
    assert quiet.run(module).returncode == 0
    expected = results(quiet)
    for number in range(count):
        toy = Toy(folder / f"{number}")
        toy.pipeline("p", PIPELINE)
        after_s = float(np.random.default_rng(number).uniform(0.2, LATEST_S))
        yield _try(toy, module, expected, after_s, STOPPED[number % len(STOPPED)])


def _try(toy: Toy, module: str, expected: dict[str, bytes], after_s: float, stopped: str) -> str:
    runner = toy.begin(module)
    time.sleep(after_s)
    known = [pid for each in helpers(runner).values() for pid in each]
    for pid in helpers(runner)[stopped]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    runner.kill()
    begun = bool(toy.runs())
    done = toy.cli("run-pipeline", "--resume", "last") if begun else toy.run(module)
    runner.communicate()
    what = f"killed after {after_s:.3f} s, {stopped} stopped"
    if done.returncode or results(toy) != expected:
        return f"{what}: {done.stdout[-300:]}{done.stderr[-300:]}"
    if list(toy.runs()[-1].glob("tasks/*/.*")):
        return f"{what}: folders of a killed attempt are left"
    known += [*toy.children(), *(event[3] for event in toy.events())]
    known += [pid for run in toy.runs() for pid in leftovers.processes_of(run.resolve())]
    left = [pid for pid in set(known) if alive(pid)]
    return f"{what}: processes are left: {left}" if left else ""
