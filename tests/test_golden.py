"""What is sent to an engine, compared whole. Rewritten only by ``pytest --update-golden``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline_parameters import AedParameters
from pipelines import aed
from soundgate import executors
from soundgate.commands.mermaid import mermaid
from soundgate.errors import ParameterError
from soundgate.parameters import ConfigFile, load
from soundgate.runs import Run

GOLDEN = Path(__file__).resolve().parent / "golden"
ROOT = GOLDEN.parent.parent
VARIANTS = {"aed": (), "aed-folds": ("folds=1,2",)}
SHELLS = ("local", "slurm")
"""Executors whose requests are shell scripts; other definitions have tests of their own."""


def pipeline(variant: str):
    config = Path("tests/golden/user_config.yaml")
    assignments = (*VARIANTS[variant], "training.epochs=40", "dataset_path=data/ESC 10")
    return aed.get_pipeline(load(AedParameters, config=config, assignments=assignments))


@pytest.fixture(autouse=True)
def _at_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def compare(name: str, text: str, update: bool) -> None:
    path = GOLDEN / name
    if update:
        path.write_text(text, "utf-8")
    assert text == path.read_text("utf-8"), f"{name} changed; if on purpose: --update-golden"


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("executor", SHELLS)
def test_the_request_is_what_it_was(executor, variant, update_golden, tmp_path):
    loaded = executors.load(executor)
    run = Run(Path("runs"), "aed", "RUN-ID")
    text = str(loaded.render(pipeline(variant), run))
    # jobs of a cluster begin elsewhere, so their scripts name this interpreter and this folder
    anywhere = text.replace(sys.executable, "PYTHON").replace(str(ROOT), "/CHECKOUT")
    compare(f"{variant}.{executor}.sh", anywhere, update_golden)
    assert text == str(loaded.render(pipeline(variant), run)), "rendering is not deterministic"
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_graph_is_what_it_was(variant, update_golden):
    compare(f"{variant}.mmd", mermaid(pipeline(variant)), update_golden)


def test_the_names_users_know_are_kept():
    """Names, paths and messages of the pipeline this one replaces; they may never drift."""
    from pipeline_parameters import (
        AED_FOLDER_NAME,
        CLIP_ACCURACY,
        PATCH_ACCURACY,
        UNNAMED_DATASET,
        get_pipeline_parameters,
    )

    p = get_pipeline_parameters(default_threshold=0.7)
    assert (p.q_clip_level_acc_threshold, p.q_patch_level_acc_threshold) == (0.7, 0.7)
    assert get_pipeline_parameters().q_clip_level_acc_threshold == 0.5
    assert (AED_FOLDER_NAME, UNNAMED_DATASET) == ("audio_event_detection", "AED_Dataset")
    assert p.modelzoo_version == "v1"
    assert json.loads(json.dumps([CLIP_ACCURACY.name, CLIP_ACCURACY.json_path])) == [
        "clip:accuracy",
        "multiclass_classification_metrics.clip_acc.value",
    ]
    assert CLIP_ACCURACY.message == "Execution failed due to clip level acc <"
    assert CLIP_ACCURACY.regex == r"Clip-level accuracy on test set : ([0-9\.]+)"
    assert PATCH_ACCURACY.json_path == "multiclass_classification_metrics.patch_acc.value"
    assert PATCH_ACCURACY.message == "Execution failed due to patch level acc <"
    assert PATCH_ACCURACY.regex == r"Patch-level accuracy on test set : ([0-9\.]+)"


def test_parameters_are_read_like_the_model_zoo_s_dictionary():
    from pipeline_parameters import get_pipeline_parameters

    p = get_pipeline_parameters(default_threshold=0.7)
    assert p["modelzoo_version"] == "v1"
    assert p["processing_step_name"] == p.processing_step_name
    clip, patch = p["validation_parameters"]
    assert clip == {
        "parameter_name": "q_clip_level_acc_threshold",
        "default_threshold": 0.7,
        "fail_step_msg": "Execution failed due to clip level acc <",
        "json_path": "multiclass_classification_metrics.clip_acc.value",
        "name": "clip:accuracy",
        "regex": r"Clip-level accuracy on test set : ([0-9\.]+)",
    }
    assert patch["parameter_name"] == "q_patch_level_acc_threshold"
    with pytest.raises(KeyError, match="did you mean 'validation_parameters'"):
        p["validation_parameter"]


@pytest.mark.parametrize("folds", ["", "folds=1,2"])
def test_a_threshold_of_none_drops_the_gate(folds):
    from pipeline_parameters import get_pipeline_parameters

    assert get_pipeline_parameters(default_threshold=None)["validation_parameters"] == []
    assignments = [*([folds] if folds else []), "q_clip_level_acc_threshold=none", "dataset=ESC-10"]
    tasks = aed.get_pipeline(load(AedParameters, assignments=assignments)).tasks
    assert [name for name in tasks if name.startswith("gate-")] == ["gate-patch-accuracy"]


def test_the_call_of_the_stm32_project_s_document_runs_on_sagemaker(tmp_path):
    role = "arn:aws:iam::111122223333:role/pipeline"
    names = ("pipeline_name", "model_package_group_name", "base_job_prefix")
    kwargs = {"usecase_name": "aed", "region": "eu-west-1", "role": role, "default_bucket": "b-1"}
    kwargs |= dict.fromkeys(names, "aed-p-1") | {"sagemaker_project_name": "aed"}
    tags = [{"Key": "sagemaker:project-name", "Value": "aed"}]
    words = ["run-pipeline", "--module-name", "pipelines.stm.pipeline", "--role-arn", role]
    words += ["--tags", json.dumps(tags), "--kwargs", json.dumps(kwargs), "--dry-run"]
    ended = subprocess.run(
        [sys.executable, "-m", "soundgate", *words],
        cwd=ROOT,
        env={**os.environ, "SOUNDGATE_RUNS": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "SageMaker decides by its cache keys" in ended.stdout
    assert '"DefaultValue": "b-1"' in ended.stdout


def test_the_stm32_project_s_name_of_the_pipeline_is_known():
    from pipelines.stm import pipeline as stm

    assert stm.get_pipeline is aed.get_pipeline


@pytest.mark.parametrize("name", ["it's mine", "a/b", "a:b", 'a"b', "", " a", "a%20b", "x" * 201])
def test_a_model_name_that_no_registry_holds_is_refused_at_once(name):
    with pytest.raises(ParameterError, match=r"^model_name: .*use letters, digits"):
        load(AedParameters, assignments=[f"model_name={name}"])


def test_a_model_name_may_have_blanks_dots_and_umlauts():
    assert load(AedParameters, assignments=["model_name=Bird Geräusche.v2_a-b"]).model_name


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("q_clip_level_acc_threshold=75", "expected 0 to 1, not 75.0"),
        ("q_patch_level_acc_low_threshold=-0.1", "expected 0 to 1, not -0.1"),
        ("q_worse_than_champion=nan", "expected 0 to 1, not nan"),
        ("test_fold=-1", "expected 0 or more, not -1"),
        ("folds=0,1", r"expected 1 or more, not \[0, 1\]"),
        ("epochs=-3", "expected 0 or more, not -3"),
    ],
)
def test_a_number_outside_its_range_is_one_line(assignment, said):
    name = assignment.partition("=")[0]
    with pytest.raises(ParameterError, match=f"^--set {name}: {said}$"):
        load(AedParameters, assignments=[assignment])


def test_a_fold_that_is_named_twice_is_refused():
    with pytest.raises(ParameterError, match=r"^folds: \[2, 2\]: name each fold once$"):
        load(AedParameters, assignments=["folds=2,2"])


def test_the_data_set_s_name_is_read_from_the_user_config(tmp_path):
    config = tmp_path / "user_config.yaml"
    config.write_text("dataset:\n  name: mine\n")
    named = AedParameters(config=ConfigFile(config))
    assert (named.dataset_name, named.processing_step_name) == ("mine", "Preprocess_mine")
    config.write_text("dataset:\n  file_extension: .wav\n")
    assert AedParameters(config=ConfigFile(config)).dataset_name == "AED_Dataset"
    absent = ConfigFile(tmp_path / "absent.yaml", must_exist=False)
    assert AedParameters(config=absent).dataset_name == "AED_Dataset"


def test_config_values_that_evaluation_and_training_need_reach_their_tasks(tmp_path):
    text = "dataset: {name: ESC-10}\ngeneral: {batch_size: 64}\nevaluation: {confidence: 0.9}\n"
    path = tmp_path / "user.yaml"
    path.write_text(f"{text}training: {{model: {{pretrained_weights: weights/model}}}}\n", "utf-8")
    for folds in ("", "1,2"):
        tasks = aed.get_pipeline(
            load(AedParameters, config=path, assignments=[f"folds={folds}"])
        ).tasks
        for name, task in tasks.items():
            if name.startswith("evaluate"):
                assert (task.arguments["confidence"], task.arguments["batch_size"]) == (0.9, 64)
            elif name.startswith("train"):  # an artifact: other bytes at that path train again
                assert [str(f.path) for f in task.inputs["pretrained"]] == ["weights/model"]
            elif name == "pool":
                assert task.arguments["confidence"] == 0.9


@pytest.mark.parametrize("asked", ["test_fold=6", "folds=1,6", "dataset.test_fold=6"])
def test_a_fold_that_the_data_cannot_have_is_refused_before_anything_runs(asked):
    parameters = load(AedParameters, assignments=["dataset=ESC-10", asked])
    with pytest.raises(ParameterError, match=r"fold.*: ESC-10 has folds 1 to 5, got 6"):
        aed.get_pipeline(parameters)
