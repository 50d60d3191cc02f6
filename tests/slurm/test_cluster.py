"""Pipelines on a real Slurm: a controller and two nodes that live as long as these tests."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import slurm_cluster
from toy_project import Toy, wait_for

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.timeout(280)

PROFILE = """
environment: {PYTHONPATH: FOLDER}
setup: ["export PYTHONPATH=FOLDER", "export HOME=/root"]
throttle: 2
short_minutes: 0
memory: true
"""


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """The folder of a running cluster; skips where none can be started."""
    if reason := slurm_cluster.why_not():
        pytest.skip(f"no Slurm here: {reason}")
    folder = tmp_path_factory.mktemp("slurm")
    with slurm_cluster.cluster(folder) as configuration, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(configuration))
        yield folder


@pytest.fixture
def project(slurm, tmp_path):
    """A toy project with a profile for the cluster."""
    toy = Toy(tmp_path)
    toy.write("site.yaml", PROFILE.replace("FOLDER", f"{tmp_path}:{ROOT}"))
    yield toy
    for process in toy.started:
        if process.poll() is None:
            process.kill()
        process.communicate()
    subprocess.run(["scancel", "--me"], check=False, capture_output=True)


def submit(toy, module, *words):
    return toy.run(module, "--executor", "slurm", "--profile", "site.yaml", *words)


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
    """Let a job that was put back start in some seconds instead of in two minutes."""
    shown = scontrol("show", "job", "--oneliner", job)
    if "JobState=PENDING" not in shown or "Restarts=0" in shown:
        return False
    scontrol("update", f"JobId={job}", "StartTime=now+5")
    return True


SHAPES = """
    n = Resources(memory_gb=0.1)
    top = t.add(work, name="top", text=p.text, resources=n)
    left = t.add(work, name="left", source=top["out"], text="l", resources=n)
    right = t.add(work, name="right", source=top["out"], text="r", resources=n)
    over = {"text": ["0", "1", "2", "3", "4"]}
    first = t.map(work, name="m", over=over, source=left["out"], resources=n)
    second = t.map(work, name="e", over=first, source=first["out"], resources=n)
    t.add(work, name="join", parts=second["out"], source=right["out"], resources=n)
"""
ODD = "a 'b' \"c\" $HOME `id` \\ % é\n;&| *"


def test_every_shape_gives_what_it_gives_on_this_machine_and_is_then_reused(project):
    module = project.pipeline("shapes", SHAPES, 'text: str = ""')
    ended = submit(project, module, "--kwargs", json.dumps({"text": ODD}))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    on_slurm, jobs = results(project), ids(project)
    assert on_slurm["top"] == ODD
    assert on_slurm["join"] == f"r{ODD}" + "".join(f"{k}{k}l{ODD}" for k in range(5))
    assert list(jobs) == ["top", "left", "right", "m", "e", "join"]
    assert set(project.states().values()) == {"succeeded"}

    elsewhere = project.run(module, "--kwargs", json.dumps({"text": ODD}), "--no-cache")
    assert elsewhere.returncode == 0, elsewhere.stderr
    assert results(project) == on_slurm

    again = submit(project, module, "--kwargs", json.dumps({"text": ODD}))
    assert again.returncode == 0, again.stderr
    assert ids(project) == {}
    assert set(project.states().values()) == {"reused"}


def test_no_more_elements_run_at_a_time_than_the_throttle_allows(project):
    body = """
    over = {"text": [str(k) for k in range(4)]}
    t.map(work, name="m", over=over, seconds=1.0, resources=Resources(memory_gb=0.1))
    """
    project.write(
        "site.yaml",
        (project.folder / "site.yaml").read_text().replace("throttle: 2", "throttle: 1"),
    )
    assert submit(project, project.pipeline("throttled", body)).returncode == 0
    at_a_time = most = 0
    for _, what, _, _ in sorted(project.events(), key=lambda event: event[2]):
        at_a_time += 1 if what == "start" else -1
        most = max(most, at_a_time)
    assert most == 1


def test_short_tasks_share_jobs_and_a_failure_takes_along_only_what_depends_on_it(project):
    body = """
    n = Resources(hours=0.02, memory_gb=0.1)
    a = t.add(work, name="a", text="a", resources=n)
    b = t.add(work, name="b", source=a["out"], fail="user", resources=n)
    t.add(work, name="c", source=b["out"], resources=n)
    d = t.add(work, name="d", source=a["out"], text="d", resources=n)
    long = t.add(work, name="long", source=d["out"], text="x", resources=Resources(memory_gb=0.1))
    t.add(work, name="lost", source=b["out"], resources=Resources(memory_gb=0.1))
    """
    project.write(
        "site.yaml",
        (project.folder / "site.yaml").read_text().replace("short_minutes: 0", "short_minutes: 5"),
    )
    ended = submit(project, project.pipeline("fused", body))
    assert ended.returncode == 1
    assert list(ids(project)) == ["a", "long", "lost"]
    assert project.states() == {
        "a": "succeeded",
        "b": "failed",
        "c": "skipped",
        "d": "succeeded",
        "long": "succeeded",
        "lost": "skipped",
    }
    assert results(project)["long"] == "xda"


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


def test_retries_happen_inside_the_job(project):
    body = """
    a = t.add(work, name="a", fail="boom", fails=1, retries=1, resources=Resources(memory_gb=0.1))
    t.add(work, name="b", source=a["out"], resources=Resources(memory_gb=0.1))
    """
    ended = submit(project, project.pipeline("retried", body))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert project.record()["tasks"]["a"]["attempt"] == 2


def test_a_missed_gate_ends_the_run_with_its_message(project):
    body = """
    n = Resources(memory_gb=0.1)
    a = t.add(work, name="a", text='{"x": 0.4}', resources=n)
    m = Metric(name="acc", json_path="x", message="too low <", file="result.txt")
    g = t.gate(a["out"], metric=m, at_least=0.5)
    t.add(work, name="after", after=[g], resources=n)
    """
    module = project.pipeline("gated", body)
    (project.folder / "steps" / "gate.py").write_text((ROOT / "steps" / "gate.py").read_text())
    ended = submit(project, module)
    assert ended.returncode == 1
    assert project.states() == {"a": "succeeded", "gate-acc": "failed", "after": "skipped"}
    assert project.record()["reason"] == "gate-acc: too low < 0.5 (acc is 0.4)"


COUNT = """
    from steps.count import count
    c = t.add(count, to=60, each_s=0.1, resources=Resources(memory_gb=0.1))
    t.add(work, name="after", source=c["out"], resources=Resources(memory_gb=0.1))
"""


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
    assert results(project)["count"] == "60 numbers in 2 starts"
    assert log.read_text().count("reached 5\n") == 1, "no work was done twice"
    job_log = next((project.runs()[-1] / "slurm").glob("count.*.log")).read_text()
    assert "time is up: put back into the queue with count" in job_log
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
    assert project.record()["tasks"]["count"]["reason"].startswith(
        "not finished after 1 jobs of 1 h"
    )
    assert project.states()["after"] == "skipped"


SLOW = """
    n = Resources(memory_gb=0.1)
    m = t.map(work, name="m", over={"text": ["0", "1"]}, seconds=p.seconds, resources=n)
    t.add(work, name="join", parts=m["out"], resources=n)
"""


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
    running = begin(project, project.pipeline("slow", SLOW, "seconds: float = 6.0"))
    job = wait_for(lambda: project.runs() and ids(project).get("m"))
    wait_for(lambda: all(is_running(each) for each in elements(job)))
    wait_for(lambda: len(project.ran()) == 2)
    node = "n1" if "NodeList=n1" in scontrol("show", "job", "--oneliner", f"{job}_0") else "n2"
    lost = {e for e in elements(job) if f"NodeList={node}" in scontrol("show", "job", "-o", e)}
    fall(slurm, node)
    slurm_cluster.start_node(slurm, node)
    wait_for(lambda: not lost.difference_update([j for j in lost if start_now(j)]) and not lost, 90)
    out, err = running.communicate(timeout=120)
    assert running.returncode == 0, out + err
    assert results(project)["join"] == "01"
    assert project.ran().count("m-0") >= 2


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
    assert "started; look with: show-run" in left.stdout
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


def test_two_runs_at_once_do_not_touch_one_another(project):
    module = project.pipeline("slow", SLOW, "seconds: float = 1.0")
    both = [begin(project, module, "--set", f"seconds={s}") for s in (1.0, 1.5)]
    for running in both:
        out, err = running.communicate(timeout=120)
        assert running.returncode == 0, out + err
    assert [results(project, k)["join"] for k in (0, 1)] == ["01", "01"]


def test_an_array_larger_than_allowed_is_several(project):
    body = """
    over = {"text": [chr(97 + k) for k in range(7)]}
    n = Resources(memory_gb=0.1)
    m = t.map(work, name="m", over=over, resources=n)
    t.add(work, name="join", parts=m["out"], resources=n)
    """
    text = (project.folder / "site.yaml").read_text() + "array_size: 3\n"
    project.write("site.yaml", text)
    ended = submit(project, project.pipeline("wide", body))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert list(ids(project)) == ["m-1", "m-2", "m-3", "join"]
    assert results(project)["join"] == "abcdefg"


def test_the_network_is_for_those_who_declared_it(project):
    body = """
    from steps.call import call
    t.add(call, name="here", url=p.url, needs_network=True, retries=0)
    t.add(call, name="node", url="http://hub.example/weights", resources=Resources(memory_gb=0.1))
    """
    (project.folder / "page.txt").write_text("fetched")
    url = (project.folder / "page.txt").as_uri()
    ended = submit(project, project.pipeline("calling", body, f'url: str = "{url}"'))
    assert ended.returncode == 1
    assert project.states() == {"here": "succeeded", "node": "failed"}
    assert list(ids(project)) == ["node"], "what needs the network ran where it was submitted"
    reason = project.record()["tasks"]["node"]["reason"]
    assert reason.startswith("tried the network (hub.example), but runs on a compute node")


def test_a_job_whose_input_is_not_there_does_not_start(project):
    """Slurm takes a job that it forgot for one that ended well; the worker looks for itself."""
    module = project.pipeline("slow", SLOW, "seconds: float = 0.0")
    assert submit(project, module).returncode == 0
    folder = project.runs()[-1]
    (folder / "tasks" / "m-1" / "task.json").unlink()
    (folder / "tasks" / "join" / "task.json").unlink()
    worker = "soundgate.executors.slurm.worker"
    by_hand = project.module(worker, folder / "slurm" / "handover.json", "join")
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


def test_the_doctor_finds_what_works_and_what_does_not(project):
    found = project.cli("doctor", "--executor", "slurm", "--profile", "site.yaml")
    assert found.returncode == 0, found.stdout + found.stderr
    for said in ("controller", "answers, Slurm", "a cpu job", "ran on", "seen from the node"):
        assert said in found.stdout
    project.write("wrong.yaml", "cpu: {name: absent}\narray_size: 90000\n")
    found = project.cli("doctor", "--executor", "slurm", "--profile", "wrong.yaml")
    assert found.returncode == 1
    assert "there is none" in found.stdout
    assert "there: cpu" in found.stdout
    assert "set array_size: 1000" in found.stdout


def test_a_private_workspace_is_gone_after_the_job_also_after_a_killed_one(project, tmp_path):
    scratch = tmp_path / "scratch"
    stale = scratch / "soundgate-job-1-dead"
    stale.mkdir(parents=True)
    text = (project.folder / "site.yaml").read_text() + f"node_scratch: {scratch}\n"
    project.write("site.yaml", text)
    project.write("steps/where.py", WHERE)
    body = (
        "    from steps.where import where\n    t.add(where, resources=Resources(memory_gb=0.1))\n"
    )
    ended = submit(project, project.pipeline("scratched", body))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert results(project)["where"].startswith(f"{scratch}/soundgate-job-")
    assert list(scratch.iterdir()) == []


WHERE = """
from __future__ import annotations
import tempfile
from soundgate.step import OutputPath, main
def where(out: OutputPath) -> None:
    (out / "result.txt").write_text(tempfile.gettempdir())
if __name__ == "__main__":
    main(where)
"""
assert sys.platform == "linux"
