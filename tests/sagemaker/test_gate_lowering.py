"""Gates as conditions, one within the other: what lies inside, what is waited for, what is said."""

from __future__ import annotations

import pytest
import toy_graphs as toy

from soundgate.errors import DefinitionError
from soundgate.executors.sagemaker.validation import definition as validation
from soundgate.parameters import named
from soundgate.pipeline import LogMetric, Pipeline


def shape(steps):
    """Return the nesting alone: names, and for a condition what lies inside."""
    return [
        {s["Name"]: shape(s["Arguments"]["IfSteps"])} if s["Type"] == "Condition" else s["Name"]
        for s in steps
    ]


def nested(p, tmp_path, **fields):
    request = toy.render(p, tmp_path, **fields)
    validation.check(request.definition)
    return request, shape(request.definition["Steps"]), toy.steps_of(request)


def test_one_gate(tmp_path):
    p = Pipeline("toy")
    _, report, _ = toy.trained(p)
    gate = p.gate(report, metric=toy.ACCURACY, at_least=0.5)
    p.add(toy.look, report=report, after=[gate])
    _, found, steps = nested(p, tmp_path)
    assert found == ["fetch", "train", "evaluate", {"gate-clip-accuracy": ["look"]}]
    assert "DependsOn" not in steps["look"]
    assert "DependsOn" not in steps["gate-clip-accuracy"]  # its report is all there is to wait for
    assert steps["evaluate"]["PropertyFiles"] == [
        {
            "PropertyFileName": "evaluate-report-evaluation",
            "OutputName": "report",
            "FilePath": "evaluation.json",
        }
    ]
    assert steps["gate-clip-accuracy"]["Arguments"]["Conditions"] == [
        {
            "Type": "GreaterThanOrEqualTo",
            "LeftValue": {
                "Std:JsonGet": {
                    "PropertyFile": {
                        "Get": "Steps.evaluate.PropertyFiles.evaluate-report-evaluation"
                    },
                    "Path": "clip.value",
                }
            },
            "RightValue": 0.5,
        }
    ]
    missed = steps["gate-clip-accuracy-missed"]["Arguments"]["ErrorMessage"]
    assert missed == "clip acc < 0.5"


def test_two_gates_wait_for_what_waits_for_neither(tmp_path):
    p = Pipeline("toy")
    _, report, _ = toy.trained(p)
    page = p.add(toy.look, report=report)
    clip = p.gate(report, metric=toy.ACCURACY, at_least=named(0.6, "q_clip"))
    loss = p.gate(report, metric=toy.LOSS, at_most=-1.5)
    p.add(toy.look, name="late", report=report)  # declared behind the gates, waits for none
    p.add(toy.pool, parts=[page["page"]], after=[clip])  # for the first one only
    _, found, steps = nested(p, tmp_path)
    assert found[:5] == ["fetch", "train", "evaluate", "look", "late"]
    assert found[5:] == [{"gate-clip-accuracy": [{"gate-loss": ["pool"]}]}]
    assert steps[clip.name]["DependsOn"] == ["late", "look"]
    assert "DependsOn" not in steps[loss.name]
    condition = steps[loss.name]["Arguments"]["Conditions"][0]
    assert (condition["Type"], condition["RightValue"]) == ("LessThanOrEqualTo", -1.5)
    assert steps["evaluate"]["PropertyFiles"][1] == {
        "PropertyFileName": "evaluate-report-figures-loss",
        "OutputName": "report",
        "FilePath": "figures/loss.json",
    }
    assert steps["gate-loss-missed"]["Arguments"]["ErrorMessage"] == "loss > -1.5"
    said = steps["gate-clip-accuracy-missed"]["Arguments"]["ErrorMessage"]
    assert toy.resolve(said, {"q_clip": 0.75}) == "clip acc < 0.75"  # as set at the start


def test_three_gates_one_of_them_on_what_waits_for_another(tmp_path):
    p = Pipeline("toy")
    model, report, _ = toy.trained(p)
    first = p.gate(report, metric=toy.ACCURACY, at_least=0.5)
    costly = p.add(toy.evaluate, name="costly", model=model, after=[first])
    shown = p.add(toy.look, name="shown", report=costly["report"], after=[first])
    second = p.gate(costly["report"], metric=toy.ACCURACY, at_least=0.6, name="second")
    third = p.gate(report, metric=toy.PATCH, at_least=0.7)
    p.add(toy.pool, parts=[shown["page"]], after=[second])
    _, found, steps = nested(p, tmp_path)
    inner = {third.name: ["shown", "pool"]}
    assert found[3:] == [{first.name: ["costly", {second.name: [inner]}]}]
    assert "DependsOn" not in steps["costly"]


def test_an_advisory_gate_is_no_step(tmp_path):
    p = Pipeline("toy")
    _, report, _ = toy.trained(p)
    page = p.add(toy.look, report=report)
    advised = p.gate(report, metric=toy.ACCURACY, at_least=named(0.5, "q"), advisory=True)
    p.add(toy.pool, parts=[page["page"]], after=[advised])
    request, found, steps = nested(p, tmp_path)
    assert found == ["fetch", "train", "evaluate", "look", "pool"]
    assert steps["pool"]["DependsOn"] == ["evaluate"]  # what it waited for through the gate
    assert "q" not in request.parameters  # used by no step
    strict = p.gate(report, metric=toy.PATCH, at_least=0.5)
    p.add(toy.look, name="end", report=report, after=[advised, strict])
    _, found, steps = nested(p, tmp_path)
    assert found == [*["fetch", "train", "evaluate", "look", "pool"], {strict.name: ["end"]}]
    assert steps["end"]["DependsOn"] == ["evaluate"]


def test_a_verdict_that_is_read_is_written_by_a_job(tmp_path):
    p = Pipeline("toy")
    _, report, _ = toy.trained(p)
    clip = p.gate(report, metric=toy.ACCURACY, at_least=named(0.5, "q"))
    advised = p.gate(report, metric=toy.PATCH, at_least=0.9, advisory=True)
    p.add(toy.conclude, verdict=clip["verdict"])
    p.add(toy.conclude, name="advice", verdict=advised["verdict"])
    request, found, steps = nested(p, tmp_path)
    inside = ["conclude", "gate-clip-accuracy-verdict"]
    assert found[3:] == ["gate-patch-accuracy", "advice", {clip.name: inside}]
    words = [toy.resolve(w, request.parameters) for w in toy.command(steps[inside[1]])]
    assert "--threshold=0.5" in words
    uri = steps["conclude"]["Arguments"]["ProcessingInputs"][0]["S3Input"]["S3Uri"]["Get"]
    assert uri.startswith("Steps.gate-clip-accuracy-verdict.ProcessingOutputConfig")
    uri = steps["advice"]["Arguments"]["ProcessingInputs"][0]["S3Input"]["S3Uri"]["Get"]
    assert uri.startswith("Steps.gate-patch-accuracy.ProcessingOutputConfig")
    # the advice is waited for before an execution may end
    assert steps[clip.name]["DependsOn"] == ["advice"]


def test_a_gate_on_a_training_s_report_is_a_job(tmp_path):
    p = Pipeline("toy")
    model, report, _ = toy.trained(p)
    page = p.add(toy.look, report=report)
    inside = p.gate(model, metric=toy.LOSS, at_most=2.0, name="inside")
    clip = p.gate(report, metric=toy.ACCURACY, at_least=0.5)
    p.add(toy.pool, name="first", parts=[page["page"]], after=[inside])
    p.add(toy.pool, name="last", parts=[page["page"]], after=[inside, clip])
    _, found, steps = nested(p, tmp_path)
    assert found[3:5] == ["look", "inside"]
    assert found[5] == {clip.name: ["first", "last"]}
    gate = steps["inside"]
    assert gate["Type"] == "Processing"
    assert (
        gate["Arguments"]["AppSpecification"]["ContainerEntrypoint"][-1]
        == "soundgate.programs.gate"
    )
    words = toy.command(gate)
    assert (
        words[words.index("--report") + 1] == "/opt/ml/processing/input/report/model.tar.gz/model"
    )
    assert gate["DependsOn"] == ["look"]
    assert steps[clip.name]["DependsOn"] == ["inside"]
    assert steps["first"]["DependsOn"] == ["inside"]
    assert "PropertyFiles" not in steps["train"]


def definitions(steps, name):
    return steps[name]["Arguments"]["AlgorithmSpecification"].get("MetricDefinitions")


def test_a_training_job_finds_its_own_metrics_and_no_other_tasks(tmp_path):
    p = Pipeline("toy")
    fetched = p.add(toy.fetch, dataset="ESC-10")
    printed = [LogMetric("validation:accuracy", r"validation (\d)")]
    model = p.add(toy.train, clips=fetched["clips"], log_metrics=printed)["model"]
    p.add(toy.train, name="again", clips=fetched["clips"])
    report = p.add(toy.evaluate, model=model)["report"]
    p.gate(report, metric=toy.ACCURACY, at_least=0.5)
    _, _, steps = nested(p, tmp_path)
    assert definitions(steps, "train") == [
        {"Name": "validation:accuracy", "Regex": r"validation (\d)"}
    ]
    assert definitions(steps, "again") is None


def test_a_training_job_whose_report_is_judged_finds_what_it_is_judged_by(tmp_path):
    p = Pipeline("toy")
    fetched = p.add(toy.fetch, dataset="ESC-10")
    model = p.add(toy.train, clips=fetched["clips"])["model"]
    p.gate(model, metric=toy.ACCURACY, at_least=0.5)
    p.gate(model, metric=toy.PATCH, at_least=0.5)  # has no regex
    _, _, steps = nested(p, tmp_path)
    assert definitions(steps, "train") == [{"Name": "clip:accuracy", "Regex": r"(\d)"}]


def test_a_long_gate_name_gives_step_names_that_fit(tmp_path):
    p = Pipeline("toy")
    _, report, _ = toy.trained(p)
    name = "g" * 63
    gate = p.gate(report, metric=toy.ACCURACY, at_least=0.5, name=name)
    p.add(toy.look, name=f"{name[:55]}-missed", report=report, after=[gate])
    _, _, steps = nested(p, tmp_path)
    assert max(map(len, steps)) <= 64
    assert len([s for s in steps.values() if s["Type"] == "Fail"]) == 1


def candidate(p):
    model, report, card = toy.trained(p)
    gate = p.gate(report, metric=toy.ACCURACY, at_least=0.5)
    return p.candidate(
        toy.enter,
        name="register",
        model_name="bat calls_v2",
        model=model,
        report=report,
        card=card,
        after=[gate],
        environment=["MLFLOW_TRACKING_URI"],
    )


def test_a_candidate_is_a_model_package_that_waits_for_a_person(tmp_path):
    p = Pipeline("toy")
    candidate(p)
    request, found, steps = nested(p, tmp_path)
    assert found[3:] == [{"gate-clip-accuracy": ["register-package"]}]
    entry = steps["register-package"]["Arguments"]
    assert entry["ModelPackageGroupName"] == "bat-calls-v2"
    assert entry["ModelApprovalStatus"] == {"Get": "Parameters.model_approval_status"}
    approval = request.definition["Parameters"][-1]
    assert approval["EnumValues"] == ["PendingManualApproval", "Rejected"]
    assert approval["DefaultValue"] == "PendingManualApproval"
    data = entry["InferenceSpecification"]["Containers"][0]["ModelDataUrl"]
    assert data == {"Get": "Steps.train.ModelArtifacts.S3ModelArtifacts"}
    assert entry["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"] == {
        "Std:Join": {
            "On": "/",
            "Values": [
                {"Get": "Steps.evaluate.ProcessingOutputConfig.Outputs['report'].S3Output.S3Uri"},
                "evaluation.json",
            ],
        }
    }
    known = entry["CustomerMetadataProperties"]
    assert set(known) == {"commit", "data_digest", "execution", "pipeline", "run"}
    assert known["data_digest"]["Std:JsonGet"]["Path"] == "digest"
    assert steps["fetch"]["PropertyFiles"][0]["FilePath"] == "dataset.json"
    values = {p["Name"]: p.get("DefaultValue") for p in request.definition["Parameters"]}
    # CustomerMetadataProperties have at least one character each
    assert values["run"]
    assert values["commit"]


def test_a_candidate_goes_to_mlflow_too_where_there_is_one(tmp_path):
    p = Pipeline("toy")
    entered = candidate(p)
    arn = "arn:aws:sagemaker:eu-west-1:111122223333:mlflow-app/app-X"
    _, found, steps = nested(p, tmp_path, mlflow_tracking_uri=arn, model_package_group="team-a")
    assert found[3:] == [{"gate-clip-accuracy": ["register", "register-package"]}]
    assert steps["register-package"]["DependsOn"] == ["register"]
    assert steps["register-package"]["Arguments"]["ModelPackageGroupName"] == "team-a"
    environment = steps["register"]["Arguments"]["Environment"]
    assert environment["MLFLOW_TRACKING_URI"] == arn
    assert "MLFLOW_TRACKING_URI" not in steps["evaluate"]["Arguments"]["Environment"]
    assert "CacheConfig" not in steps["register"]
    p.add(toy.look, report=entered["entry"])
    nested(p, tmp_path, mlflow_tracking_uri=arn)
    with pytest.raises(DefinitionError, match=r"'look' reads 'report' of 'register', .* mlflow"):
        toy.render(p, tmp_path)


def test_what_follows_a_candidate_follows_its_package(tmp_path):
    p = Pipeline("toy")
    entered = candidate(p)
    p.add(toy.look, report=p.tasks["evaluate"]["report"], after=[entered])
    _, _, steps = nested(p, tmp_path)
    assert steps["look"]["DependsOn"] == ["register-package"]


def test_a_model_of_a_processing_job_is_a_folder(tmp_path):
    p = Pipeline("toy")
    fetched = p.add(toy.fetch)
    scored = p.add(toy.evaluate, model=fetched["clips"])
    p.candidate(
        toy.enter,
        model_name="m",
        model=fetched["clips"],
        report=scored["report"],
        card=fetched["card"],
    )
    _, _, steps = nested(p, tmp_path)
    (container,) = steps["enter-package"]["Arguments"]["InferenceSpecification"]["Containers"]
    source = container["ModelDataSource"]["S3DataSource"]
    assert (source["S3DataType"], source["CompressionType"]) == ("S3Prefix", "None")
    assert source["S3Uri"]["Std:Join"]["Values"][-1] == ""
