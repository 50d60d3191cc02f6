"""What the tests on a real Slurm do with it: submit a toy project's pipelines and look at jobs."""

from __future__ import annotations

import json
import re
import subprocess
from datetime import datetime, timedelta

COUNT = """
    from steps.count import count
    c = t.add(count, to=40, each_s=0.1, resources=Resources(memory_gb=0.1))
    t.add(work, name="after", source=c["out"], resources=Resources(memory_gb=0.1))
"""


SLOW = """
    n = Resources(memory_gb=0.1)
    m = t.map(work, name="m", over={"text": ["0", "1"]}, seconds=p.seconds, resources=n)
    t.add(work, name="join", parts=m["out"], resources=n)
"""


def submit(toy, module, *words, env=None):
    return toy.run(module, "--executor", "slurm", "--profile", "site.yaml", *words, env=env)


def begin(toy, module, *words):
    return toy.begin(module, "--executor", "slurm", "--profile", "site.yaml", *words)


def results(toy, which=-1) -> dict[str, str]:
    tasks = toy.runs()[which] / "tasks"
    return {path.parts[-3]: path.read_text("utf-8") for path in tasks.glob("*/out/result.txt")}


def ids(toy, which=-1) -> dict[str, str]:
    path = toy.runs()[which] / "slurm" / "jobs.json"
    return (
        {n: job["id"] for n, job in json.loads(path.read_text()).items()} if path.exists() else {}
    )


def scontrol(*words: str) -> str:
    done = subprocess.run(["scontrol", *words], capture_output=True, text=True, check=False)
    return done.stdout


def is_running(job: str) -> bool:
    return "JobState=RUNNING" in scontrol("show", "job", "--oneliner", job)


def start_now(job: str) -> bool:
    """Let a job that was put back start at once instead of in two minutes."""
    shown = scontrol("show", "job", "--oneliner", job)
    at = re.search(r" EligibleTime=(\S+) ", shown)
    if "JobState=PENDING" not in shown or "Restarts=0" in shown or at is None:
        return False
    if at[1] > (datetime.now() + timedelta(seconds=10)).isoformat():  # noqa: DTZ005 - as Slurm writes
        scontrol("update", f"JobId={job}", "StartTime=now+1")
    return True
