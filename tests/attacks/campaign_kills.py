"""Kill a campaign of two configs and two octaves at random instants; compare its bytes at the end.

python tests/attacks/campaign_kills.py [--kills 20] [--seed 0] [--esc10 FOLDER]
    [--executor slurm --profile FILE] [--folder SHARED]

The runner, with all it started, is killed with SIGKILL a random time after each start, or one of
its tasks is (every other time). In the end the campaign is run undisturbed, and every planned
segment, embedding and level must be, byte for byte, that of a campaign nobody disturbed. With
``--esc10`` the corpus is of real clips, and the encoder CLAP 2023 of its published shape.
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
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import sec_world

LONGEST_S = 30.0
"""A kill comes at most so long after a start; what takes longer is undisturbed then."""


def main() -> int:
    """Print a line for every kill, and whether the bytes are the same."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--esc10", type=Path)
    parser.add_argument("--folder", type=Path, help="that all nodes see, to work in")
    parser.add_argument("--executor", default="local")
    parser.add_argument("--profile")
    args = parser.parse_args()
    site = ["--executor", args.executor]
    site += ["--profile", args.profile] if args.profile else []
    chance = random.Random(args.seed)
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = Path(name)
        if args.esc10:
            directives = sec_world.write_esc10_world(folder, args.esc10)
        else:
            directives = sec_world.write_world(folder)
        done = sec_world.run(directives, folder / "whole", *site)
        assert done.returncode == 0, done.stderr
        expected = sec_world.digests(folder / "whole")
        kills, attempts, wrong = 0, 0, 0
        while kills < args.kills:  # a campaign that ends is compared, and another begun
            attempts += 1
            runs = folder / f"killed-{attempts}"
            while kills < args.kills and (hit := _killed(directives, runs, site, chance)):
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


def _killed(directives: Path, runs: Path, site: list[str], chance: random.Random) -> str:
    """Start the campaign, kill the runner or a task, and say what was hit; "": it ended before."""
    environment = {**os.environ, "SOUNDGATE_RUNS": str(runs)}
    started = subprocess.Popen(
        sec_world.words(directives, runs, *site),
        cwd=sec_world.ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    after_s = chance.uniform(1.0, LONGEST_S)
    hits_task = chance.random() < 0.5
    begun = time.monotonic()
    while time.monotonic() - begun < after_s and started.poll() is None:
        time.sleep(0.05)
    if started.poll() is not None:
        return ""
    if hits_task and (tasks := _tasks(started.pid)):
        with contextlib.suppress(psutil.NoSuchProcess):
            chance.choice(tasks).kill()
        started.wait(timeout=1500)
        return f"a task after {after_s:.1f} s; the campaign ended with {started.returncode}"
    os.killpg(started.pid, signal.SIGKILL)
    started.wait()
    return f"the campaign and its runner after {after_s:.1f} s"


def _tasks(pid: int) -> list[psutil.Process]:
    """Processes that nobody was started from: tasks, which are forked from one that waits."""
    try:
        found = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return [each for each in found if _is_task(each)]


def _is_task(process: psutil.Process) -> bool:
    try:
        return not process.children() and "run-pipeline" not in process.cmdline()
    except psutil.NoSuchProcess:  # it ended meanwhile
        return False


if __name__ == "__main__":
    sys.exit(main())
