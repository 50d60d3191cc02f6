"""Reviewers who decide at the same time, one of them killed at any instant.

Each is a process of its own. Whatever happened, the next reviewer must find a record that is whole
and a registry that is where the record says.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import shutil
import signal
import time
from typing import TYPE_CHECKING

import numpy as np
from review_world import World

from soundgate.errors import SoundgateError
from soundgate.registry.review.overview import overview
from soundgate.registry.service.connection import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.context import ForkProcess
    from multiprocessing.queues import SimpleQueue
    from pathlib import Path

CANDIDATES = 3
REVIEWERS = ("ann", "bob", "cem", "dee")
DECISIONS = 2
"""How often each reviewer decides."""
LATEST_S = 2.0
"""The last instant at which one of them is killed."""
WAIT_S = 300

# MLflow takes seconds to import: reviewers are forked from a process that has it, and that itself
# never opens a registry, whose connections a child must not inherit.
_fork = multiprocessing.get_context("fork")


def world_in(folder: Path) -> World:
    return World(Registry(f"sqlite:///{folder}/mlflow.db"), folder)


def make(folder: Path, said: SimpleQueue[str]) -> None:
    """A registry with a champion, one before it, and candidates to decide on."""
    folder.mkdir()
    world = world_in(folder)
    for number in range(CANDIDATES):
        world.candidate(f"r{number}")
    world.session().approve("1")
    world.session().approve("2")
    said.put("")


def decide(folder: Path, by: str, seed: int, said: SimpleQueue[str]) -> None:
    """Decide some times, on anything; say what ended otherwise than in one line."""
    rng = np.random.default_rng([seed, REVIEWERS.index(by)])
    told = ""
    for _ in range(DECISIONS):
        which = str(rng.integers(1, CANDIDATES + 1))
        session = world_in(folder).session(by, f"seed {seed}")
        decisions: tuple[Callable[[], object], ...] = (
            lambda w=which, d=session: d.approve(w, override=True, accept_changes=True),
            lambda w=which, d=session: d.reject(w),
            session.roll_back,
        )
        try:
            decisions[int(rng.choice(3, p=(0.5, 0.25, 0.25)))]()
        except SoundgateError as error:
            if "\n" in str(error):
                told = f"{by} was told in several lines: {error}"
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told
            told = f"{by}: {error!r}"
    said.put(told)


def judge(folder: Path, said: SimpleQueue[str]) -> None:
    """Decide once more, as the next reviewer would; say what is wrong with what is found."""
    try:
        said.put("; ".join(faults(world_in(folder))))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        said.put(f"the next reviewer: {error!r}")


def faults(world: World) -> list[str]:
    """Where the registry and the record of decisions contradict themselves or each other."""
    entries = world.session("eve").finished_entries()
    found = [f"decision {e.decision.number} is open" for e in entries if e.outcome is None]
    applied = [e for e in entries if e.applied and e.outcome]
    changing = [e.outcome for e in applied if e.outcome and e.decision.verdict != "reject"]
    if world.at("champion") != changing[-1].champion:
        found.append(f"champion is {world.at('champion')}, recorded {changing[-1].champion}")
    found += [f"the overview says: {note}" for note in overview(world.session("eve"), 1).notes]
    made = world.registry.client.search_model_versions("name = 'aed'")
    releases = sorted(v.tags.get("review.release", "") for v in made)
    expected = sorted(e.decision.id for e in applied if e.decision.verdict == "approve")
    if releases != expected:
        found.append(f"{len(releases)} released versions, {len(expected)} approvals took effect")
    return found


def start(work: Callable[..., None], *values: object) -> tuple[ForkProcess, SimpleQueue[str]]:
    said: SimpleQueue[str] = _fork.SimpleQueue()
    process = _fork.Process(target=work, args=(*values, said))
    process.start()
    return process, said


def answer(process: ForkProcess, said: SimpleQueue[str]) -> str:
    """What a process said; that it hangs or died, where it said nothing."""
    process.join(WAIT_S)
    if process.is_alive():
        process.kill()
        return f"{process.name} hangs"
    return said.get() if not said.empty() else f"{process.name} ended with {process.exitcode}"


def attack(folder: Path, count: int) -> Iterator[str]:
    """Yield what went wrong with each of ``count`` races; empty where nothing did."""
    importlib.import_module("mlflow")
    folder.mkdir(exist_ok=True)
    made = answer(*start(make, folder / "made"))
    assert not made, made
    for number in range(count):
        shutil.copytree(folder / "made", folder / f"{number}")
        rng = np.random.default_rng(number)
        killed = REVIEWERS[int(rng.integers(0, len(REVIEWERS)))]
        running = {by: start(decide, folder / f"{number}", by, number) for by in REVIEWERS}
        time.sleep(rng.uniform(0, LATEST_S))
        victim = running.pop(killed)[0]
        if victim.is_alive() and victim.pid is not None:
            os.kill(victim.pid, signal.SIGKILL)
        victim.join(WAIT_S)
        told = [answer(*each) for each in running.values()]
        told.append(answer(*start(judge, folder / f"{number}")))
        yield "; ".join(each for each in told if each)
        shutil.rmtree(folder / f"{number}")
