"""Kill a campaign of two configs and two octaves at random instants; compare its bytes at the end.

python tests/attacks/campaign_kills.py [--kills 20] [--seed 0] [--executor slurm --profile FILE]

The runner, with all it started, is killed with SIGKILL a random time after each start, or one of
its tasks is (every other time). In the end the campaign is run undisturbed, and every planned
segment, embedding and level must be, byte for byte, that of a campaign nobody disturbed.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
import sec_world

LONGEST_S = 40.0
"""A kill comes at most so long after a start; what takes longer is undisturbed then."""


def main() -> int:
    """Print a line for every kill, and whether the bytes are the same."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--executor", default="local")
    parser.add_argument("--profile")
    args = parser.parse_args()
    site = ["--executor", args.executor]
    site += ["--profile", args.profile] if args.profile else []
    chance = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        directives = sec_world.write_world(folder)
        done = sec_world.run(directives, folder / "whole", *site)
        assert done.returncode == 0, done.stderr
        expected = sec_world.digests(folder / "whole")
        runs = folder / "killed"
        for number in range(1, args.kills + 1):
            print(f"kill {number}: {_killed(directives, runs, site, chance)}", flush=True)
        done = sec_world.run(directives, runs, *site)
        found = sec_world.digests(runs)
    same = sum(found.get(key) == digest for key, digest in expected.items())
    print(f"exit code {done.returncode}; {same} of {len(expected)} files have the same bytes")
    return 0 if done.returncode == 0 and found == expected else 1


def _killed(directives: Path, runs: Path, site: list[str], chance: random.Random) -> str:
    """Start the campaign, kill the runner or a task, and say what was hit."""
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
        return f"none: it ended after {time.monotonic() - begun:.1f} s with {started.returncode}"
    tasks = [each for each in _descendants(started.pid) if _is_task(each)]
    if hits_task and tasks:
        victim = chance.choice(tasks)
        what = " ".join(victim.cmdline()[:4])
        victim.kill()
        started.wait(timeout=300)
        return (
            f"a task after {after_s:.1f} s ({what}); the campaign ended with {started.returncode}"
        )
    os.killpg(started.pid, signal.SIGKILL)
    started.wait()
    return f"the campaign and its runner after {after_s:.1f} s"


def _descendants(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def _is_task(process: psutil.Process) -> bool:
    try:
        return any("steps.sec" in word for word in process.cmdline())
    except psutil.Error:
        return False


if __name__ == "__main__":
    sys.exit(main())
