"""Mistakes seeded into a sound definition are each refused, with the step and the field named."""

# ruff: noqa: E501 - a table is read line by line

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path

import pytest
from sagemaker_toy import IMAGE, ROLE

from soundgate import invocation, runs
from soundgate.errors import DefinitionError, ParameterError
from soundgate.executors.base import Options
from soundgate.executors.sagemaker import profile
from soundgate.executors.sagemaker.rendering import definition as rendering
from soundgate.executors.sagemaker.validation import definition as validation
from soundgate.executors.sagemaker.validation.references import all_steps

ROOT = Path(__file__).resolve().parents[2]


def get(path):
    return {"Get": path}


def uri(*parts):
    return {"Std:Join": {"On": "/", "Values": ["s3:/", get("Parameters.bucket"), *parts]}}


def processing(name, **changes):
    """A Processing step that reads a prefix and writes ``report``."""
    where = uri("runs", get("Execution.PipelineExecutionId"), name)
    machine = {"InstanceType": get("Parameters.machine"), "InstanceCount": 1, "VolumeSizeInGB": 50}
    return {
        "Name": name,
        "Type": "Processing",
        "Arguments": {
            "AppSpecification": {
                "ImageUri": get("Parameters.image_uri"),
                "ContainerEntrypoint": ["python", "-m", f"steps.{name}"],
                "ContainerArguments": ["--out", "/opt/ml/processing/output/report"],
            },
            "Environment": {"PYTHONUNBUFFERED": "1"},
            "ProcessingResources": {"ClusterConfig": machine},
            "ProcessingInputs": [
                {
                    "InputName": "source",
                    "S3Input": {
                        "S3Uri": uri("files"),
                        "LocalPath": "/opt/ml/processing/input/source",
                        "S3DataType": "S3Prefix",
                        "S3InputMode": "File",
                    },
                }
            ],
            "ProcessingOutputConfig": {
                "Outputs": [
                    {
                        "OutputName": "report",
                        "S3Output": {
                            "S3Uri": where,
                            "LocalPath": "/opt/ml/processing/output/report",
                            "S3UploadMode": "EndOfJob",
                        },
                    }
                ]
            },
            "RoleArn": get("Parameters.role"),
            "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        },
        "CacheConfig": {"Enabled": True, "ExpireAfter": "P30D"},
        "RetryPolicies": [
            {
                "ExceptionType": ["Step.THROTTLING", "SageMaker.CAPACITY_ERROR"],
                "IntervalSeconds": 60,
                "BackoffRate": 2.0,
                "MaxAttempts": 3,
            }
        ],
        **changes,
    }


def training(name):
    """A Training step on spot instances that reads what ``prepare`` wrote."""
    source = get("Steps.prepare.ProcessingOutputConfig.Outputs['report'].S3Output.S3Uri")
    return {
        "Name": name,
        "Type": "Training",
        "Arguments": {
            "AlgorithmSpecification": {
                "TrainingImage": get("Parameters.image_uri"),
                "TrainingInputMode": "File",
                "ContainerEntrypoint": ["python", "-m", "steps.train"],
                "MetricDefinitions": [{"Name": "clip:accuracy", "Regex": r"accuracy: ([0-9\.]+)"}],
            },
            "HyperParameters": {
                "epochs": {"Std:Join": {"On": "", "Values": [get("Parameters.n")]}}
            },
            "InputDataConfig": [
                {
                    "ChannelName": "features",
                    "DataSource": {
                        "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": source},
                    },
                }
            ],
            "OutputDataConfig": {"S3OutputPath": uri("models")},
            "ResourceConfig": {
                "InstanceType": "ml.g5.xlarge",
                "InstanceCount": 1,
                "VolumeSizeInGB": 100,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 7200},
            "EnableManagedSpotTraining": True,
            "RoleArn": get("Parameters.role"),
        },
    }


def gate():
    """A condition on ``evaluate``'s report; behind it the model is registered."""
    package = {
        "Name": "register",
        "Type": "RegisterModel",
        "Arguments": {
            "ModelPackageGroupName": "aed",
            "ModelApprovalStatus": get("Parameters.approval"),
            "InferenceSpecification": {
                "Containers": [
                    {
                        "Image": get("Parameters.image_uri"),
                        "ModelDataUrl": get("Steps.train.ModelArtifacts.S3ModelArtifacts"),
                    }
                ],
                "SupportedContentTypes": ["audio/wav"],
                "SupportedResponseMIMETypes": ["application/json"],
            },
        },
    }
    value = {
        "Std:JsonGet": {
            "PropertyFile": get("Steps.evaluate.PropertyFiles.figures"),
            "Path": "scores['clip'].value",
        }
    }
    bound = get("Parameters.threshold")
    return {
        "Name": "gate",
        "Type": "Condition",
        "DependsOn": ["train"],
        "Arguments": {
            "Conditions": [
                {"Type": "GreaterThanOrEqualTo", "LeftValue": value, "RightValue": bound}
            ],
            "IfSteps": [package],
            "ElseSteps": [
                {
                    "Name": "gate-missed",
                    "Type": "Fail",
                    "Arguments": {
                        "ErrorMessage": {"Std:Join": {"On": " ", "Values": ["below", bound]}}
                    },
                }
            ],
        },
    }


def sound():
    """A definition without a mistake."""
    figures = {
        "PropertyFileName": "figures",
        "OutputName": "report",
        "FilePath": "evaluation.json",
    }
    machines = ["ml.m5.xlarge", "ml.m5.2xlarge"]
    approvals = ["PendingManualApproval", "Rejected"]
    return {
        "Version": "2020-12-01",
        "Metadata": {},
        "Parameters": [
            {"Name": "bucket", "Type": "String", "DefaultValue": "artifacts"},
            {"Name": "image_uri", "Type": "String", "DefaultValue": IMAGE},
            {"Name": "role", "Type": "String", "DefaultValue": ROLE},
            {
                "Name": "machine",
                "Type": "String",
                "DefaultValue": machines[0],
                "EnumValues": machines,
            },
            {
                "Name": "approval",
                "Type": "String",
                "DefaultValue": approvals[0],
                "EnumValues": approvals,
            },
            {"Name": "n", "Type": "Integer", "DefaultValue": 60},
            {"Name": "threshold", "Type": "Float", "DefaultValue": 0.5},
        ],
        "Steps": [
            processing("prepare"),
            training("train"),
            processing("evaluate", PropertyFiles=[figures]),
            gate(),
        ],
    }


def step(definition, name):
    return next(each.step for each in all_steps(definition["Steps"]) if each.name == name)


def at(value, path):
    for part in path:
        value = value[part]
    return value


def put(name, path, value):
    """Change a value of a step; the last of ``path`` may be new."""

    def change(definition):
        *above, last = path
        at(step(definition, name), above)[last] = value

    return change


def drop(name, *path):
    def change(definition):
        *above, last = path
        del at(step(definition, name), above)[last]

    return change


def twice_listed(name, *path):
    """List the first entry of a list of a step's arguments once more."""

    def change(definition):
        entries = at(step(definition, name), (*ARGS, *path))
        entries.append(copy.deepcopy(entries[0]))

    return change


def parameter(which, **changes):
    def change(definition):
        found = next(p for p in definition["Parameters"] if p["Name"] == which)
        found.update(changes)

    return change


def twice(definition):
    definition["Steps"].append(copy.deepcopy(step(definition, "prepare")))


def in_a_branch(definition):
    inside = step(definition, "gate")["Arguments"]["IfSteps"]
    inside.append(copy.deepcopy(step(definition, "prepare")))


ARGS = ("Arguments",)
APP = (*ARGS, "AppSpecification")
S3 = (*ARGS, "ProcessingInputs", 0, "S3Input")
TRAIN_S3 = (*ARGS, "InputDataConfig", 0, "DataSource", "S3DataSource", "S3Uri")
CONDITION = (*ARGS, "Conditions", 0)
OUTPUT = "Steps.prepare.ProcessingOutputConfig.Outputs"

FAULTS = {
    # the twelve of the research, 1.6
    "typo key": (put("prepare", (*ARGS, "ProcessingResource"), {}), "ProcessingResource", "'ProcessingResources'"),
    "int hyperparameter": (put("train", (*ARGS, "HyperParameters", "seed"), 3), "HyperParameters['seed']", "expected a text"),
    "instance type": (put("train", (*ARGS, "ResourceConfig", "InstanceType"), "ml.g5.xlrge"), "ResourceConfig.InstanceType", "'ml.g5.xlarge'"),
    "missing field": (drop("train", *ARGS, "OutputDataConfig"), "OutputDataConfig", "is required"),
    "unknown parameter": (put("prepare", (*APP, "ImageUri"), get("Parameters.image_url")), "AppSpecification.ImageUri", "'image_uri'"),
    "unknown output": (put("train", TRAIN_S3, get(f"{OUTPUT}['reports'].S3Output.S3Uri")), "S3DataSource.S3Uri", "'report'"),
    "bad S3 uri": (put("prepare", (*S3, "S3Uri"), "http://artifacts/x"), "S3Input.S3Uri", "form"),
    "bad role": (put("prepare", (*ARGS, "RoleArn"), "pipeline-role"), "RoleArn", "at least 20"),
    "bad property file": (put("evaluate", ("PropertyFiles", 0, "OutputName"), "reprot"), "PropertyFiles[0].OutputName", "'report'"),
    "bad approval": (put("register", (*ARGS, "ModelApprovalStatus"), "Aproved"), "ModelApprovalStatus", "'Approved'"),
    "long metric": (put("train", (*ARGS, "AlgorithmSpecification", "MetricDefinitions", 0, "Name"), "x" * 256), "MetricDefinitions[0].Name", "at most 255"),
    "condition operator": (put("gate", (*CONDITION, "Type"), "GreaterThanOrEqual"), "Conditions[0].Type", "'GreaterThanOrEqualTo'"),
    "long display name": (put("prepare", ("DisplayName",), "x" * 257), "DisplayName", "at most 256"),
    # the five
    "unknown field": (put("prepare", (*APP, "Entrypoint"), ["x"]), "AppSpecification.Entrypoint", "no such field"),
    "wrong enum": (put("prepare", (*S3, "S3DataType"), "S3Prefx"), "S3Input.S3DataType", "'S3Prefix'"),
    "dangling Get": (put("train", TRAIN_S3, get("Steps.prepair.ProcessingJobArn")), "S3DataSource.S3Uri", "'prepare'"),
    "bad JSON path": (put("gate", (*CONDITION, "LeftValue", "Std:JsonGet", "Path"), "$..clip value"), "LeftValue.Path", "no JSON path"),
    "missing role": (drop("train", *ARGS, "RoleArn"), "RoleArn", "is required"),
    # references
    "unknown property": (put("train", TRAIN_S3, get("Steps.prepare.ProcessingJobArm")), "S3DataSource.S3Uri", "'ProcessingJobArn'"),
    "property of a whole": (put("train", TRAIN_S3, get("Steps.prepare.ProcessingOutputConfig")), "S3DataSource.S3Uri", "name one of its values"),
    "unknown variable": (put("prepare", (*S3, "S3Uri"), get("Execution.PipelineExecutionID")), "S3Input.S3Uri", "'PipelineExecutionId'"),
    "unknown space": (put("prepare", (*S3, "S3Uri"), get("Parameter.bucket")), "S3Input.S3Uri", "'Parameters'"),
    "unknown property file": (put("gate", (*CONDITION, "LeftValue", "Std:JsonGet", "PropertyFile"), get("Steps.evaluate.PropertyFiles.figure")), "Conditions[0].LeftValue.PropertyFile", "'figures'"),
    "unknown DependsOn": (put("gate", ("DependsOn",), ["trian"]), "DependsOn", "'train'"),
    "step of a branch": (put("evaluate", ("DependsOn",), ["register"]), "DependsOn", "IfSteps of 'gate'"),
    "other branch": (put("register", ("DependsOn",), ["gate-missed"]), "DependsOn", "ElseSteps of 'gate'"),
    "cycle": (put("prepare", ("DependsOn",), ["evaluate", "train"]), "DependsOn", "waits for itself"),
    "text in a number": (put("prepare", (*ARGS, "StoppingCondition", "MaxRuntimeInSeconds"), get("Parameters.machine")), "MaxRuntimeInSeconds", "expected integer"),
    "number in a text": (put("prepare", (*APP, "ContainerArguments"), [get("Parameters.n")]), "ContainerArguments[0]", "Std:Join"),
    "join of no list": (put("prepare", (*S3, "S3Uri"), {"Std:Join": {"On": "/"}}), "S3Input.S3Uri", "Values"),
    "whole list from Get": (put("prepare", (*ARGS, "ProcessingInputs"), get("Parameters.n")), "ProcessingInputs", "expected a list"),
    # names, sizes
    "long argument": (put("prepare", (*APP, "ContainerArguments"), ["x" * 257]), "ContainerArguments[0]", "257 characters: at most 256"),
    "long joined argument": (put("prepare", (*APP, "ContainerArguments"), [{"Std:Join": {"On": "", "Values": ["x" * 250, get("Parameters.bucket")]}}]), "ContainerArguments[0]", "259 characters: at most 256"),
    "many arguments": (put("prepare", (*APP, "ContainerArguments"), ["x"] * 101), "ContainerArguments", "at most 100"),
    "bad environment name": (put("prepare", (*ARGS, "Environment", "A-B"), "1"), "Environment['A-B']", "form"),
    "number as text": (put("train", (*ARGS, "ResourceConfig", "InstanceCount"), "1"), "InstanceCount", "expected an integer"),
    "truth as number": (put("train", (*ARGS, "EnableManagedSpotTraining"), 1), "EnableManagedSpotTraining", "true or false"),
    "below the least": (put("train", (*ARGS, "ResourceConfig", "VolumeSizeInGB"), -1), "VolumeSizeInGB", "at least"),
    # rules between fields
    "spot without patience": (put("train", (*ARGS, "StoppingCondition", "MaxWaitTimeInSeconds"), 60), "MaxWaitTimeInSeconds", "below"),
    "spot kept warm": (put("train", (*ARGS, "ResourceConfig", "KeepAlivePeriodInSeconds"), 60), "KeepAlivePeriodInSeconds", "drop one"),
    "cache for ever": (put("prepare", ("CacheConfig", "ExpireAfter"), "30 days"), "CacheConfig.ExpireAfter", "P30D or 30d"),
    "two outputs of a name": (twice_listed("prepare", "ProcessingOutputConfig", "Outputs"), "Outputs[1].OutputName", "two of them are called 'report'"),
    "two inputs of a name": (twice_listed("prepare", "ProcessingInputs"), "ProcessingInputs[1].InputName", "two of them are called 'source'"),
    "two folders of a name": (put("prepare", (*ARGS, "ProcessingInputs", 0, "S3Input", "LocalPath"), "/opt/ml/processing/output/report"), "S3Output.LocalPath", "is the folder of ProcessingInputs[0]"),
    "a folder elsewhere": (put("prepare", (*ARGS, "ProcessingInputs", 0, "S3Input", "LocalPath"), "/data"), "ProcessingInputs[0].S3Input.LocalPath", "does not lie below /opt/ml/processing"),
    "much metadata": (put("register", (*ARGS, "CustomerMetadataProperties"), {str(n): "x" * 250 for n in range(5)}), "CustomerMetadataProperties", "at most 1024"),
    "fault": (put("train", ("RetryPolicies",), [{"ExceptionType": ["SageMaker.CAPACITY"], "MaxAttempts": 2}]), "RetryPolicies[0].ExceptionType", "'SageMaker.CAPACITY_ERROR'"),
    "job fault of a package": (put("register", ("RetryPolicies",), [{"ExceptionType": ["SageMaker.RESOURCE_LIMIT"], "MaxAttempts": 2}]), "RetryPolicies[0].ExceptionType", "no fault"),
    "retries for ever": (put("prepare", ("RetryPolicies", 0, "MaxAttempts"), 50), "RetryPolicies[0].MaxAttempts", "1 to 20"),
    "retries of a gate": (put("gate", ("RetryPolicies",), []), "RetryPolicies", "no such field"),
    "no message": (put("gate-missed", (*ARGS, "ErrorMessage"), ""), "ErrorMessage", "expected"),
    "bound is a text": (put("gate", (*CONDITION, "RightValue"), "0.5"), "Conditions[0].RightValue", "expected a number"),
    "bound is a String": (put("gate", (*CONDITION, "RightValue"), get("Parameters.bucket")), "Conditions[0].RightValue", "type String"),
    "no operand": (drop("gate", *CONDITION, "RightValue"), "Conditions[0].RightValue", "is required"),
    "step type": (put("prepare", ("Type",), "Procesing"), "Type", "'Processing'"),
    "step key": (put("prepare", ("Cache",), {}), "Cache", "'CacheConfig'"),
}  # fmt: skip


def test_a_sound_definition_has_no_mistake():
    assert list(validation.mistakes(sound())) == []


@pytest.mark.parametrize(
    "change",
    [
        put("prepare", ("CacheConfig", "ExpireAfter"), "30d"),
        parameter("n", Description="number of epochs"),
        lambda d: d["Steps"].append({"Name": "model", "Type": "Model", "Arguments": {}}),
        lambda d: d["Steps"].append({"Name": "score", "Type": "Transform", "Arguments": {}}),
        lambda d: d["Steps"].append(
            {"Name": "call", "Type": "Lambda", "Arguments": {}, "FunctionArn": "arn:x"}
        ),
        lambda d: d["Steps"].append(
            {"Name": "ask", "Type": "Callback", "Arguments": {}, "SqsQueueUrl": "https://x"}
        ),
        put("prepare", (*ARGS, "Environment", "JOB"), get("Execution.TrainingJobName")),
    ],
)
def test_takes_what_aws_takes(change):
    definition = sound()
    change(definition)
    validation.check(definition)


@pytest.mark.parametrize("fault", FAULTS)
def test_seeded_fault_is_refused_with_step_and_field(fault):
    change, field, hint = FAULTS[fault]
    definition = sound()
    change(definition)
    with pytest.raises(DefinitionError) as refusal:
        validation.check(definition)
    line = str(refusal.value)
    names = [cell.cell_contents for cell in change.__closure__]
    named = next(name for name in names if isinstance(name, str))
    assert f"step {named!r}: " in line
    assert field in line
    assert hint in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (twice, "step 'prepare': Name: two steps"),
        (in_a_branch, "step 'prepare': Name: two steps"),
        (put("prepare", ("Name",), "pre pare"), "step 'pre pare': Name: a name has 1 to 64"),
        (put("evaluate", ("Name",), "e" * 65), "Name: a name has 1 to 64"),
        (parameter("machine", DefaultValue="ml.m4.xlarge"), "Parameters.machine.DefaultValue: 'ml.m4.xlarge' is none of its EnumValues"),
        (parameter("machine", EnumValues=["ml.m5.xlarge", "ml.m5.huge"]), "step 'prepare': Arguments.ProcessingResources.ClusterConfig.InstanceType: Parameters.machine may be 'ml.m5.huge'"),
        (parameter("threshold", DefaultValue="0.5"), "Parameters.threshold.DefaultValue: '0.5' is no Float"),
        (parameter("n", DefaultValue=True), "Parameters.n.DefaultValue: True is no Integer"),
        (parameter("n", Type="Int"), "Parameters.n.Type: no type 'Int'; did you mean 'Integer'?"),
        (parameter("n", Name="bucket"), "Parameters.bucket: two parameters"),
        (parameter("n", Default=3), "Parameters.n.Default: no such field"),
        (lambda d: d.update(Version="2020-12-02"), "Version: expected 2020-12-01"),
        (lambda d: d.update(Step=[]), "Step: no such field; did you mean 'Steps'?"),
        (lambda d: d.update(Steps=[]), "Steps: expected a list"),
    ],
)  # fmt: skip
def test_mistakes_of_the_whole_are_refused(change, told):
    definition = sound()
    change(definition)
    with pytest.raises(DefinitionError) as refusal:
        validation.check(definition)
    assert told in str(refusal.value)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"treshold": 0.4}, "unknown parameter treshold; did you mean 'threshold'?"),
        ({"threshold": "high"}, "parameter threshold: 'high' is no Float"),
        ({"machine": "ml.m5.large"}, "parameter machine: 'ml.m5.large' is none of its EnumValues"),
        ({"bucket": "x" * 1025}, "parameter bucket: 1025 characters: at most 1024"),
    ],
)
def test_values_that_no_execution_can_start_with(values, told):
    with pytest.raises(ParameterError) as refusal:
        validation.check_start(sound(), values)
    assert str(refusal.value).startswith(told)


def test_a_parameter_without_a_value_is_named():
    definition = sound()
    del definition["Parameters"][0]["DefaultValue"]
    validation.check(definition)
    with pytest.raises(ParameterError, match="parameter bucket has no value"):
        validation.check_start(definition, {})
    validation.check_start(definition, {"bucket": "mine", "threshold": 1})


MLFLOW = "arn:aws:sagemaker:eu-west-1:123456789012:mlflow-tracking-server/x"


@pytest.mark.parametrize(
    ("setting", "assigned"),
    [
        ("", "epochs=3"),
        ("spot: true", "epochs=3"),
        ("warm_pool_s: 600", "folds=1,2"),
        (f"mlflow_tracking_uri: {MLFLOW}", "advisory_gates=true"),
        (f"mlflow_tracking_uri: {MLFLOW}", "q_worse_than_champion=0.01"),
    ],
)
def test_the_audio_event_detection_pipeline_is_sound(tmp_path, setting, assigned):
    site = tmp_path / "site.yaml"
    site.write_text(
        f"bucket: artifacts\nimage_uri: {IMAGE}\npipeline_role_arn: {ROLE}\n{setting}\n", "utf-8"
    )
    asked = invocation.Invocation(module="pipelines.aed", assignments=("dataset=ESC-10", assigned))
    pipeline, _ = invocation.declare(asked, tmp_path)
    run = runs.Run(tmp_path, "aed", "RUN-ID")
    request = rendering.render(pipeline, run, profile.load(Options(profile=str(site))))
    assert list(validation.mistakes(request.definition)) == []
    validation.check_start(request.definition, request.parameters)


def test_a_check_is_quick_and_reads_the_model_once():
    """Below half a second in a fresh process, botocore's model of 10 MB among it."""
    code = """
import json, sys, time
from soundgate.executors.sagemaker.validation import definition as validation
assert "botocore" not in sys.modules and "boto3" not in sys.modules
definition = json.load(sys.stdin)
started = time.process_time()
validation.check(definition)
first = time.process_time() - started
validation.check(definition)
print(first, time.process_time() - started - first)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(sound()),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, second = map(float, done.stdout.split())
    assert first < 1.5
    assert second < 0.1
