"""Jobs that are put back: by a warning, by hand, by another that needs the node; and how often."""

from __future__ import annotations

import json
import signal
import subprocess

import pytest
from cluster_use import COUNT, SLOW, begin, ids, results, scontrol, start_now, submit
from toy_project import wait_for

pytestmark = [pytest.mark.timeout(280), pytest.mark.slow]


def test_a_job_that_is_warned_saves_its_work_goes_back_and_goes_on(project):
    running = begin(project, project.pipeline("counting", COUNT))
    job = wait_for(lambda: project.runs() and ids(project).get("count"))
    log = project.runs()[-1] / "tasks" / "count" / "log.txt"
    wait_for(lambda: log.exists() and "reached 5" in log.read_text())
    # what Slurm does --signal=B:USR1@N before the time limit
    subprocess.run(["scancel", "--signal=USR1", "--batch", job], check=True)
    wait_for(lambda: start_now(job), 60)
    out, err = running.communicate(timeout=120)
    assert running.returncode == 0, out + err
    assert results(project)["count"] == "40 numbers in 2 starts"
    assert log.read_text().count("reached 5\n") == 1, "no work was done twice"
    job_log = next((project.runs()[-1] / "slurm").glob("count.*.log")).read_text()
    assert "stopped early: put back into the queue with count" in job_log
    assert "start 2 of at most 11" in job_log


def test_a_job_that_was_put_back_often_enough_fails_and_says_so(project):
    project.write("site.yaml", (project.folder / "site.yaml").read_text() + "requeues: 0\n")
    running = begin(project, project.pipeline("counting", COUNT))
    job = wait_for(lambda: project.runs() and ids(project).get("count"))
    log = project.runs()[-1] / "tasks" / "count" / "log.txt"
    wait_for(lambda: log.exists() and "reached 5" in log.read_text())
    subprocess.run(["scancel", "--signal=USR1", "--batch", job], check=True)
    running.communicate(timeout=60)
    assert running.returncode == 1
    reason = project.record()["tasks"]["count"]["reason"]
    assert reason.startswith("not finished after 1 starts of at most 1 h; raise requeues")
    assert project.states()["after"] == "skipped"


def test_a_job_that_is_put_back_in_mid_task_begins_anew_and_ends_right(project):
    """The task keeps no checkpoint: SIGTERM ends it, and must not be taken for its end."""
    body = """
    n = Resources(memory_gb=0.1)
    a = t.add(work, name="a", text="a", seconds=2.5, resources=n)
    t.add(work, name="b", source=a["out"], text="b", resources=n)
    """
    running = begin(project, project.pipeline("disturbed", body))
    job = wait_for(lambda: project.runs() and ids(project).get("a"))
    wait_for(lambda: project.ran() == ["a"])
    scontrol("requeue", job)
    wait_for(lambda: start_now(job), 60)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 0, out + err
    assert project.ran() == ["a", "a", "b"]
    assert results(project)["b"] == "ba"
    assert "failed" not in out
    shown = project.cli("show-run").stdout
    assert "took 2 starts of its job" in shown


def test_a_job_that_makes_way_for_another_saves_its_work_and_goes_on(project):
    running = begin(project, project.pipeline("counting", COUNT))
    job = wait_for(lambda: project.runs() and ids(project).get("count"))
    log = project.runs()[-1] / "tasks" / "count" / "log.txt"
    wait_for(lambda: log.exists() and "reached 5" in log.read_text())
    urgent = ["sbatch", "--partition=urgent", "--nodes=2", "--exclusive", "--mem=1M"]
    subprocess.run([*urgent, "--output=/dev/null", "--wrap=true"], check=True, capture_output=True)
    wait_for(lambda: start_now(job), 60)
    out, err = running.communicate(timeout=120)
    assert running.returncode == 0, out + err
    assert results(project)["count"] == "40 numbers in 2 starts"
    assert log.read_text().count("reached 5\n") == 1, "no work was done twice"
    job_log = next((project.runs()[-1] / "slurm").glob("count.*.log")).read_text()
    assert "DUE TO PREEMPTION" in job_log


def test_a_job_that_slurm_put_back_too_often_gives_up_and_says_so(project):
    module = project.pipeline("slow", SLOW, "seconds: float = 0.0")
    assert submit(project, module).returncode == 0
    folder = project.runs()[-1]
    (folder / "tasks" / "join" / "task.json").unlink()
    by_hand = (
        "soundgate.executors.slurm.node.worker",
        folder / "slurm" / "job_description.json",
        "join",
    )
    again = project.module(*by_hand, env={"SLURM_RESTART_COUNT": "10"})
    assert (again.returncode, again.stdout.splitlines()[0]) == (0, "start 11 of at most 11")
    (folder / "tasks" / "join" / "task.json").unlink()
    ended = project.module(*by_hand, env={"SLURM_RESTART_COUNT": "11"})
    assert ended.returncode == 1
    mark = json.loads((folder / "tasks" / "join" / "task.json").read_text())
    assert mark["reason"].startswith("not finished after 11 starts of at most 1 h")


def test_what_failed_for_good_is_not_tried_again_when_its_job_is_put_back(project):
    body = """
    n = Resources(hours=0.02, memory_gb=0.1)
    a = t.add(work, name="a", text="a", resources=n)
    b = t.add(work, name="b", source=a["out"], fail="boom", fails=1, resources=n)
    t.add(work, name="c", source=b["out"], resources=n)
    t.add(work, name="d", source=a["out"], text="d", resources=n)
    """
    site = (project.folder / "site.yaml").read_text()
    project.write("site.yaml", site.replace("short_minutes: 0", "short_minutes: 5"))
    assert submit(project, project.pipeline("fused", body)).returncode == 1
    folder = project.runs()[-1]
    (folder / "tasks" / "d" / "task.json").unlink()
    worker = "soundgate.executors.slurm.node.worker"
    handed = folder / "slurm" / "job_description.json"
    again = project.module(worker, handed, "a", env={"SLURM_RESTART_COUNT": "1"})
    assert again.returncode == 0, again.stdout + again.stderr
    assert sorted(project.ran()) == ["a", "b", "d", "d"]


@pytest.mark.parametrize(("state", "back"), [("RUNNING", True), ("CANCELLED", False)])
def test_a_stop_that_is_not_slurm_s_end_of_the_job_puts_it_back(project, fake, state, back):
    """A grace time before a preemption, a kill by hand: Slurm takes such a job for running."""
    module = project.pipeline("counting", COUNT.replace("to=40", "to=12"))
    fake.answers("sbatch", (0, "7\n", ""))
    fake.answers("squeue", (0, "7|PENDING|Resources\n", ""))
    fake.answers("scontrol", (0, f"JobId=7 JobState={state} Reason=None X=1\n", ""))
    assert submit(project, module, "--no-wait").returncode == 0
    folder = project.runs()[-1]
    worker = (
        "soundgate.executors.slurm.node.worker",
        folder / "slurm" / "job_description.json",
        "count",
    )
    running = project.start(*worker, env={"SLURM_JOB_ID": "7"})
    log = folder / "tasks" / "count" / "log.txt"
    wait_for(lambda: log.exists() and "reached 2\n" in log.read_text())
    running.send_signal(signal.SIGTERM)
    out, err = running.communicate(timeout=20)
    assert running.returncode == (0 if back else 1), out + err
    assert [a for a, _ in fake.calls("scontrol") if a[0] == "requeue"] == [["requeue", "7"]] * back
    # what is not put back is not finished; whoever looks asks Slurm what became of it
    assert project.module(*worker, env={"SLURM_JOB_ID": "7"}).returncode == 0
    assert results(project) == {"count": "12 numbers in 2 starts"}
