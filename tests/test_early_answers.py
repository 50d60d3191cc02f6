"""What would fail minutes later, on machines that are paid for, is answered at submission."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from soundgate.errors import UserError
from soundgate.invocation import Invocation, declare

ROOT = Path(__file__).resolve().parent.parent

WRONG = {
    "test_fold=7": "test_fold: synthetic has folds 1 to 5, got 7",
    "folds=1,9": "folds: synthetic has folds 1 to 5, got 9",
    "dataset=folders": "dataset 'folders' is unknown; did you mean 'folder'?",
    "dataset=folder": (
        "dataset 'folder' is data of your own, and none is given: pass --set dataset_path=FOLDER, "
        "or dataset.training_audio_path in the user config"
    ),
    "dataset_path=s3://bucket/clips": (
        "dataset_path: s3://bucket/clips is no folder of this machine: copy it here, or set "
        "download_command to what copies it into ./temp"
    ),
    "store=": "store: give a folder, or s3://bucket/prefix",
    "training.model.pretrained_weights=true": (
        "training.model.pretrained_weights: true names no weights, and none are shipped: "
        "give a path"
    ),
    "model_name=it's mine": (
        """model_name: "it's mine": use letters, digits, '_', '-', '.' and blanks between them, """
        "200 characters at most"
    ),
    "q_clip_level_acc_threshold=75": (
        "--set q_clip_level_acc_threshold: expected 0 to 1, not 75.0"
    ),
    "q_worse_than_champion=-0.1": "--set q_worse_than_champion: expected 0 to 1, not -0.1",
    "q_patch_level_acc_threshold=nan": (
        "--set q_patch_level_acc_threshold: expected 0 to 1, not nan"
    ),
    "epochs=-1": "--set epochs: expected 0 or more, not -1",
    "data_augmentation.SpecAug.mask_value=.nan": (
        "--set: data_augmentation.SpecAug.mask_value: input should be a finite number; got nan"
    ),
    "preprocessing.max_length=.inf": (
        "--set: preprocessing.max_length: input should be a finite number; got inf"
    ),
}


def answer(assignment, folder):
    with pytest.raises(UserError) as error:
        declare(Invocation(module="pipelines.aed", assignments=(assignment,)), folder)
    return str(error.value)


@pytest.mark.parametrize("assignment", WRONG)
def test_a_wrong_value_is_one_line_that_names_the_field_and_the_fix(
    assignment, tmp_path, monkeypatch
):
    monkeypatch.chdir(ROOT)
    assert answer(assignment, tmp_path) == WRONG[assignment]


def test_a_dry_run_answers_alike(tmp_path):
    words = ["run-pipeline", "-n", "pipelines.aed", "--dry-run", "--set", "test_fold=7"]
    ended = subprocess.run(
        [sys.executable, "-m", "soundgate", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == f"run-pipeline: {WRONG['test_fold=7']}\n"


@pytest.mark.parametrize(
    ("module", "thresholds"),
    [
        ("pipelines.aed", ("q_clip_level_acc_threshold", "q_patch_level_acc_threshold")),
        (
            "pipelines.tagging",
            ("q_macro_f1_threshold", "q_mean_average_precision_threshold"),
        ),
    ],
)
def test_a_pipeline_without_gates_registers_with_the_report_it_shows(module, thresholds, tmp_path):
    assignments = tuple(f"{name}=none" for name in thresholds)
    pipeline, _ = declare(Invocation(module=module, assignments=assignments), tmp_path)
    assert not [task for task in pipeline.tasks.values() if task.gate]
    judged = pipeline.tasks["register"].inputs["judged"]
    assert [str(output) for output in judged] == ["evaluate/report"]
