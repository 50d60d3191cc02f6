"""The definition runner keeps the container contract: small definitions, real processes, moto."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from definition_runner import Image, container
from jobs_by_hand import COPY, WRITE, get, join, output, parameter

pytestmark = [pytest.mark.emulator("definition_runner", "control_plane"), pytest.mark.slow]
ROOT = Path(__file__).resolve().parents[2]
LOOK = """
import json, os, pathlib, sys
places = ("/opt/ml", "/tmp", sys.argv[1])
try:
    pathlib.Path("/opt/program/written").touch()
    writable = True
except OSError:
    writable = False
seen = {"environment": dict(os.environ), "pid": os.getpid(), "cwd": os.getcwd(), "argv": sys.argv,
        "folders": {p: sorted(os.listdir(p)) if os.path.isdir(p) else None for p in places},
        "writable": writable, "config": {p.name: json.loads(p.read_text())
                                         for p in pathlib.Path("/opt/ml/config").iterdir()}}
pathlib.Path("/opt/ml/processing/output/out/seen.json").write_text(json.dumps(seen))
"""


def seen(world, execution, step: str = "look") -> dict:
    return json.loads(world.read(f"s3://{world.bucket}/{execution.id}/{step}/out/seen.json"))


# The container


def test_a_job_has_the_environment_it_is_given_and_no_other(world, monkeypatch):
    monkeypatch.setenv("SOUNDGATE_LEAK", "from the host")
    hidden = Path("/usr/share")  # the checkout itself may lie below /tmp, which no container sees
    world.account.image = Image(world.project, environment={"BAKED": "in"}, hidden=(hidden,))
    look = world.processing(
        "look",
        LOOK,
        outputs=("out",),
        inputs={"clips": world.put("clips/a.wav")},
        arguments=(str(hidden), "--name", get("Parameters.name")),
        environment={"SOUNDGATE_TASK": "look", "BAKED": join("o", "ver", on="")},
    )
    execution = world.run(look, parameters=[parameter("name", "String", "a b")])
    assert execution.status == "Succeeded", execution.why()
    found, [job] = seen(world, execution), execution.steps["look"].jobs
    path = found["environment"].pop("PATH")
    assert path.startswith(f"{sys.prefix}/bin:")
    assert found["environment"] == {
        "HOME": "/tmp",
        "PYTHONPATH": "/opt/program",
        "BAKED": "over",
        "SOUNDGATE_TASK": "look",
        "PROCESSING_JOB_NAME": job.name,
        "PROCESSING_JOB_ARN": job.arn,
        "AWS_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL": world.plane.url,
        **world.account.keys,
    } | {k: v for k, v in found["environment"].items() if k == "LC_CTYPE"}  # Python sets it itself
    assert found["argv"][1:] == [str(hidden), "--name", "a b"]
    assert (found["pid"], found["cwd"], found["writable"]) == (1, "/opt/program", False)
    folders = found["folders"]
    if Path(sys.prefix).resolve().is_relative_to("/tmp"):  # then the interpreter itself lies there
        folders["/tmp"] = []
    assert folders == {
        "/opt/ml": ["config", "output", "processing"],
        "/tmp": [],
        str(hidden): [],
    }
    config = found["config"]["processingjobconfig.json"]
    assert config["ProcessingInputs"][0]["S3Input"]["S3Uri"] == f"s3://{world.bucket}/clips/a.wav"
    assert found["config"]["resourceconfig.json"]["hosts"] == ["algo-1"]
    assert not Path("/opt/ml").exists()
    assert not any(world.account.folder.iterdir()), "jobs leave nothing on this machine"


def test_a_job_sees_the_cores_of_its_instance_alone(world):
    first = min(os.sched_getaffinity(0))
    world.account.image = replace(world.account.image, cores=(first,))
    execution = world.run(world.processing("look", "import os; print(os.sched_getaffinity(0))"))
    assert execution.steps["look"].log == [f"{{{first}}}"]


def test_what_a_job_left_running_ends_with_it(world):
    code = """
    import subprocess, sys
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(321)"],
                     start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    """
    assert world.run(world.processing("left", code)).status == "Succeeded"
    lines = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert "time.sleep(321)" not in lines.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_containers_need_no_root():
    """The same job as a user without any rights, by user namespaces."""
    script = (
        "import sys, threading, pathlib; sys.path.insert(0, sys.argv[1])\n"
        "from definition_runner import Image, container\n"
        "print(container.why_not())\n"
        "rules = container.Rules(limit_s=20, grace_s=1, halt=threading.Event())\n"
        "ml = pathlib.Path(sys.argv[2]); (ml / 'model').mkdir()\n"
        "words = ['sh', '-c', 'echo $$ $(ls /opt/ml) $HOST']\n"
        "ended = container.run(Image(ml), ml, words, {}, rules, print)\n"
        "print(ended.code)\n"
    )
    nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    with tempfile.TemporaryDirectory() as ml:  # pytest's own folders are closed to others
        Path(ml).chmod(0o777)
        done = subprocess.run(
            [*nobody, sys.executable, "-c", script, str(Path(__file__).parent), ml],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            env={"PATH": os.environ["PATH"], "HOST": "leaks"},
        )
    why, *rest = done.stdout.splitlines() or [done.stderr]
    if why:
        pytest.skip(f"no user namespaces here: {why}")
    assert rest == ["1 model", "0"], done.stdout + done.stderr


def test_no_container_outlives_the_tests_process(tmp_path):
    """However it dies."""
    script = (
        "import sys, threading, pathlib; sys.path.insert(0, sys.argv[1])\n"
        "from definition_runner import Image, container\n"
        "rules = container.Rules(limit_s=60, grace_s=1, halt=threading.Event())\n"
        "ml = pathlib.Path(sys.argv[2])\n"
        "code = 'import time; print(1, flush=True); time.sleep(654)'\n"
        "say = lambda line: print(line, flush=True)\n"
        "container.run(Image(ml), ml, ['python', '-c', code], {}, rules, say)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(Path(__file__).parent), str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout.readline() == "1\n"
        process.kill()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        lines = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
        if "time.sleep(654)" not in lines.stdout:
            return
        time.sleep(0.05)
    pytest.fail("the container runs on")


# Processing jobs


def test_outputs_become_inputs_through_s3(world):
    write = world.processing("write", WRITE, outputs=("out",), arguments=("hello",))
    copy = world.processing("copy", COPY, inputs={"in": output("write", "out")}, outputs=("out",))
    execution = world.run(copy, write)
    assert execution.status == "Succeeded", execution.why()
    assert execution.executed == ["write", "copy"]
    assert world.read(f"s3://{world.bucket}/{execution.id}/copy/out/value.txt") == "hello!"


def test_a_prefix_is_text(world):
    """Also longer names begin with it; an object given by its key keeps its name."""
    for key in ("part/a", "part/deep/b", "part-2/c", "part/", "other/d"):
        world.put(key)
    code = """
    import pathlib, json
    root = pathlib.Path("/opt/ml/processing/input")
    found = {i.name: sorted(str(p.relative_to(i)) for p in i.rglob("*") if p.is_file())
             for i in root.iterdir()}
    pathlib.Path("/opt/ml/processing/output/out/seen.json").write_text(json.dumps(found))
    """
    uris = {"folder": "part/", "text": "part", "object": "part/deep/b", "start": "part/d"}
    inputs = {name: f"s3://{world.bucket}/{key}" for name, key in uris.items()}
    execution = world.run(world.processing("look", code, inputs=inputs, outputs=("out",)))
    assert seen(world, execution) == {
        "folder": ["a", "deep/b"],
        "text": ["a", "deep/b", "part-2/c"],
        "object": ["b"],
        "start": ["deep/b"],
    }


@pytest.mark.parametrize(("key", "bucket"), [("nothing/", "artifacts"), ("a/", "no-such-bucket")])
def test_an_input_without_objects_fails_the_job(world, key, bucket):
    world.put("nothing")  # shorter than the prefix
    uri = f"s3://{bucket}/{key}"
    execution = world.run(world.processing("look", "print('never')", inputs={"in": uri}))
    assert execution.status == "Failed"
    assert "Data download failed" in execution.steps["look"].reason
    assert uri in execution.steps["look"].reason
    assert execution.steps["look"].log == []


def test_a_program_that_fails_says_why_in_1024_characters(world):
    code = """
    import pathlib, sys
    pathlib.Path("/opt/ml/output/message").write_text("é" * 2000)
    pathlib.Path("/opt/ml/processing/output/out/half").touch()
    sys.exit(3)
    """
    execution = world.run(world.processing("write", code, outputs=("out",)))
    [job] = execution.steps["write"].jobs
    assert (execution.status, job.status) == ("Failed", "Failed")
    assert execution.steps["write"].reason == f"AlgorithmError: {'é' * 1024}, exit code: 3"
    assert job.describe()["ExitMessage"] == "é" * 1024
    assert world.listed() == []


def test_a_job_ends_when_its_time_is_over_and_nobody_can_ignore_it(world):
    """SIGTERM, the grace, SIGKILL; process 1 ignores what it does not handle."""
    world.account.grace_s = 0.3
    code = "import time\nprint('on', flush=True)\ntime.sleep(100)"
    started = time.monotonic()
    try:
        execution = world.run(world.processing("slow", code, limit_s=1))
    finally:
        world.account.grace_s = 10.0
    assert 1.3 <= time.monotonic() - started < 5
    assert execution.steps["slow"].reason.endswith("exceeded its MaxRuntimeInSeconds")
    assert execution.steps["slow"].log == ["on"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"Environment": {"A": 1}}, "Invalid type for parameter Environment.A"),
        ({"Enviroment": {}}, "Enviroment: unknown field"),
        ({"RoleArn": "soundgate"}, "RoleArn: 'soundgate' does not match"),
        ({"StoppingCondition": {"MaxRuntimeInSeconds": "60"}}, "Invalid type for parameter"),
    ],
)
def test_arguments_the_service_would_refuse_start_no_job(world, change, said):
    step = world.processing("look", "print('never')")
    step["Arguments"].update(change)
    execution = world.run(step)
    reason = execution.steps["look"].reason
    assert said in reason
    assert "ValidationException calling CreateProcessingJob" in reason
    assert world.account.jobs == {}


def test_an_argument_of_257_characters_is_refused(world):
    step = world.processing("look", WRITE, outputs=("out",), arguments=("x" * 256,))
    assert world.run(step).status == "Succeeded"
    step = world.processing("look", WRITE, outputs=("out",), arguments=("x" * 257,))
    assert "257 characters are more than 256" in world.run(step).steps["look"].reason


def test_a_number_as_an_argument_is_refused_joined_it_is_text(world):
    epochs = parameter("epochs", "Integer", 160)
    step = world.processing("look", WRITE, outputs=("out",), arguments=(get("Parameters.epochs"),))
    assert "Invalid type" in world.run(step, parameters=[epochs]).steps["look"].reason
    joined = (join("--epochs=", get("Parameters.epochs"), on=""),)
    step = world.processing("look", WRITE, outputs=("out",), arguments=joined)
    for java, text in ((False, "--epochs=160"), (True, "--epochs=160.0")):
        world.account.java_numbers = java
        execution = world.run(step, parameters=[epochs])
        assert world.read(f"s3://artifacts/{execution.id}/look/out/value.txt") == text


def test_a_fault_of_the_runner_is_raised_and_never_a_result(world):
    step = world.processing("look", "print(1)")
    step["Arguments"]["ProcessingResources"]["ClusterConfig"]["InstanceCount"] = 2
    with pytest.raises(NotImplementedError, match="InstanceCount: 2 is not played"):
        world.run(step)


def test_a_container_that_cannot_start_says_so(world):
    step = world.processing("look", "print(1)")
    step["Arguments"]["AppSpecification"]["ContainerEntrypoint"] = ["no-such-program"]
    execution = world.run(step)
    assert execution.steps["look"].reason == "AlgorithmError: , exit code: 127"
    assert "no-such-program" in execution.steps["look"].log[-1]


def test_signals_reach_the_program_itself(tmp_path):
    """Not the shell that started it."""
    halt = threading.Event()
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
        "print('on', flush=True); time.sleep(60)"
    )
    (tmp_path / "ml").mkdir()
    rules = container.Rules(limit_s=30, grace_s=10, halt=halt)
    ended = container.run(
        Image(tmp_path), tmp_path / "ml", ["python", "-c", code], {}, rules, lambda _: halt.set()
    )
    assert (ended.why, ended.code) == (container.End.STOPPED, 7)
