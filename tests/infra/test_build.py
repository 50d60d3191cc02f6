"""The buildspec, phase by phase, on a pipeline of a task and a gate: what fails fails the build."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING

import pytest
from account_by_hand import BUCKET, ROOT
from codebuild import evaluation

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

PIPELINE = """
    from __future__ import annotations

    from dataclasses import dataclass, field

    from programs.evaluate import evaluate
    from soundgate.parameters import ConfigFile
    from soundgate.pipeline import Metric, Pipeline

    ACCURACY = Metric(name="accuracy", json_path="accuracy.value", message="Accuracy is below")


    @dataclass(frozen=True, kw_only=True)
    class Parameters:
        config: ConfigFile = field(default=ConfigFile("user_configs/aed.yaml", must_exist=False))
        dataset: str = ""
        store: str = ""
        download_command: str = ""
        accuracy: float = 0.9
        threshold: float = 0.5


    def get_pipeline(p: Parameters) -> Pipeline:
        t = Pipeline("aed")
        judged = t.add(
            evaluate,
            dataset=p.dataset,
            store=p.store,
            download_command=p.download_command,
            accuracy=p.accuracy,
        )
        t.gate(judged["report"], metric=ACCURACY, at_least=p.threshold)
        return t
"""
PROGRAM = '''
    """A program that reports what it was told.

    Writes  report/  evaluation.json
    """

    from __future__ import annotations

    import json

    from soundgate.step import OutputPath, main


    def evaluate(
        report: OutputPath, *, dataset: str, store: str, download_command: str, accuracy: float
    ) -> None:
        """Write the report."""
        if dataset == "broken":
            raise ValueError("the data set is broken")
        told = {"dataset": dataset, "store": store, "download_command": download_command}
        text = json.dumps({"accuracy": {"value": accuracy}, **told})
        (report / "evaluation.json").write_text(text, "utf-8")


    if __name__ == "__main__":
        main(evaluate)
'''


@pytest.fixture
def project(tmp_path, account):
    """A repository with one pipeline, called aed; it is the image of its jobs, too."""
    from definition_runner import Image

    folder = tmp_path / "project"
    files = {"pipelines/aed.py": PIPELINE, "programs/evaluate.py": PROGRAM}
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True)
        (folder / path).write_text(textwrap.dedent(text).lstrip(), "utf-8")
        (folder / path).with_name("__init__.py").touch()
    (folder / "user_configs").mkdir()
    (folder / "user_configs" / "aed.yaml").write_text("pipeline: {accuracy: 0.9}\n")
    (folder / "infra").symlink_to(ROOT / "infra")
    before, account.account.image = account.account.image, Image(folder)
    yield folder
    account.account.image = before


def config(project: Path, text: str) -> None:
    (project / "user_configs" / "aed.yaml").write_text(text, "utf-8")


def test_a_push_that_clears_its_gate(build, project, account):
    done = build(project)
    assert done.succeeded, done.log
    assert evaluation(done)["accuracy"] == {"value": 0.9}
    assert evaluation(done)["store"] == f"s3://{BUCKET}"
    assert set(done.artifacts) == {
        "ml/definition.json",
        "ml/evaluation/evaluation.json",
        "ml/profile.json",
        "ml/run.txt",
    }
    [execution] = account.executions.values()
    assert (execution.pipeline, execution.status) == ("sounds-p-7", "Succeeded")
    sent = account.account.sagemaker.describe_pipeline(PipelineName="sounds-p-7")
    kept = json.loads(done.artifacts["ml/definition.json"].read_text("utf-8"))
    assert json.loads(sent["PipelineDefinition"]) == kept, "another one than was checked"
    assert sent["RoleArn"].endswith(":role/pipeline")
    tags = account.account.sagemaker.list_tags(ResourceArn=sent["PipelineArn"])["Tags"]
    found = {tag["Key"]: tag["Value"] for tag in tags}
    assert found["sagemaker:project-name"] == "sounds"
    assert found["sagemaker:project-id"] == "p-7"
    assert done.installed == [
        "install --quiet --upgrade --constraint constraints.txt .[aws]",
    ]


def test_a_missed_gate_fails_the_build_and_leaves_the_evaluation(build, project):
    text = "{accuracy: 0.25, dataset: birds, store: s3://elsewhere/store}"
    config(project, f"pipeline: {text}\n")
    done = build(project)
    assert done.states == {"install": "succeeded", "pre_build": "succeeded", "build": "failed"}
    assert "Accuracy is below 0.5" in done.log
    told = evaluation(done)
    assert told["accuracy"] == {"value": 0.25}
    assert told["dataset"] == "birds", "the user config's, where the environment names none"
    assert told["store"] == "s3://elsewhere/store", "a user config may keep its data sets elsewhere"


def test_a_failed_task_fails_the_build_with_its_reason(build, project):
    done = build(project, DATASET_NAME="broken")
    assert done.states["build"] == "failed"
    assert "the data set is broken" in done.log
    assert set(done.artifacts) == {"ml/definition.json", "ml/profile.json", "ml/run.txt"}


def test_quotes_in_names_and_commands_break_nothing(build, project, account):
    config(project, "pipeline: {dataset: birds}\n")
    name = 'a "quoted" na\'me","x":"$(touch spoilt) `touch spoilt`'
    command = "echo \"it's\" '$(touch spoilt)' >./temp/a && touch \\; ./temp/b"
    data = "bells & 'whistles' \"$HOME\""
    done = build(project, SAGEMAKER_PROJECT_NAME=name, DATASET_NAME=data, DOWNLOAD_COMMAND=command)
    assert done.succeeded, done.log
    told = evaluation(done)
    assert (told["dataset"], told["download_command"]) == (data, command)
    [pipeline] = account.account.sagemaker.list_pipelines()["PipelineSummaries"]
    assert pipeline["PipelineName"] == "a-quoted-na-me-x-touch-spoilt-touch-spoilt-p-7"
    tags = account.account.sagemaker.list_tags(ResourceArn=pipeline["PipelineArn"])["Tags"]
    spelt = "a -quoted- na-me---x-:---touch spoilt- -touch spoilt-"
    assert {"Key": "sagemaker:project-name", "Value": spelt} in tags
    assert not list(project.glob("**/spoilt"))


def test_what_cannot_succeed_ends_before_the_build(build, project, account):
    for changed, said in (
        ({"DATASET_NAME": "<YOUR_DATASET_NAME>"}, "DATASET_NAME: a placeholder"),
        ({"ARTIFACT_BUCKET": "someone-elses"}, "someone-elses"),
    ):
        done = build(project, **changed)
        assert done.states == {"install": "succeeded", "pre_build": "failed"}, done.log
        assert said in done.log
        assert "Traceback" not in done.log
    assert not account.executions
    assert not account.account.sagemaker.list_pipelines()["PipelineSummaries"]
