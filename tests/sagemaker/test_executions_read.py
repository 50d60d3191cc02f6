from __future__ import annotations

import json

import pytest
from scripted_aws import Script, reused, tasks

from soundgate.executors.sagemaker.service import executions, states
from soundgate.executors.sagemaker.service.resume import to_run


def listed(name, status="Succeeded", **more):
    return {"StepName": name, "StepStatus": status, "AttemptCount": 1, **more}


ARN = "arn:aws:sagemaker:eu-west-1:123456789012:pipeline/toy/execution/abc"
JOB = "arn:aws:sagemaker:eu-west-1:123456789012:processing-job/pipelines-abc-make"


def test_an_execution_of_many_steps_is_read_to_the_end():
    def steps(given):
        first = int(given.get("NextToken", 0))
        found = {"PipelineExecutionSteps": [listed(f"s{n}") for n in range(first, first + 100)]}
        return found | ({"NextToken": str(first + 100)} if first < 200 else {})

    aws = Script(
        describe_pipeline_execution={"PipelineExecutionStatus": "Succeeded"},
        list_pipeline_execution_steps=steps,
    )
    assert len(executions.look(aws, ARN).steps) == 300


@pytest.mark.parametrize(
    ("status", "state", "others"),
    [
        ("Succeeded", "succeeded", "skipped"),
        ("Failed", "failed", "skipped"),
        ("CompletedWithFailures", "failed", "skipped"),
        ("Stopped", "cancelled", "cancelled"),
    ],
)
def test_every_terminal_status_ends_a_run(status, state, others):
    definition = {"Steps": [{"Name": "make", "Type": "Processing"}]}
    definition["Steps"].append({"Name": "last", "Type": "Processing"})
    aws = Script(
        describe_pipeline_execution={
            "PipelineExecutionStatus": status,
            "FailureReason": "the role cannot be assumed",
        },
        list_pipeline_execution_steps={
            "PipelineExecutionSteps": [
                listed("make", CacheHitResult={"SourcePipelineExecutionArn": ARN})
            ]
        },
        describe_pipeline_definition_for_execution={"PipelineDefinition": json.dumps(definition)},
    )
    task = {"state": "pending", "reason": "", "note": "", "engine_id": "", "attempt": 0}
    record = {"state": "running", "reason": "", "tasks": {"make": dict(task), "last": dict(task)}}
    states.Watcher(aws, ARN).look(record)
    assert record["state"] == state
    assert record["ended_at"]
    assert tasks(record) == {"make": "done", "last": others}
    assert reused(record) == ["make"]
    if state == "failed":
        assert record["reason"] == "the role cannot be assumed"


def test_the_job_of_a_reused_step_is_found_where_it_ran():
    """A cache hit's entry need not name the job; the execution that it comes from does."""
    entries = {
        ARN: [listed("make", CacheHitResult={"SourcePipelineExecutionArn": f"{ARN}1"})],
        f"{ARN}1": [listed("make", CacheHitResult={"SourcePipelineExecutionArn": f"{ARN}2"})],
        f"{ARN}2": [listed("make", Metadata={"ProcessingJob": {"Arn": JOB}})],
    }
    aws = Script(
        describe_pipeline_execution={"PipelineExecutionStatus": "Succeeded"},
        list_pipeline_execution_steps=lambda given: {
            "PipelineExecutionSteps": entries[given["PipelineExecutionArn"]]
        },
    )
    assert executions.job_of(aws, executions.look(aws, ARN).steps["make"]) == JOB


def test_a_condition_and_its_branches_run_together():
    def job(name, *after):
        return {"Name": name, "Type": "Processing", "DependsOn": list(after), "Arguments": {}}

    inside = {"IfSteps": [job("c")], "ElseSteps": [{"Name": "no", "Type": "Fail", "Arguments": {}}]}
    gate = {"Name": "g", "Type": "Condition", "DependsOn": ["b"], "Arguments": inside}
    definition = {"Steps": [job("a"), job("b", "a"), job("beside"), gate]}
    everything = {"a", "b", "beside", "g", "c"}
    assert to_run(definition, everything, set()) == set()
    assert to_run(definition, everything - {"c"}, set()) == {"g", "c", "no"}
    assert to_run(definition, everything, {"b"}) == {"b", "g", "c", "no"}
    assert to_run(definition, everything - {"beside"}, set()) == {"beside"}


def test_reasons_lose_what_sagemaker_puts_around_them():
    told = "ClientError: AlgorithmError: DataError: clips/a.wav, exit code: 1"
    assert states.plain_reason(told) == "DataError: clips/a.wav"
    assert states.plain_reason("AlgorithmError: , exit code: 137") != ""
