"""Kill a campaign of two configs and two octaves at random instants; compare its bytes at the end.

python tests/attacks/campaign_kills.py [--kills 20] [--seed 0] [--esc10 FOLDER] [--slurm]

A random time after each start the runner, with all it started, is killed with SIGKILL, or one of
its tasks is. With ``--slurm`` a Slurm of two nodes runs the tasks: the process that submits and
waits is killed, or a process of a job, or a node is taken down for a moment. In the end the
campaign is run undisturbed, and every planned segment, embedding and level must be, byte for byte,
that of a campaign nobody disturbed. With ``--esc10`` the corpus is of real clips, and the encoder
CLAP 2023 of its published shape.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import sec_world
import slurm_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Hit = Callable[[subprocess.Popen[bytes], random.Random], str]
"""Hits something of a campaign that runs; says what, "" where there was nothing of the kind."""
SITE = """
cpu: {max_cpus: 2, max_memory_gb: 4}
gpu: {max_cpus: 2, max_memory_gb: 4, max_gpus: 0}
setup: ["export HOME=/root"]
"""
LONGEST_S = 30.0
"""A kill comes at most so long after a start; what takes longer is undisturbed then."""


def main() -> int:
    """Print a line for every kill, and whether the bytes are the same."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--esc10", type=Path)
    parser.add_argument("--slurm", action="store_true")
    args = parser.parse_args()
    chance = random.Random(args.seed)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir="/var/tmp")))
        if args.esc10:
            directives = sec_world.write_esc10_world(folder, args.esc10)
        else:
            directives = sec_world.write_world(folder)
        site = stack.enter_context(_cluster(folder, directives)) if args.slurm else []
        hits = SLURM_HITS if args.slurm else LOCAL_HITS
        done = sec_world.run(directives, folder / "whole", *site)
        assert done.returncode == 0, done.stderr
        expected = sec_world.digests(folder / "whole")
        kills, attempts, wrong = 0, 0, 0
        while kills < args.kills:  # a campaign that ends is compared, and another begun
            attempts += 1
            runs = folder / f"killed-{attempts}"
            while kills < args.kills and (hit := _killed(directives, runs, site, chance, hits)):
                kills += 1
                print(f"kill {kills}: {hit}", flush=True)
            done = sec_world.run(directives, runs, *site)
            found = sec_world.digests(runs)
            same = sum(found.get(key) == digest for key, digest in expected.items())
            print(
                f"campaign {attempts}: exit code {done.returncode}; {same} of {len(expected)} "
                "files have the same bytes",
                flush=True,
            )
            wrong += done.returncode != 0 or found != expected
    return 1 if wrong else 0


@contextlib.contextmanager
def _cluster(folder: Path, directives: Path) -> Iterator[list[str]]:
    """A Slurm while the block runs; yields what sends a campaign to it."""
    lines = directives.read_text("utf-8").splitlines()
    kept = [line for line in lines if not line.startswith("SLURM_")]  # another site's
    directives.write_text("\n".join(kept) + "\n", "utf-8")
    profile = folder / "site.yaml"
    profile.write_text(SITE, "utf-8")
    with slurm_cluster.cluster(folder / "slurm") as configuration:
        os.environ["SLURM_CONF"] = str(configuration)
        yield ["--executor", "slurm", "--profile", str(profile)]
        subprocess.run(["scancel", "--me"], check=False)


def _killed(
    directives: Path, runs: Path, site: list[str], chance: random.Random, hits: Sequence[Hit]
) -> str:
    """Start the campaign, hit something, and say what; "": it ended before."""
    environment = {**os.environ, "SOUNDGATE_RUNS": str(runs)}
    started = subprocess.Popen(
        sec_world.words(directives, runs, *site),
        cwd=sec_world.ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    after_s, hit = chance.uniform(1.0, LONGEST_S), chance.choice(hits)
    begun = time.monotonic()
    while time.monotonic() - begun < after_s and started.poll() is None:
        time.sleep(0.05)
    if started.poll() is not None:
        return ""
    what = hit(started, chance) or _kill_all(started, chance)
    code = started.wait(timeout=1500)
    return f"{what} after {after_s:.1f} s; the campaign ended with {code}"


def _kill_all(started: subprocess.Popen[bytes], _: random.Random) -> str:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(started.pid, signal.SIGKILL)
    return "the campaign and its runner"


def _kill_task(started: subprocess.Popen[bytes], chance: random.Random) -> str:
    """Kill a process that nobody was started from: tasks are forked from one that waits."""
    return "a task" if _kill_one(_leaves([started.pid]), chance) else ""


def _kill_job_process(_: subprocess.Popen[bytes], chance: random.Random) -> str:
    steps = [each.pid for each in psutil.process_iter() if each.name() == "slurmstepd"]
    return "a process of a job" if _kill_one(_leaves(steps), chance) else ""


def _fell_node(_: subprocess.Popen[bytes], chance: random.Random) -> str:
    told = subprocess.run(["sinfo", "-hN", "-o", "%N"], capture_output=True, text=True, check=True)
    node = chance.choice(sorted(set(told.stdout.split())))
    for state in (["State=DOWN", "Reason=attacked"], ["State=RESUME"]):
        # a node whose daemon has registered again meanwhile is up, and cannot be resumed
        subprocess.run(["scontrol", "update", f"NodeName={node}", *state], check=False)
        time.sleep(2)
    return f"node {node}"


def _kill_one(processes: list[psutil.Process], chance: random.Random) -> bool:
    if processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            chance.choice(processes).kill()
            return True
    return False


def _leaves(roots: Sequence[int]) -> list[psutil.Process]:
    """Processes below some, without children, that do not run the pipeline."""
    found = []
    for root in roots:
        with contextlib.suppress(psutil.NoSuchProcess):  # they end meanwhile
            for each in psutil.Process(root).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    if not each.children() and "run-pipeline" not in each.cmdline():
                        found.append(each)
    return found


LOCAL_HITS: tuple[Hit, ...] = (_kill_all, _kill_task)
SLURM_HITS: tuple[Hit, ...] = (_kill_all, _kill_job_process, _fell_node)


if __name__ == "__main__":
    sys.exit(main())
