"""Tasks of several processes: torchrun through srun, on one node and on two, gloo on cores."""

from __future__ import annotations

import json
import subprocess

import pytest
from cluster_use import begin, ids, results, start_now, submit
from toy_project import wait_for

pytestmark = [pytest.mark.timeout(280), pytest.mark.slow]

MEET = """
from __future__ import annotations
import json, os, time
from soundgate.errors import Stopped
from soundgate.step import CheckpointPath, OutputPath, graceful_stop, main
def meet(out: OutputPath, checkpoints: CheckpointPath | None = None, *, wait: bool = False) -> None:
    import torch
    from soundgate.audio.learning.distributed import joined
    saved = checkpoints / "saved"
    with graceful_stop() as stop, joined() as group:
        total = group.total(torch.tensor([group.rank + 1.0])).item()
        names = ("SLURMD_NODENAME", "LOCAL_RANK", "OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK")
        who = group.collect([os.environ[name] for name in names])
        print(f"met {len(who)}", flush=True)
        while wait and not saved.exists():
            time.sleep(0.1)
            if group.any(stop()):
                if group.writes:
                    saved.touch()
                raise Stopped("saved; goes on from there")
        if group.writes:
            result = {"total": total, "who": who, "resumed": saved.exists()}
            (out / "result.txt").write_text(json.dumps(result))
if __name__ == "__main__":
    main(meet)
"""


@pytest.fixture
def meeting(project):
    """A project with a step whose processes find one another."""
    project.write("steps/meet.py", MEET)
    return project


def test_two_nodes_train_together_save_their_work_and_go_on(meeting):
    body = """
    from steps.meet import meet
    needs = Resources(nodes=2, processes=1, cpus=2, memory_gb=1, hours=1)
    t.add(meet, wait=True, resources=needs)
    """
    running = begin(meeting, meeting.pipeline("meeting", body))
    job = wait_for(lambda: meeting.runs() and ids(meeting).get("meet"))
    log = meeting.runs()[-1] / "tasks" / "meet" / "log.txt"
    wait_for(lambda: log.exists() and log.read_text().count("met 2") == 2, 60)
    subprocess.run(["scancel", "--signal=USR1", "--batch", job], check=True)
    wait_for(lambda: start_now(job), 60)
    out, err = running.communicate(timeout=90)
    assert running.returncode == 0, out + err
    assert "User defined signal" not in log.read_text(), "torchrun must not die of the warning"
    found = json.loads(results(meeting)["meet"])
    assert found["total"] == 3.0
    assert found["resumed"]
    assert sorted(found["who"]) == [["n1", "0", "2", "2"], ["n2", "0", "2", "2"]]


def test_several_gpus_of_a_node_are_shared_among_processes(meeting):
    body = """
    from steps.meet import meet
    t.add(meet, resources=Resources(gpus=2, processes=2, cpus=2, memory_gb=1, hours=1))
    """
    ended = submit(meeting, meeting.pipeline("meeting", body))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    found = json.loads(results(meeting)["meet"])
    assert found["total"] == 3.0
    [[first, *_], [second, *_]] = found["who"]
    assert first == second
    assert [(rank, threads) for _, rank, threads, _ in found["who"]] == [("0", "1"), ("1", "1")]
