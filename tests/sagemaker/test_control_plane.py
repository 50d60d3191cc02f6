"""The loopback AWS answers as SageMaker's API does, seen with boto3."""

from __future__ import annotations

import json
import time

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from definition_runner.errors import REASONS
from jobs_by_hand import COPY, ROLE, WRITE, get, join, output, parameter

pytestmark = pytest.mark.emulator("definition_runner", "control_plane")

ONCE = Config(retries={"total_max_attempts": 1})
CACHED = {"CacheConfig": {"Enabled": True}}


@pytest.fixture
def sagemaker(aws):
    """A client as programs make it, by the environment alone."""
    client = boto3.client("sagemaker", config=ONCE)
    yield client
    client.close()


@pytest.fixture
def pipeline(world, sagemaker):
    """Two steps; the second fails where the parameter says so."""
    code = COPY + "print('copied')\nraise SystemExit(int(sys.argv[1]))".replace(
        "sys", "__import__('sys')"
    )
    fails = join(get("Parameters.fails"), on="")
    steps = [
        world.processing("write", WRITE, outputs=("out",), **CACHED),
        world.processing(
            "copy",
            code,
            inputs={"in": output("write", "out")},
            outputs=("out",),
            arguments=(fails,),
        ),
    ]
    definition = {
        "Version": "2020-12-01",
        "Parameters": [parameter("fails", "Integer", 0)],
        "Steps": steps,
    }
    sagemaker.create_pipeline(
        PipelineName="toy",
        PipelineDefinition=json.dumps(definition),
        RoleArn=ROLE,
        ClientRequestToken="x" * 32,
        Tags=[{"Key": "team", "Value": "audio"}],
    )
    return definition


def started(client, **more) -> str:
    return client.start_pipeline_execution(PipelineName="toy", **more)["PipelineExecutionArn"]


def ended(client, arn: str) -> dict:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found = client.describe_pipeline_execution(PipelineExecutionArn=arn)
        if found["PipelineExecutionStatus"] not in ("Executing", "Stopping"):
            return found
        time.sleep(0.05)
    pytest.fail("the execution does not end")


def steps_of(client, arn: str, **more) -> list[dict]:
    answer = client.list_pipeline_execution_steps(PipelineExecutionArn=arn, **more)
    return answer["PipelineExecutionSteps"]


def test_an_execution_runs_and_is_described(sagemaker, pipeline):
    arn = started(sagemaker, PipelineExecutionDisplayName="mine", ClientRequestToken="t" * 32)
    assert started(sagemaker, ClientRequestToken="t" * 32) == arn
    found = ended(sagemaker, arn)
    assert found["PipelineExecutionStatus"] == "Succeeded"
    assert found["PipelineExecutionDisplayName"] == "mine"
    assert arn.startswith(found["PipelineArn"] + "/execution/")
    steps = steps_of(sagemaker, arn)
    assert [s["StepName"] for s in steps] == ["write", "copy"]
    assert {s["StepStatus"] for s in steps} == {"Succeeded"}
    first, token = (
        sagemaker.list_pipeline_execution_steps(PipelineExecutionArn=arn, MaxResults=1)[key]
        for key in ("PipelineExecutionSteps", "NextToken")
    )
    assert [*first, *steps_of(sagemaker, arn, NextToken=token)] == steps
    assert steps_of(sagemaker, arn, SortOrder="Descending") == steps[::-1]
    name = steps[0]["Metadata"]["ProcessingJob"]["Arn"].rpartition("/")[2]
    job = sagemaker.describe_processing_job(ProcessingJobName=name)
    assert job["ProcessingJobStatus"] == "Completed"
    assert job["ProcessingEndTime"] >= job["ProcessingStartTime"]
    summaries = sagemaker.list_pipeline_executions(PipelineName="toy")
    assert [s["PipelineExecutionArn"] for s in summaries["PipelineExecutionSummaries"]] == [arn]
    pipelines = sagemaker.list_pipelines()["PipelineSummaries"]
    assert [p["PipelineName"] for p in pipelines] == ["toy"]


def test_a_failed_step_tells_why_the_execution_only_that(sagemaker, pipeline):
    arn = started(sagemaker, PipelineParameters=[{"Name": "fails", "Value": "3"}])
    found = ended(sagemaker, arn)
    assert found["PipelineExecutionStatus"] == "Failed"
    assert found["FailureReason"] == "Step failure: One or multiple steps failed."
    failed = steps_of(sagemaker, arn)[-1]
    assert failed["FailureReason"] == "AlgorithmError: , exit code: 3"
    given = sagemaker.list_pipeline_parameters_for_execution(PipelineExecutionArn=arn)
    assert given["PipelineParameters"] == [{"Name": "fails", "Value": "3"}]
    logs = boto3.client("logs")
    name = failed["Metadata"]["ProcessingJob"]["Arn"].rpartition("/")[2]
    group = "/aws/sagemaker/ProcessingJobs"
    streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{name}/")
    [stream] = streams["logStreams"]
    events = logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"])
    assert [e["message"] for e in events["events"]] == ["copied"]
    logs.close()


def test_a_second_execution_shows_what_it_took_from_the_first(sagemaker, pipeline):
    first = started(sagemaker)
    ended(sagemaker, first)
    second = started(sagemaker, PipelineParameters=[{"Name": "fails", "Value": "1"}])
    ended(sagemaker, second)
    write, copy = steps_of(sagemaker, second)
    assert write["CacheHitResult"] == {"SourcePipelineExecutionArn": first}
    assert (copy["StepStatus"], "CacheHitResult" in copy) == ("Failed", False)
    chosen = started(
        sagemaker,
        SelectiveExecutionConfig={
            "SourcePipelineExecutionArn": second,
            "SelectedSteps": [{"StepName": "copy"}],
        },
    )
    described = ended(sagemaker, chosen)
    assert described["PipelineExecutionStatus"] == "Succeeded"
    assert described["SelectiveExecutionConfig"]["SelectedSteps"] == [{"StepName": "copy"}]
    write, copy = steps_of(sagemaker, chosen)
    assert write["SelectiveExecutionResult"] == {"SourcePipelineExecutionArn": second}
    assert (copy["StepName"], copy["StepStatus"]) == ("copy", "Succeeded")


def test_an_execution_is_stopped_and_retried(world, sagemaker):
    code = "import os, time\nif not os.path.exists('go'): time.sleep(60)"
    definition = {"Version": "2020-12-01", "Steps": [world.processing("slow", code)]}
    text = json.dumps(definition)
    sagemaker.create_pipeline(
        PipelineName="toy", PipelineDefinition=text, RoleArn=ROLE, ClientRequestToken="x" * 32
    )
    world.account.grace_s = 0.1
    arn = started(sagemaker)
    while not steps_of(sagemaker, arn):
        time.sleep(0.02)
    sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken="y" * 32)
    assert ended(sagemaker, arn)["PipelineExecutionStatus"] == "Stopped"
    world.account.grace_s = 10.0
    assert [s["StepStatus"] for s in steps_of(sagemaker, arn)] == ["Stopped"]
    with pytest.raises(ClientError, match=r"ValidationException.*is Stopped"):
        sagemaker.stop_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken="z" * 32)
    (world.project / "go").touch()
    sagemaker.retry_pipeline_execution(PipelineExecutionArn=arn, ClientRequestToken="y" * 32)
    assert ended(sagemaker, arn)["PipelineExecutionStatus"] == "Succeeded"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"PipelineName": "toi"}, "ResourceNotFound.*'toi' does not exist"),
        (
            {"PipelineParameters": [{"Name": "fail", "Value": "1"}]},
            r"ValidationException.*\['fail'\] are not defined",
        ),
        (
            {"PipelineParameters": [{"Name": "fails", "Value": "x"}]},
            "ValidationException.*'x' is no Integer",
        ),
        (
            {"PipelineParameters": [{"Name": "fails", "Value": ""}]},
            'ValidationException.*string "" is too short',
        ),
        (
            {
                "SelectiveExecutionConfig": {
                    "SourcePipelineExecutionArn": "arn:aws:sagemaker:eu-west-1:123456789012:"
                    "pipeline/toy/execution/abcdefghijkl",
                    "SelectedSteps": [{"StepName": "copy"}],
                }
            },
            "ResourceNotFound.*abcdefghijkl' does not exist",
        ),
    ],
)
def test_a_wrong_start_starts_nothing(aws, sagemaker, pipeline, given, said):
    with pytest.raises(ClientError, match=said):
        sagemaker.start_pipeline_execution(**{"PipelineName": "toy", **given})
    assert not aws.executions


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"Steps": [{"Name": "a", "Type": "Lambda", "Arguments": {}}]}, "no type 'Lambda'"),
        ({"Steps": [{"Name": "a"}]}, "KeyError"),
        ("{not json", "JSONDecodeError"),
    ],
)
def test_a_definition_that_cannot_work_is_refused_and_leaves_no_pipeline(
    sagemaker, pipeline, change, said
):
    text = change if isinstance(change, str) else json.dumps({**pipeline, **change})
    given = {"PipelineDefinition": text, "RoleArn": ROLE}
    with pytest.raises(ClientError, match=f"ValidationException.*{said}"):
        sagemaker.create_pipeline(PipelineName="wrong", ClientRequestToken="y" * 32, **given)
    with pytest.raises(ClientError, match=f"ValidationException.*{said}"):
        sagemaker.update_pipeline(PipelineName="toy", **given)
    assert [p["PipelineName"] for p in sagemaker.list_pipelines()["PipelineSummaries"]] == ["toy"]
    kept = sagemaker.describe_pipeline(PipelineName="toy")["PipelineDefinition"]
    assert json.loads(kept) == pipeline


@pytest.mark.parametrize(
    ("service", "operation", "call"),
    [
        ("sagemaker", "ListPipelines", lambda c: c.list_pipelines()),
        ("s3", "ListObjectsV2", lambda c: c.list_objects_v2(Bucket="artifacts")),
        ("s3", "PutObject", lambda c: c.put_object(Bucket="artifacts", Key="a", Body=b"x")),
        ("sts", "GetCallerIdentity", lambda c: c.get_caller_identity()),
        ("logs", "DescribeLogGroups", lambda c: c.describe_log_groups()),
    ],
)
def test_faults_of_services_are_injected_as_often_as_asked(world, service, operation, call):
    client = boto3.client(service, config=ONCE)
    world.plane.fail(operation, code="AccessDenied", message="not you", status=403, times=2)
    for _ in range(2):
        with pytest.raises(ClientError) as denied:
            call(client)
        assert denied.value.response["Error"] == {"Code": "AccessDenied", "Message": "not you"}
        assert denied.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    call(client)
    assert world.plane.requests.count(operation) == 3
    client.close()


def test_a_missing_bucket_of_a_head_request_shows_its_status_alone(world):
    client = boto3.client("s3", config=ONCE)
    world.plane.fail("*", code="AccessDenied", status=403)
    with pytest.raises(ClientError, match="403"):
        client.head_bucket(Bucket="artifacts")
    client.head_bucket(Bucket="artifacts")
    with pytest.raises(ClientError, match="404"):
        client.head_bucket(Bucket="no-such-bucket")
    client.close()


def test_every_exception_type_of_policies_can_be_injected(world):
    for kind in REASONS:
        world.account.faults.fail("look", kind)
        execution = world.run(world.processing("look", "print(1)"))
        assert execution.steps["look"].reason == REASONS[kind]
