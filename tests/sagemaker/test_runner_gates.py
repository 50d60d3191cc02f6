from __future__ import annotations

import json
import time

import pytest
from definition_runner import Refused
from gated_jobs import THRESHOLDS, gate, report
from jobs_by_hand import WRITE, get, join, json_get, output, parameter

pytestmark = [pytest.mark.emulator("definition_runner", "control_plane"), pytest.mark.slow]


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
