"""What the runner's parts decide: references, parameters, conditions, cache keys, retries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from definition_runner import Cache, Refused, cache, check, expressions, graph, parameters, shapes
from definition_runner.conditions import holds
from definition_runner.errors import StepFailed
from definition_runner.retries import Patience

pytestmark = pytest.mark.emulator("definition_runner")

REPORT = b'{"acc": {"value": 0.75, "n": [1, 2]}, "name": "aed", "none": null}'
PROPERTIES = {
    "ProcessingOutputConfig": {"Outputs": [{"OutputName": "a.b", "S3Output": {"S3Uri": "s3://x"}}]},
    "ModelArtifacts": {"S3ModelArtifacts": "s3://m/model.tar.gz"},
}
TRAINING = {
    "AlgorithmSpecification": {"TrainingImage": "i", "ContainerArguments": ["--epochs", "2"]},
    "CheckpointConfig": {"S3Uri": "s3://b/c"},
    "Environment": {"A": "1"},
    "HyperParameters": {"epochs": "2"},
    "InputDataConfig": [{"ChannelName": "features"}],
}
PROCESSING = {
    "AppSpecification": {"ImageUri": "i", "ContainerArguments": ["--seed", "1"]},
    "Environment": {"A": "1"},
    "ProcessingInputs": [{"InputName": "clips"}],
}
OTHERS = {
    "RoleArn": "r",
    "Tags": [{"Key": "run", "Value": "1"}],
    "StoppingCondition": {"MaxRuntimeInSeconds": 1},
    "OutputDataConfig": {"S3OutputPath": "s3://b/1"},
    "ProcessingOutputConfig": {"Outputs": []},
    "ResourceConfig": {"InstanceType": "ml.m5.large"},
    "EnableManagedSpotTraining": True,
}


def scope(*, java: bool = False, report: bytes = REPORT) -> expressions.Scope:
    return expressions.Scope(
        parameters={"rate": 0.0001, "epochs": 160, "name": "x", "flag": True},
        variable={"PipelineExecutionId": "abc"}.__getitem__,
        properties={"train": PROPERTIES}.__getitem__,
        report=lambda _step, _name: report,
        content=lambda _uri: report,
        java_numbers=java,
    )


def join(*values: object) -> dict:
    return {"Std:Join": {"On": "|", "Values": list(values)}}


def json_get(path: str) -> dict:
    return {"Std:JsonGet": {"PropertyFile": {"Get": "Steps.train.PropertyFiles.f"}, "Path": path}}


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"Get": "Parameters.rate"}, 0.0001),
        ({"Get": "Execution.PipelineExecutionId"}, "abc"),
        ({"Get": "Steps.train.ModelArtifacts.S3ModelArtifacts"}, "s3://m/model.tar.gz"),
        ({"Get": "Steps.train.ProcessingOutputConfig.Outputs['a.b'].S3Output.S3Uri"}, "s3://x"),
        ({"Get": "Steps.train.ProcessingOutputConfig.Outputs[0].OutputName"}, "a.b"),
        (join("--rate=", {"Get": "Parameters.rate"}, {"Get": "Parameters.flag"}), None),
        ([{"a": {"Get": "Parameters.name"}}], [{"a": "x"}]),
        ({"Get": "Parameters.name", "other": 1}, {"Get": "Parameters.name", "other": 1}),
        (json_get("acc.value"), 0.75),
        (json_get("acc['value']"), 0.75),
        (json_get("acc.n[1]"), 2),
        (json_get("name"), "aed"),
    ],
)
def test_expressions(value, found):
    expected = "--rate=|0.0001|true" if found is None else found
    assert expressions.evaluate(value, scope()) == expected


@pytest.mark.parametrize(
    ("value", "python", "java"),
    [
        (1e-4, "0.0001", "1.0E-4"),
        (1.5e-5, "1.5e-05", "1.5E-5"),
        (0.001, "0.001", "0.001"),
        (0.85, "0.85", "0.85"),
        (-0.5, "-0.5", "-0.5"),
        (160, "160", "160.0"),
        (12345678.0, "12345678.0", "1.2345678E7"),
        (1e22, "1e+22", "1.0E22"),
        (0.0, "0.0", "0.0"),
        (True, "true", "true"),
        ("7", "7", "7"),
    ],
)
def test_numbers_in_text_can_be_printed_in_two_ways(value, python, java):
    assert expressions.text(value) == python
    assert expressions.text(value, java=True) == java
    if not isinstance(value, (bool, str)):
        assert float(java) == float(python) == value


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (json_get("acc.valeu"), "JsonGet found nothing at 'acc.valeu' in property file f of train"),
        (json_get("$.acc.value"), "JsonGet found nothing"),
        (json_get("acc..value"), "JsonGet found nothing"),
        (json_get("acc.n[9]"), "JsonGet found nothing"),
        (json_get("acc"), "JsonGet found no scalar"),
        (json_get("none"), "JsonGet found no scalar"),
        ({"Get": "Steps.train.ModelArtifacts.Model"}, "the step has no such property"),
        (join({"a": 1}), "cannot be joined"),
    ],
)
def test_expressions_that_find_nothing_fail_their_step(value, said):
    with pytest.raises(StepFailed) as failed:
        expressions.evaluate(value, scope())
    assert said in str(failed.value)


def test_a_report_with_nan_is_no_json():
    with pytest.raises(StepFailed, match="is not JSON: NaN is no JSON"):
        expressions.evaluate(json_get("acc"), scope(report=b'{"acc": NaN}'))


@pytest.mark.parametrize(
    ("kind", "left", "right", "outcome"),
    [
        ("GreaterThanOrEqualTo", 0.5, 0.5, True),
        ("GreaterThan", 0.5, 0.5, False),
        ("LessThanOrEqualTo", 2, 1.5, False),
        ("LessThan", 1, 1.5, True),
        ("Equals", "a", "a", True),
        ("Equals", 1, 1.0, True),
    ],
)
def test_conditions(kind, left, right, outcome):
    condition = {"Type": kind, "LeftValue": left, "RightValue": right}
    assert holds(condition, scope()) is outcome
    assert holds({"Type": "Not", "Expression": condition}, scope()) is not outcome
    either = {"Type": "Or", "Conditions": [condition, condition]}
    assert holds(either, scope()) is outcome


def test_a_condition_on_text_and_a_number_fails_its_step():
    condition = {"Type": "GreaterThan", "LeftValue": "0.9", "RightValue": 0.5}
    with pytest.raises(StepFailed, match=r"'0\.9' cannot be compared with 0\.5"):
        holds(condition, scope())
    with pytest.raises(StepFailed, match="no condition type 'NotEquals'"):
        holds({**condition, "Type": "NotEquals"}, scope())
    query = {"Type": "In", "QueryValue": {"Get": "Parameters.name"}, "Values": ["x", "y"]}
    assert holds(query, scope())


DECLARED = {
    "Parameters": [
        {"Name": "epochs", "Type": "Integer", "DefaultValue": 2},
        {"Name": "rate", "Type": "Float", "DefaultValue": 1},
        {"Name": "bucket", "Type": "String"},
        {"Name": "type", "Type": "String", "DefaultValue": "a", "EnumValues": ["a", "b"]},
    ]
}


def test_parameters_go_over_defaults_and_are_read_by_their_type():
    found = parameters.resolve(DECLARED, {"bucket": "x", "epochs": "30", "rate": "1e-3"})
    assert found == {"epochs": 30, "rate": 0.001, "bucket": "x", "type": "a"}
    defaults = parameters.resolve(DECLARED, {"bucket": "x"})
    assert (defaults["rate"], type(defaults["rate"])) == (1.0, float)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "'bucket' has no value"),
        ({"bucket": "x", "epoch": 1}, r"\['epoch'\] are not defined"),
        ({"bucket": "x", "epochs": 1.5}, "1.5 is no Integer"),
        ({"bucket": "x", "epochs": "1.5"}, "'1.5' is no Integer"),
        ({"bucket": "x", "epochs": True}, "True is no Integer"),
        ({"bucket": 7}, "7 is no String"),
        ({"bucket": "x", "type": "c"}, r"'c' is none of \['a', 'b'\]"),
    ],
)
def test_wrong_parameters_are_refused(given, said):
    with pytest.raises(Refused, match=said):
        parameters.resolve(DECLARED, given)


def step(name: str, kind: str = "Processing", **more: object) -> dict:
    return {"Name": name, "Type": kind, "Arguments": more.pop("arguments", {}), **more}


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([step("a"), step("a")], "Two steps are called"),
        ([step("a", "Lambda")], "Step a: no type 'Lambda'"),
        ([step("a b")], "'a b': no valid name"),
        ([step("a", DependsOn=["b"])], r"Step a: depends on \['b'\]"),
        ([step("a", DependsOn=["b"]), step("b", DependsOn=["a"])], "wait for one another"),
        ([step("a", arguments={"x": {"Get": "Parameters.p"}})], "Parameters.p refers to nothing"),
        ([step("a", arguments={"x": {"Get": "Execution.Id"}})], "Execution.Id refers to nothing"),
        ([step("a", arguments={"x": {"Get": "Steps.b.Arn"}})], "Steps.b.Arn refers to nothing"),
        (
            [
                step("a", arguments={"ProcessingOutputConfig": {"Outputs": [{"OutputName": "o"}]}}),
                step(
                    "b",
                    arguments={
                        "x": {"Get": "Steps.a.ProcessingOutputConfig.Outputs['out'].S3Output.S3Uri"}
                    },
                ),
            ],
            "Step b: Steps.a.*refers to nothing",
        ),
        (
            [step("a"), step("b", arguments={"x": {"Get": "Steps.a.PropertyFiles.report"}})],
            "Step b: Steps.a.PropertyFiles.report refers to nothing",
        ),
    ],
)
def test_definitions_that_cannot_work_are_refused(steps, said):
    with pytest.raises(Refused, match=said):
        check({"Steps": steps})


def test_a_step_in_a_branch_waits_for_its_condition_and_all_before_it():
    inner = step("inner", DependsOn=["other"])
    condition = step(
        "gate",
        "Condition",
        arguments={
            "Conditions": [{"LeftValue": {"Get": "Steps.scored.Arn"}}],
            "IfSteps": [inner],
            "ElseSteps": [step("missed", "Fail")],
        },
    )
    found = graph.upstream({"Steps": [step("other"), step("scored"), condition]})
    assert found["inner"] == {"gate", "other", "scored"}
    assert found["missed"] == {"gate", "scored"}
    assert found["gate"] == {"scored"}


@pytest.mark.parametrize(("kind", "keys"), [("Training", TRAINING), ("Processing", PROCESSING)])
def test_cache_keys_are_the_documented_attributes_and_no_other(kind, keys):
    key = cache.key_of(kind, keys)
    assert cache.key_of(kind, {**keys, **OTHERS}) == key
    for name in keys:
        assert cache.key_of(kind, {**keys, name: "changed"}) != key
        without = {each: value for each, value in keys.items() if each != name}
        assert cache.key_of(kind, without) != key


def test_a_result_is_found_until_it_expires_by_the_step_that_wants_it():
    results, at = Cache(), datetime(2026, 1, 1, tzinfo=UTC)
    wanting = {"Name": "a", "CacheConfig": {"Enabled": True, "ExpireAfter": "P30D"}}
    result = cache.Result("arn", at, {"x": 1}, {})
    results.keep("aed", {"Name": "b"}, "key", result)
    assert results.find("aed", {**wanting, "Name": "b"}, "key", at) is None
    results.keep("aed", wanting, "key", result)
    assert results.find("aed", wanting, "key", at + timedelta(days=30)) is result
    assert results.find("aed", wanting, "key", at + timedelta(days=30, seconds=1)) is None
    assert results.find("aed", wanting, "other", at) is None
    assert results.find("sec", wanting, "key", at) is None
    assert results.find("aed", {"Name": "a", "CacheConfig": {"Enabled": False}}, "key", at) is None


@pytest.mark.parametrize(
    ("written", "hours"), [("P30D", 720), ("PT12H", 12), ("P1DT6H", 30), ("P1W", 168)]
)
def test_durations(written, hours):
    assert cache.duration(written) == timedelta(hours=hours)


@pytest.mark.parametrize("written", ["T12H", "P", "PT", "30D", "P1H", ""])
def test_what_is_no_duration_is_refused(written):
    with pytest.raises(Refused, match="is no ISO 8601 duration"):
        cache.duration(written)


def test_patience_ends_and_grows():
    patience = Patience(
        [
            {"ExceptionType": ["Step.THROTTLING"], "IntervalSeconds": 10, "MaxAttempts": 1},
            {
                "ExceptionType": ["SageMaker.CAPACITY_ERROR", "SageMaker.RESOURCE_LIMIT"],
                "IntervalSeconds": 60,
                "BackoffRate": 3.0,
                "MaxAttempts": 2,
            },
        ]
    )
    waits = [patience.wait_s(kind) for kind in ["SageMaker.CAPACITY_ERROR"] * 2]
    assert waits == [60.0, 180.0]
    assert patience.wait_s("SageMaker.RESOURCE_LIMIT") is None
    assert patience.wait_s("Step.THROTTLING") == 10.0
    assert patience.wait_s("Step.THROTTLING") is None
    assert patience.wait_s("Step.SERVICE_FAULT") is None
    with pytest.raises(Refused, match=r"no ExceptionType 'SageMaker\.CAPACITY'"):
        Patience([{"ExceptionType": ["SageMaker.CAPACITY"]}])


def test_every_pattern_of_the_service_can_be_tried():
    """A pattern of Java's that this cannot read would be an error, not passed over."""
    tried = 0

    def visit(shape, above):
        nonlocal tried
        if shape.name in above:
            return
        if "pattern" in shape.metadata:
            shapes._java_pattern(shape.metadata["pattern"])
            tried += 1
        inner = [*getattr(shape, "members", {}).values()]
        inner += [
            getattr(shape, name) for name in ("member", "key", "value") if hasattr(shape, name)
        ]
        for each in inner:
            visit(each, {*above, shape.name})

    for operation, _ in shapes.OPERATIONS.values():
        visit(shapes._service().operation_model(operation).input_shape, set())
    assert tried > 50
    assert shapes._java_pattern(r"^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$").fullmatch("Größe 2: a@b")
