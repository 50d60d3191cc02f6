"""Every shape of a pipeline on a real Slurm: chains, arrays, joins, gates, shared jobs."""

from __future__ import annotations

import json

import pytest
from cluster_use import SLOW, begin, ids, results, submit

pytestmark = [pytest.mark.timeout(280), pytest.mark.slow]


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
    ended = submit(project, module)
    assert ended.returncode == 1
    assert project.states() == {"a": "succeeded", "gate-acc": "failed", "after": "skipped"}
    assert project.record()["reason"] == "gate-acc: too low < 0.5 (acc is 0.4)"


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
