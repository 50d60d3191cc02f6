"""What a site has or has not: the network, node-local scratch, what the doctor finds."""

from __future__ import annotations

import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from cluster_use import ids, results, scontrol, submit

pytestmark = [pytest.mark.timeout(280), pytest.mark.slow]


@pytest.fixture
def hub(tmp_path):
    """The address of a server that is another machine's, as far as a program can tell."""
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "weights").write_text("fetched")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "served"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever).start()
        yield f"http://0.0.0.0:{server.server_port}/weights"
        server.shutdown()


def test_what_needs_the_network_runs_where_it_is_submitted(project, hub):
    body = """
    from steps.call import call
    t.add(call, name="here", url=p.url, needs_network=True, retries=0)
    t.add(call, name="node", url=p.url + "?", resources=Resources(memory_gb=0.1))
    """
    ended = submit(project, project.pipeline("calling", body, f'url: str = "{hub}"'))
    assert ended.returncode == 1
    assert project.states() == {"here": "succeeded", "node": "failed"}
    assert results(project) == {"here": "fetched"}
    assert list(ids(project)) == ["node"]
    reason = project.record()["tasks"]["node"]["reason"]
    assert reason.startswith("tried to use the network (0.0.0.0) on a compute node")


def test_what_needs_the_network_runs_in_its_partition_where_the_site_has_one(project, hub):
    text = (project.folder / "site.yaml").read_text() + "network: {name: serial}\n"
    project.write("site.yaml", text)
    body = """
    from steps.call import call
    n = Resources(memory_gb=0.1)
    a = t.add(work, name="a", resources=n)
    t.add(call, name="there", url=p.url, needs_network=True, after=[a], retries=0, resources=n)
    """
    ended = submit(project, project.pipeline("calling", body, f'url: str = "{hub}"'))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert results(project)["there"] == "fetched"
    for name, partition in (("a", "cpu"), ("there", "serial")):
        assert f" Partition={partition} " in scontrol("show", "job", "-o", ids(project)[name])


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


APPTAINER = """#!/bin/bash
# takes what apptainer takes, and refuses what an image would not see
printf '%s\\n' "$@" > FOLDER/called.txt
[ "$1" = exec ] || { echo "no command $1" >&2; exit 64; }
shift
while [[ $1 == -* ]]; do
  case $1 in
    --bind) IFS=, read -ra binds <<< "$2"; shift 2 ;;
    --nv) shift ;;
    *) echo "unknown option $1" >&2; exit 65 ;;
  esac
done
[ -f "$1" ] || { echo "no image $1" >&2; exit 66; }
shift
for bind in "${binds[@]}"; do
  [ -e "${bind%%:*}" ] || { echo "nothing at $bind" >&2; exit 67; }
done
for word in "${@:2}" "$TMPDIR"; do
  [[ $word == /* && $word != /tmp ]] || continue
  for bind in "${binds[@]}"; do [[ $word/ == "${bind%%:*}"/* ]] && continue 2; done
  echo "the image does not see $word" >&2; exit 68
done
IN_IMAGE=yes exec "$@"
"""

BOXED = """
from __future__ import annotations
import os, tempfile
from soundgate.step import InputPath, OutputPath, main
def boxed(out: OutputPath, source: InputPath) -> None:
    said = source.read_text(), os.environ["IN_IMAGE"], os.environ["SITE"], tempfile.gettempdir()
    (out / "result.txt").write_text("|".join(said))
if __name__ == "__main__":
    main(boxed)
"""


@pytest.fixture
def image(project, tmp_path_factory):
    """A profile that runs steps in an image, of a fake ``apptainer`` that executes them really."""
    away = tmp_path_factory.mktemp("away")
    folder = project.folder
    apptainer = project.write("bin/apptainer", APPTAINER.replace("FOLDER", str(folder)))
    apptainer.chmod(0o755)
    python = project.write("bin/image-python", f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    (away / "a.sif").touch()
    (away / "data").mkdir()
    (away / "given.txt").write_text("given")
    text = (
        (folder / "site.yaml")
        .read_text()
        .replace(
            "setup: [",
            f"""setup: [
      "export PATH={folder}/bin:$PATH", """,
        )
    )
    text = text.replace("environment: {", "environment: {SITE: here, ")
    text += f"node_scratch: {away}/scratch\ncontainer: {{image: {away}/a.sif, python: {python},"
    project.write("site.yaml", f"{text} binds: ['{away}/data:/data:ro']}}\n")
    project.write("steps/boxed.py", BOXED)
    return away


def test_a_step_runs_in_the_image_with_all_it_needs_bound(project, image):
    body = f"""
    from steps.boxed import boxed
    t.add(boxed, source=t.file({str(image / "given.txt")!r}), resources=Resources(gpus=1, hours=1))
    """
    ended = submit(project, project.pipeline("boxing", body))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    given, inside, site, scratch = results(project)["boxed"].split("|")
    assert (given, inside, site) == ("given", "yes", "here")
    assert scratch.startswith(f"{image}/scratch/soundgate-job-")
    words = (project.folder / "called.txt").read_text().splitlines()
    assert words[:3] == ["exec", "--nv", "--bind"]
    assert f"{image}/data:/data:ro" in words[3].split(",")
    assert words[4:7] == [f"{image}/a.sif", f"{project.folder}/bin/image-python", "-m"]


def test_the_doctor_runs_the_image_on_a_node(project, image):
    found = project.cli("doctor", "--executor", "slurm", "--profile", "site.yaml")
    assert "container on a node" in found.stdout, found.stderr
    assert "has Soundgate" in found.stdout
    (image / "a.sif").unlink()
    found = project.cli("doctor", "--executor", "slurm", "--profile", "site.yaml")
    assert found.returncode == 1
    assert f"no image {image}/a.sif" in found.stdout
    assert "correct container.image" in found.stdout


MODULE = """
module() {
  [ "$*" = "load tools/1.0" ] || { echo "no modulefile $2" >&2; return 1; }
  export PATH=FOLDER/tools:$PATH
}
"""


def test_modules_are_loaded_and_one_that_cannot_be_fails_at_once(project):
    project.write("module.sh", MODULE.replace("FOLDER", str(project.folder)))
    project.write("tools/greet", "#!/bin/sh\necho hello\n").chmod(0o755)
    project.write("steps/tool.py", WHERE.replace("tempfile.gettempdir()", TOOL))
    # as at sites whose module is a function that every bash reads from a file
    env = {"BASH_ENV": str(project.folder / "module.sh")}
    site = (project.folder / "site.yaml").read_text()
    project.write("site.yaml", f"{site}modules: [tools/1.0]\n")
    body = "    from steps.tool import where\n    t.add(where, resources=Resources(hours=1))\n"
    module = project.pipeline("tooled", body)
    ended = submit(project, module, env=env)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert results(project)["where"] == "hello\n"
    project.write("site.yaml", f"{site}modules: [tools/2.0]\n")
    ended = submit(project, module, "--no-cache", env=env)
    assert ended.returncode == 1
    assert "error: module tools/2.0 cannot be loaded on" in project.record()["reason"]
    assert "no modulefile tools/2.0" in ended.stdout


TOOL = '__import__("subprocess").run(["greet"], capture_output=True, text=True).stdout'


def test_a_private_workspace_is_gone_after_the_job_also_after_a_killed_one(project, tmp_path):
    scratch = tmp_path / "scratch"
    stale = scratch / "soundgate-job-1-dead"
    stale.mkdir(parents=True)
    text = (project.folder / "site.yaml").read_text() + f"node_scratch: {scratch}\nexport: NONE\n"
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
