"""What a site has or has not: the network, node-local scratch, what the doctor finds."""

from __future__ import annotations

import pytest
from cluster_use import ids, results, submit

pytestmark = pytest.mark.timeout(280)


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
