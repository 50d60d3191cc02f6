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
from datetime import timedelta
from pathlib import Path

import pytest
from definition_runner import Cache, Image, Refused, container
from jobs_by_hand import COPY, WRITE, archived, get, join, json_get, output, parameter

pytestmark = [pytest.mark.emulator("definition_runner", "control_plane"), pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
CACHED = {"CacheConfig": {"Enabled": True, "ExpireAfter": "P30D"}}
RETRIED = [
    {
        "ExceptionType": ["SageMaker.CAPACITY_ERROR", "Step.THROTTLING"],
        "IntervalSeconds": 60,
        "BackoffRate": 2.0,
        "MaxAttempts": 2,
    }
]
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


# Training jobs

TRAIN = """
import json, pathlib, sys
ml = pathlib.Path("/opt/ml")
settings = json.loads((ml / "input/config/hyperparameters.json").read_text())
print("Clip-level accuracy : 0.25")
print("Clip-level accuracy : 0.75 and", sys.argv[1:])
clip = (ml / "input/data/clips/a").read_text()
(ml / "model/weights.txt").write_text(json.dumps(settings) + clip)
(ml / "model/deep").mkdir()
(ml / "model/deep/more").touch()
(ml / "output/data/plot").touch()
"""


def test_a_training_leaves_its_model_its_output_and_its_metrics(world):
    world.put("clips/a", " clip")
    train = world.training(
        "train",
        TRAIN,
        channels={"clips": f"s3://{world.bucket}/clips/"},
        metrics=(("clip:accuracy", r"Clip-level accuracy : ([0-9\.]+)"), ("none", "no (x)")),
        algorithm={"ContainerArguments": ["--epochs", "2"]},
        arguments={"HyperParameters": {"epochs": join(get("Parameters.epochs"), on="")}},
    )
    use = world.processing(
        "use",
        "import os, tarfile\n"
        "archive = '/opt/ml/processing/input/model/model.tar.gz'\n"
        "print(tarfile.open(archive).getnames())",
        inputs={"model": get("Steps.train.ModelArtifacts.S3ModelArtifacts")},
    )
    execution = world.run(train, use, parameters=[parameter("epochs", "Integer", 2)])
    assert execution.status == "Succeeded", execution.why()
    described = execution.steps["train"].properties
    archive = described["ModelArtifacts"]["S3ModelArtifacts"]
    name = described["TrainingJobName"]
    assert archive == f"s3://artifacts/models/{name}/output/model.tar.gz"
    assert archived(world.account, archive) == {
        "weights.txt": b'{"epochs": "2"} clip',
        "deep/more": b"",
    }
    assert archived(world.account, archive.replace("model.tar", "output.tar")) == {"plot": b""}
    assert described["FinalMetricDataList"] == [{"MetricName": "clip:accuracy", "Value": 0.75}]
    assert execution.steps["train"].log[-1] == "Clip-level accuracy : 0.75 and ['--epochs', '2']"
    assert execution.steps["use"].log == ["['deep', 'deep/more', 'weights.txt']"]


def test_hyperparameters_that_are_no_text_are_refused(world):
    train = world.training("train", TRAIN, arguments={"HyperParameters": {"epochs": 2}})
    reason = world.run(train).steps["train"].reason
    assert "Invalid type for parameter HyperParameters.epochs" in reason


def test_a_training_that_fails_says_why_and_leaves_no_model(world):
    code = """
    import pathlib
    pathlib.Path("/opt/ml/model/half").touch()
    pathlib.Path("/opt/ml/output/failure").write_text("clips/a.wav: no audio\\n" + "x" * 2000)
    raise SystemExit(2)
    """
    execution = world.run(world.training("train", code))
    reason = execution.steps["train"].reason
    assert reason.startswith("AlgorithmError: clips/a.wav: no audio\nx")
    assert len(reason) == len("AlgorithmError: , exit code: 2") + 1024
    assert execution.failure_reason == "Step failure: One or multiple steps failed."
    assert world.listed() == []


def test_an_image_without_a_command_is_run_with_the_word_train(world):
    train = world.training("train", "import sys; print(sys.argv[1:])")
    entry = train["Arguments"]["AlgorithmSpecification"].pop("ContainerEntrypoint")
    world.account.image = Image(world.project, entrypoint=tuple(entry))
    assert world.run(train).steps["train"].log == ["['train']"]


SPOT = """
import json, pathlib, signal, sys, time
state = pathlib.Path("/opt/ml/checkpoints/epoch.json")
done = json.loads(state.read_text()) if state.exists() else []
signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
print("from", len(done), flush=True)
while len(done) < 4:
    time.sleep(0.15)
    done.append(len(done))
    new = state.with_name("epoch.partial")
    new.write_text(json.dumps(done))
    new.replace(state)
    (state.parent / f"epoch-{len(done)}").touch()
pathlib.Path("/opt/ml/model/done.json").write_text(json.dumps(done))
"""


def spot(world, code: str = SPOT) -> dict:
    return world.training(
        "train",
        code,
        arguments={
            "EnableManagedSpotTraining": True,
            "CheckpointConfig": {
                "S3Uri": f"s3://{world.bucket}/checkpoints",
                "LocalPath": "/opt/ml/checkpoints",
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": 30, "MaxWaitTimeInSeconds": 60},
        },
    )


def test_a_training_goes_on_after_its_spot_instance_was_taken_away(world):
    faults = world.account.faults
    faults.interrupt("train", lambda ml: (ml / "checkpoints/epoch-1").exists())
    faults.interrupt("train", lambda ml: (ml / "checkpoints/epoch-3").exists())
    execution = world.run(spot(world))
    assert execution.status == "Succeeded", execution.why()
    [job] = execution.steps["train"].jobs
    began = [int(line.split()[1]) for line in job.lines]
    assert (began[0], len(began)) == (0, 3)
    assert 1 <= began[1] < began[2] < 4
    assert [t.split()[0] for t in job.transitions] == [
        *("Starting", "Interrupted", "Restored", "Interrupted", "Restored", "Completed")
    ]
    archive = execution.steps["train"].properties["ModelArtifacts"]["S3ModelArtifacts"]
    assert archived(world.account, archive) == {"done.json": b"[0, 1, 2, 3]"}
    assert "checkpoints/epoch-4" in world.listed()


def test_a_training_killed_without_grace_goes_on_from_what_was_synchronised(world):
    world.account.grace_s = 0.0
    deaf = SPOT.replace("sys.exit(75)", "None")
    world.account.faults.interrupt(
        "train", lambda _: "checkpoints/epoch-2" in world.listed("checkpoints/")
    )
    try:
        execution = world.run(spot(world, deaf))
    finally:
        world.account.grace_s = 10.0
    began = [int(line.split()[1]) for line in execution.steps["train"].log]
    assert execution.status == "Succeeded", execution.why()
    assert began[0] == 0
    assert began[1] >= 2


def test_an_interruption_of_what_is_no_spot_instance_is_a_mistake_of_the_test(world):
    world.account.faults.interrupt("train", lambda _: True)
    with pytest.raises(NotImplementedError, match="only spot instances"):
        world.run(world.training("train", "pass"))


# The pipeline


def report(world, value: str, name: str = "evaluate") -> dict:
    code = f"""
    import pathlib
    pathlib.Path("/opt/ml/processing/output/report/evaluation.json").write_text('{value}')
    """
    files = [{"PropertyFileName": "report", "OutputName": "report", "FilePath": "evaluation.json"}]
    return world.processing(name, code, outputs=("report",), PropertyFiles=files)


def gate(name: str, inside: list, *, path: str = "acc.value", **step) -> dict:
    threshold = get(f"Parameters.{name}_threshold")
    return {
        "Name": name,
        "Type": "Condition",
        "Arguments": {
            "Conditions": [
                {
                    "Type": "GreaterThanOrEqualTo",
                    "LeftValue": json_get("evaluate", "report", path),
                    "RightValue": threshold,
                }
            ],
            "IfSteps": inside,
            "ElseSteps": [
                {
                    "Name": f"{name}-missed",
                    "Type": "Fail",
                    "Arguments": {"ErrorMessage": join(f"{name} <", threshold, on=" ")},
                }
            ],
        },
        **step,
    }


THRESHOLDS = [parameter(f"{name}_threshold", "Float", 0.5) for name in ("clip", "patch")]


@pytest.mark.parametrize(
    ("given", "status", "ran", "said"),
    [
        ({}, "Succeeded", ["evaluate", "clip", "patch", "after"], None),
        (
            {"clip_threshold": 0.9},
            "Failed",
            ["evaluate", "clip", "clip-missed"],
            ("clip-missed", "clip < 0.9"),
        ),
        (
            {"patch_threshold": "0.76"},
            "Failed",
            ["evaluate", "clip", "patch", "patch-missed"],
            ("patch-missed", "patch < 0.76"),
        ),
    ],
)
def test_gates_open_the_rest_or_say_which_was_missed(world, given, status, ran, said):
    inner = gate("patch", [world.processing("after", "print('ok')")])
    steps = (report(world, '{"acc": {"value": 0.75}}'), gate("clip", [inner]))
    execution = world.run(*steps, parameters=THRESHOLDS, parameters_given=given)
    assert (execution.status, execution.executed) == (status, ran), execution.why()
    if said:
        assert execution.steps[said[0]].reason == said[1]
        assert execution.steps[said[0]].metadata == {"Fail": {"ErrorMessage": said[1]}}
        assert execution.steps[said[0].removesuffix("-missed")].metadata == {
            "Condition": {"Outcome": "False"}
        }


def test_a_report_without_the_number_fails_the_condition_itself(world):
    steps = (report(world, '{"acc": {"value": "0.9"}}'), gate("clip", []))
    text = world.run(*steps, parameters=THRESHOLDS).steps["clip"]
    assert (text.status, "cannot be compared" in text.reason) == ("Failed", True)
    steps = (report(world, "{}"), gate("clip", []))
    assert "found nothing" in world.run(*steps, parameters=THRESHOLDS).steps["clip"].reason


def test_independent_steps_run_side_by_side_but_not_more_than_allowed(world):
    code = "import time; print(time.time()); time.sleep(0.4); print(time.time())"
    steps = [world.processing(name, code) for name in ("a", "b", "c")]

    def overlapping(execution) -> int:
        spans = [[float(line) for line in execution.steps[n].log] for n in ("a", "b", "c")]
        return max(sum(s <= at < e for s, e in spans) for at, _ in spans)

    assert overlapping(world.run(*steps, max_parallel=3)) >= 2
    assert overlapping(world.run(*steps, max_parallel=1)) == 1


def test_depends_on_orders_steps_that_pass_nothing_on(world):
    first = world.processing("first", "import time; time.sleep(0.2)")
    then = world.processing("then", "print(1)", DependsOn=["first"])
    execution = world.run(then, first)
    assert execution.executed == ["first", "then"]
    assert execution.steps["then"].started_at >= execution.steps["first"].ended_at


def test_a_failure_starts_nothing_more_and_stops_what_runs(world):
    slow = world.processing("slow", "import time; print('on', flush=True); time.sleep(60)")
    after = world.processing("after", "print(1)", DependsOn=["slow"])
    fails = world.processing("fails", "import time; time.sleep(0.5); raise SystemExit(1)")
    world.account.grace_s = 0.1
    started = time.monotonic()
    execution = world.run(slow, after, fails, max_parallel=2)
    world.account.grace_s = 10.0
    assert time.monotonic() - started < 10
    assert {n: r.status for n, r in execution.steps.items()} == {
        "slow": "Stopped",
        "fails": "Failed",
    }


def test_a_stopped_execution_stops_its_jobs_and_can_be_retried(world):
    code = """
    import pathlib, signal, sys, time
    signal.signal(signal.SIGTERM, lambda *_: (print("told", flush=True), sys.exit(75)))
    print("on", flush=True)
    if not pathlib.Path("/opt/program/go").exists():
        time.sleep(60)
    """
    first = world.processing("first", WRITE, outputs=("out",))
    slow = world.processing("slow", code, inputs={"in": output("first", "out")})
    last = world.processing("last", "print(1)", DependsOn=["slow"])
    execution = world.execution(first, slow, last)
    execution.start()
    deadline = time.monotonic() + 20
    while "slow" not in execution.steps or not execution.steps["slow"].log:
        assert time.monotonic() < deadline, execution.why()
        time.sleep(0.02)
    execution.stop()
    assert execution.status == "Stopping"
    assert execution.wait() == "Stopped"
    assert execution.steps["slow"].log == ["on", "told"]
    assert execution.steps["slow"].jobs[0].status == "Stopped"
    (world.project / "go").touch()
    kept = execution.steps["first"]
    execution.retry()
    assert execution.wait() == "Succeeded", execution.why()
    assert execution.steps["first"] is kept
    assert execution.executed == ["first", "slow", "last"]
    with pytest.raises(Refused, match="is Succeeded cannot be retried"):
        execution.retry()


# Registration


def test_a_registered_model_is_in_the_registry_with_its_evidence(world):
    evidence = join(output("evaluate", "report"), "evaluation.json")
    train = world.training("train", "open('/opt/ml/model/weights', 'w').close()")
    package = {
        "Name": "package",
        "Type": "RegisterModel",
        "Arguments": {
            "ModelPackageGroupName": "aed",
            "ModelApprovalStatus": get("Parameters.approval"),
            "ModelMetrics": {
                "ModelQuality": {
                    "Statistics": {"ContentType": "application/json", "S3Uri": evidence}
                }
            },
            "CustomerMetadataProperties": {
                "run": get("Execution.PipelineExecutionId"),
                "accuracy": join(json_get("evaluate", "report", "acc.value"), on=""),
            },
            "InferenceSpecification": {
                "Containers": [
                    {
                        "Image": "image",
                        "ModelDataUrl": get("Steps.train.ModelArtifacts.S3ModelArtifacts"),
                    }
                ],
                "SupportedContentTypes": ["audio/wav"],
                "SupportedResponseMIMETypes": ["application/json"],
            },
        },
    }
    approval = parameter(
        "approval", "String", "PendingManualApproval", ["PendingManualApproval", "Rejected"]
    )
    steps = (train, report(world, '{"acc": {"value": 0.75}}'), package)
    execution = world.run(*steps, parameters=[approval])
    assert execution.status == "Succeeded", execution.why()
    arn = execution.steps["package"].metadata["RegisterModel"]["Arn"]
    found = world.account.sagemaker.describe_model_package(ModelPackageName=arn)
    assert found["ModelPackageVersion"] == 1
    assert found["ModelApprovalStatus"] == "PendingManualApproval"
    assert found["CustomerMetadataProperties"] == {"run": execution.id, "accuracy": "0.75"}
    uri = found["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"]
    assert json.loads(world.read(uri)) == {"acc": {"value": 0.75}}

    package["Arguments"]["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"] = join(
        output("evaluate", "report"), "absent.json"
    )
    again = world.run(*steps, parameters=[approval])
    assert "no object" in again.steps["package"].reason
    with pytest.raises(Refused, match=r"'Approved' is none of"):
        world.run(*steps, parameters=[approval], parameters_given={"approval": "Approved"})


# Caching and retries


def chain(world) -> tuple:
    write = world.processing(
        "write",
        WRITE,
        outputs=("out",),
        arguments=(join("--n=", get("Parameters.n"), on=""),),
        **CACHED,
    )
    copy = world.processing(
        "copy", COPY, inputs={"in": output("write", "out")}, outputs=("out",), **CACHED
    )
    train = world.training("train", "print(1)", channels={"in": output("copy", "out")}, **CACHED)
    return write, copy, train


def test_a_second_execution_repeats_nothing_and_passes_earlier_results_on(world):
    steps, n = chain(world), [parameter("n", "Integer", 1)]
    first = world.run(*steps, parameters=n)
    assert first.executed == ["write", "copy", "train"], first.why()
    second = world.run(*steps, parameters=n)
    assert (second.status, second.executed) == ("Succeeded", [])
    assert {r.cached_from for r in second.steps.values()} == {first.arn}
    assert not world.listed(second.id)
    third = world.run(*steps, parameters=n, parameters_given={"n": 2})
    assert third.executed == ["write", "copy", "train"]
    again = world.run(*steps, parameters=n)
    assert (again.executed, again.steps["write"].cached_from) == ([], first.arn)
    assert world.run(*steps, parameters=n, pipeline="other").executed == [
        *("write", "copy", "train")
    ]


def test_a_result_expires_and_a_failed_step_leaves_none(world, monkeypatch):
    steps, n = chain(world), [parameter("n", "Integer", 1)]
    flaky = world.processing("flaky", "raise SystemExit(1)", DependsOn=["copy"], **CACHED)
    world.run(*steps[:2], flaky, parameters=n)
    second = world.run(*steps[:2], flaky, parameters=n)
    assert second.executed == ["flaky"]
    now = world.account.now
    monkeypatch.setattr(world.account, "now", lambda: now() + timedelta(days=31))
    late = world.run(*steps[:2], parameters=n)
    assert late.executed == ["write", "copy"]


def test_an_execution_id_in_the_environment_spoils_every_hit(world):
    spoilt = world.processing(
        "look", "print(1)", environment={"RUN": get("Execution.PipelineExecutionId")}, **CACHED
    )
    assert [world.run(spoilt).executed for _ in range(2)] == [["look"], ["look"]]


def test_faults_of_the_platform_are_retried_programs_that_fail_are_not(world):
    faults = world.account.faults
    step = world.processing("look", "print(1)", RetryPolicies=RETRIED)
    faults.fail("look", "SageMaker.CAPACITY_ERROR", "Step.THROTTLING")
    execution = world.run(step)
    assert (execution.status, execution.steps["look"].attempts) == ("Succeeded", 3)
    assert [job.status for job in execution.steps["look"].jobs] == ["Failed", "Failed", "Completed"]
    faults.fail("look", *["SageMaker.CAPACITY_ERROR"] * 3)
    execution = world.run(step)
    assert (execution.status, execution.steps["look"].attempts) == ("Failed", 3)
    assert execution.steps["look"].reason.startswith("CapacityError: unable to provision")
    faults.fail("look", "Step.SERVICE_FAULT")  # no policy names it
    assert world.run(step).steps["look"].attempts == 1
    fails = world.processing("look", "raise SystemExit(1)", RetryPolicies=RETRIED)
    assert world.run(fails).steps["look"].attempts == 1


# Selective execution


def test_selected_steps_read_what_an_earlier_execution_left(world):
    steps, n = chain(world), [parameter("n", "Integer", 1)]
    first = world.run(*steps[:2], parameters=n)
    chosen = world.run(*steps[:2], parameters=n, selected=["copy"], source=first)
    assert (chosen.status, chosen.executed) == ("Succeeded", [])
    world.account.cache = Cache()
    chosen = world.run(*steps[:2], parameters=n, selected=["copy"], source=first)
    assert (chosen.status, chosen.executed) == ("Succeeded", ["copy"]), chosen.why()
    assert chosen.steps["write"].selected_from == first.arn
    assert world.read(f"s3://artifacts/{chosen.id}/copy/out/value.txt") == "--n=1!"


def test_selected_steps_behind_gates_open_as_their_gates_did(world):
    after = world.processing("after", "print(1)")
    steps = (report(world, '{"acc": {"value": 0.75}}'), gate("clip", [gate("patch", [after])]))
    first = world.run(*steps, parameters=THRESHOLDS)
    only = world.run(*steps, parameters=THRESHOLDS, selected=["after"], source=first)
    assert (only.status, only.executed) == ("Succeeded", ["after"])
    judged = world.run(
        *steps,
        parameters=THRESHOLDS,
        parameters_given={"patch_threshold": 0.9},
        selected=["clip", "patch", "after", "patch-missed"],
        source=first,
    )
    assert judged.executed == ["clip", "patch", "patch-missed"]


@pytest.mark.parametrize(
    ("selected", "said"),
    [
        (["write", "train"], "copy lies between selected steps"),
        (["writ"], r"no steps \['writ'\]"),
        (["train"], "the source execution has no result of copy"),
    ],
)
def test_what_cannot_be_selected_is_refused(world, selected, said):
    steps, n = chain(world), [parameter("n", "Integer", 1)]
    source = world.run(steps[0], parameters=n)
    with pytest.raises(Refused, match=said):
        world.execution(*steps, parameters=n, selected=selected, source=source)


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
