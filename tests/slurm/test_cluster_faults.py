"""What clusters do to a run: each fault ends in the right state, and nothing is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import slurm_cluster
from cluster_use import SLOW, begin, ids, is_running, results, scontrol, start_now, submit
from toy_project import wait_for

pytestmark = [pytest.mark.timeout(280), pytest.mark.slow]


def test_a_failure_names_its_reason_and_its_log_and_resume_completes_the_run(project):
    body = """
    n = Resources(memory_gb=0.1)
    a = t.add(work, name="a", text="a", resources=n)
    b = t.add(work, name="b", source=a["out"], fail="boom", fails=1, resources=n)
    t.add(work, name="c", source=b["out"], text="c", resources=n)
    t.add(work, name="beside", source=a["out"], resources=n)
    """
    ended = submit(project, project.pipeline("failing", body))
    assert ended.returncode == 1
    assert project.states() == {
        "a": "succeeded",
        "b": "failed",
        "c": "skipped",
        "beside": "succeeded",
    }
    assert "ValueError: boom" in ended.stdout
    assert "tasks/b/log.txt" in ended.stdout
    assert project.record()["reason"] == "b: ValueError: boom"
    resumed = project.cli("run-pipeline", "--resume", "last")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert sorted(project.ran()) == ["a", "b", "b", "beside", "c"]
    assert set(project.states().values()) == {"succeeded"}


def test_a_cancelled_element_fails_and_the_others_finish(project):
    running = begin(project, project.pipeline("slow", SLOW, "seconds: float = 4.0"))
    job = wait_for(lambda: project.runs() and ids(project).get("m"))
    wait_for(lambda: is_running(f"{job}_1"))
    subprocess.run(["scancel", f"{job}_1"], check=True)
    out, _ = running.communicate(timeout=60)
    assert running.returncode == 1, out
    assert project.states() == {"m-0": "succeeded", "m-1": "failed", "join": "skipped"}
    resumed = project.cli("run-pipeline", "--resume", "last")
    assert resumed.returncode == 0, resumed.stderr
    assert results(project)["join"] == "01"
    assert project.ran().count("m-0") == 1


def test_a_node_that_dies_in_mid_task_costs_its_task_a_start(project, slurm):
    running = begin(project, project.pipeline("slow", SLOW, "seconds: float = 3.0"))
    job = wait_for(lambda: project.runs() and ids(project).get("m"))
    wait_for(lambda: all(is_running(each) for each in elements(job)))
    wait_for(lambda: len(project.ran()) == 2)
    node = "n1" if "NodeList=n1" in scontrol("show", "job", "--oneliner", f"{job}_0") else "n2"
    lost = {e for e in elements(job) if f"NodeList={node}" in scontrol("show", "job", "-o", e)}
    fall(slurm, node)
    # the controller would find out by itself, within a minute
    scontrol("update", f"NodeName={node}", "State=DOWN", "Reason=test")
    wait_for(lambda: [start_now(j) for j in lost] and running.poll() is not None, 90)
    out, err = running.communicate()
    slurm_cluster.start_node(slurm, node)
    scontrol("update", f"NodeName={node}", "State=RESUME")
    assert running.returncode == 0, out + err
    assert results(project)["join"] == "01"
    assert project.ran().count("m-0") >= 2
    assert "start 2 of at most 11" in out
    wait_for(lambda: "State=IDLE " in scontrol("show", "node", node), 60)


def elements(job: str) -> list[str]:
    return [f"{job}_{k}" for k in (0, 1)]


def fall(slurm: Path, node: str) -> None:
    """Take a node down as a power cut does: its daemon, then all that it started, from the top."""
    slurm_cluster.kill(slurm / f"{node}.pid")
    below = [
        int(process.name)
        for process in Path("/proc").glob("[0-9]*")
        if f"SLURMD_NODENAME={node}".encode() in environment_of(process)
    ]
    parents = {int(stat_of(pid)[1]) for pid in below} - set(below)
    daemons = [pid for pid in parents if (Path(f"/proc/{pid}/comm").read_text() == "slurmstepd\n")]
    for pid in [*daemons, *below]:
        os.kill(pid, signal.SIGKILL)


def environment_of(process: Path) -> list[bytes]:
    try:
        return (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return []


def stat_of(pid: int) -> list[str]:
    """State and parent of a process, and what follows."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def test_a_controller_that_is_restarted_loses_nothing(project, slurm):
    running = begin(project, project.pipeline("slow", SLOW, "seconds: float = 3.0"))
    wait_for(lambda: len(project.ran()) == 2)
    slurm_cluster.kill(slurm / "ctld.pid", signal.SIGTERM)
    time.sleep(4)
    slurm_cluster.start_controller(slurm)
    out, err = running.communicate(timeout=120)
    assert running.returncode == 0, out + err
    assert results(project)["join"] == "01"


def test_the_submitter_may_die_and_others_see_the_end(project):
    running = begin(project, project.pipeline("slow", SLOW, "seconds: float = 3.0"))
    wait_for(lambda: project.runs() and len(ids(project)) == 2 and len(project.ran()) == 2)
    running.kill()
    running.communicate()
    shown = project.cli("show-run", "--output", "json")
    assert json.loads(shown.stdout)["state"] == "running"
    last = lambda: json.loads(project.cli("show-run", "--output", "json").stdout)["state"]  # noqa: E731
    wait_for(lambda: last() == "succeeded", 40)
    assert results(project)["join"] == "01"
    assert len(project.ran()) == 3


def test_a_run_is_left_alone_attached_to_and_cancelled(project):
    module = project.pipeline("slow", SLOW, "seconds: float = 2.0")
    left = submit(project, module, "--no-wait")
    assert left.returncode == 0, left.stderr
    assert "started; watch it with: show-run" in left.stdout
    attached = project.cli("run-pipeline", "--resume", "last")
    assert attached.returncode == 0, attached.stdout + attached.stderr
    assert len(project.ran()) == 3, "attaching submits nothing twice"

    assert submit(project, module, "--no-wait", "--set", "seconds=60").returncode == 0
    wait_for(lambda: len(project.ran()) == 5)
    asked = project.cli("cancel-run", "last")
    assert asked.returncode == 0, asked.stderr
    state = lambda: json.loads(project.cli("show-run", "--output", "json").stdout)  # noqa: E731
    wait_for(lambda: state()["state"] == "cancelled")
    assert {t["state"] for t in state()["tasks"].values()} == {"cancelled"}
    assert "is not running" in project.cli("cancel-run", "last").stderr


def test_a_job_whose_input_is_not_there_does_not_start(project):
    """Slurm takes a job that it forgot for one that ended well; the worker looks for itself."""
    module = project.pipeline("slow", SLOW, "seconds: float = 0.0")
    assert submit(project, module).returncode == 0
    folder = project.runs()[-1]
    (folder / "tasks" / "m-1" / "task.json").unlink()
    (folder / "tasks" / "join" / "task.json").unlink()
    worker = "soundgate.executors.slurm.node.worker"
    by_hand = project.module(worker, folder / "slurm" / "job_description.json", "join")
    assert by_hand.returncode == 1
    assert by_hand.stdout == "join  skipped  m-1 has no finished mark\n"


def test_nothing_runs_where_one_job_is_refused(project):
    body = """
    a = t.add(work, name="a", resources=Resources(memory_gb=0.1))
    t.add(work, name="b", source=a["out"], resources=Resources(gpus=1))
    """
    text = (project.folder / "site.yaml").read_text() + "gpu: {name: absent}\n"
    project.write("site.yaml", text)
    ended = submit(project, project.pipeline("greedy", body))
    assert ended.returncode == 1
    assert "sbatch: " in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1
    time.sleep(2)
    assert project.ran() == []


def test_a_full_file_system_is_said_and_loses_nothing(project, tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1M", "tmpfs", str(folder)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip("no right to mount a small file system")
    try:
        module = project.pipeline(
            "large", 't.add(work, name="a", text="x" * p.size)', "size: int = 9"
        )
        env = {"SOUNDGATE_RUNS": str(folder / "runs")}
        words = ("--executor", "slurm", "--profile", "site.yaml", "--set")
        ended = project.run(module, *words, "size=100", env=env)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        (folder / "filler").write_bytes(b"x" * 700_000)
        ended = project.run(module, *words, "size=100000", env=env)
        assert ended.returncode != 0
        said = ended.stdout + ended.stderr
        assert "No space left on device" in said
        assert "Traceback" not in said
    finally:
        subprocess.run(["umount", str(folder)], check=True)
