"""Fetching registered versions, and predicting with them: the steps and their pipeline."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline_parameters import PredictParameters
from pipelines.predict import get_pipeline
from soundgate import parameters
from soundgate.errors import ConfigError, DataError, ParameterError, RegistryError
from soundgate.pipeline import File
from soundgate.registry.candidates.registration import register_candidate
from soundgate.registry.candidates.signatures import patch_signature
from soundgate.registry.service.connection import (
    FIRST_REQUEST,
    LATER_REQUESTS,
    QUIET,
    Registry,
    tracking_uri,
)
from soundgate.registry.versions.alias_lookup import AliasState, alias_state
from soundgate.reuse.digests import digest_tree
from steps.predict import AUDIO_PATH_FILE, predict
from steps.pull import pull

sys.path.append(str(Path(__file__).parent / "audio"))
from toy_model import write_model, write_sound

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A folder of runs with an embedded registry that holds one candidate."""
    folder = tmp_path_factory.mktemp("runs")
    write_model(folder / "model")
    report = folder / "report"
    report.mkdir()
    (report / "evaluation.json").write_text("{}")
    register_candidate(
        Registry(tracking_uri(folder), str(folder / "mlartifacts")),
        model=folder / "model",
        report=report,
        name="aed",
        provenance={"run": "aed-1", "commit": "abc", "dataset": "sha256:0", "pipeline": "aed"},
        verdicts=[],
        signature=patch_signature(16, 3),
        metrics={"clip_accuracy": 1.0},
    )
    return folder


@pytest.fixture(autouse=True)
def own_environment(monkeypatch):
    """What MLflow and the registry write to the environment does not outlive a test."""
    for name in [*QUIET, *FIRST_REQUEST, *LATER_REQUESTS, "MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID"]:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.fixture
def in_root(root, monkeypatch):
    monkeypatch.setenv("SOUNDGATE_ROOT", str(root))
    return root


# -- pull ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["candidate", "1"])
def test_a_version_comes_out_as_it_went_in(in_root, tmp_path, capsys, which):
    pull(tmp_path / "version", model_name="aed-candidates", which=which)
    about = json.loads((tmp_path / "version" / "version.json").read_text())
    assert list(about) == ["format", "name", "version", "tags", "metrics", "run_id", "uri"]
    assert not [key for key in about["tags"] if key.startswith(("review.", "gate."))]
    assert (about["name"], about["version"]) == ("aed-candidates", "1")
    assert about["uri"] == "models:/aed-candidates/1"
    assert about["tags"]["pipeline.run"] == "aed-1"
    model = tmp_path / "version" / "model"
    found = {p.relative_to(model).as_posix() for p in model.rglob("*") if p.is_file()}
    assert found == {"model.json", "weights.safetensors", "split.jsonl"}
    for name in ("model.json", "weights.safetensors", "split.jsonl"):
        assert (model / name).read_bytes() == (in_root / "model" / name).read_bytes()
    assert capsys.readouterr().out == f"aed-candidates version 1 ({which})\n"


@pytest.mark.parametrize(
    ("name", "which", "text"),
    [
        ("aed-candidate", "candidate", "did you mean 'aed-candidates'"),
        ("aed-candidates", "champion", "no alias 'champion'"),
        ("aed-candidates", "7", "no version 7"),
    ],
)
def test_what_is_not_there_is_one_line(in_root, tmp_path, name, which, text):
    with pytest.raises(RegistryError, match=text) as caught:
        pull(tmp_path / "version", model_name=name, which=which)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["aed", "aed-candidates"])
def test_optional_writes_that_there_is_none(in_root, tmp_path, capsys, name):
    pull(tmp_path / "version", model_name=name, optional=True)
    about = json.loads((tmp_path / "version" / "version.json").read_text())
    assert about == {
        "format": "soundgate.version/2",
        "name": name,
        "version": None,
        "tags": {},
        "metrics": {},
        "run_id": None,
        "uri": None,
    }
    assert [path.name for path in (tmp_path / "version").iterdir()] == ["version.json"]
    assert capsys.readouterr().out == f"no champion of {name} yet\n"
    with pytest.raises(DataError, match=f"model '{name}' has no such version"):
        predict(tmp_path / "version", tmp_path, tmp_path / "out")


def test_without_a_registry_nothing_is_imported_or_made(tmp_path):
    code = """
import sys
from pathlib import Path
from steps.pull import pull
pull(Path("version"), model_name="aed", optional=True)
assert not {"mlflow", "numpy", "torch", "sqlalchemy"} & set(sys.modules), sorted(sys.modules)
"""
    environment = os.environ | {"SOUNDGATE_ROOT": str(tmp_path / "runs"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
    )
    assert done.stdout == "no champion of aed yet\n"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["version", "version.json"]


PULL = """
import sys
from pathlib import Path
from steps.pull import pull
pull(Path(sys.argv[1]), model_name="aed-candidates", which=sys.argv[2], optional=True)
print("mlflow" in sys.modules)
"""


def test_a_version_that_was_pulled_before_is_found_without_mlflow(in_root, tmp_path):
    def pulled(folder: str, which: str) -> list[str]:
        command = [sys.executable, "-c", PULL, str(tmp_path / folder), which]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        return done.stdout.splitlines()

    shutil.rmtree(in_root / ".cache", ignore_errors=True)
    assert pulled("a", "candidate") == ["aed-candidates version 1 (candidate)", "True"]
    assert pulled("b", "candidate") == ["aed-candidates version 1 (candidate)", "False"]
    assert digest_tree(tmp_path / "a").digest == digest_tree(tmp_path / "b").digest
    assert pulled("c", "champion") == ["no champion of aed-candidates yet", "False"]
    [kept] = (in_root / ".cache" / "versions").glob("*/model/weights.safetensors")
    kept.write_bytes(b"altered")
    assert pulled("d", "candidate") == ["aed-candidates version 1 (candidate)", "True"]
    assert digest_tree(tmp_path / "d").digest == digest_tree(tmp_path / "a").digest


@pytest.mark.parametrize("text", [b"", b"no database", b"SQLite format 3\0 damaged"])
def test_a_file_that_is_no_registry_is_left_to_mlflow(tmp_path, text):
    (tmp_path / "mlflow.db").write_bytes(text)
    assert not alias_state(tmp_path / "mlflow.db", "aed", "champion").known
    assert not alias_state(None, "aed", "champion").known
    assert alias_state(tmp_path / "absent.db", "aed", "champion") == AliasState(known=True)


def test_a_registry_that_is_required_but_absent(tmp_path, monkeypatch):
    monkeypatch.setenv("SOUNDGATE_ROOT", str(tmp_path))
    with pytest.raises(RegistryError, match="no registry at"):
        pull(tmp_path / "version", model_name="aed")


# -- predict -------------------------------------------------------------------------------------


@pytest.fixture
def audio(tmp_path):
    for name in ("a.wav", "b/c.ogg"):
        write_sound(tmp_path / "audio" / name, 0.8)
    return tmp_path / "audio"


def test_predictions_say_which_version_made_them(in_root, audio, tmp_path, capsys):
    pull(tmp_path / "version", model_name="aed-candidates", which="candidate")
    predict(tmp_path / "version", audio, tmp_path / "out", format="jsonl")
    summary = json.loads((tmp_path / "out" / "predictions.json").read_text())
    about = json.loads((tmp_path / "version" / "version.json").read_text())
    assert summary["model"] == {
        "digest": about["tags"]["model.digest"],
        "name": "aed-candidates",
        "version": "1",
        "run_id": about["run_id"],
    }
    assert (summary["clips"], summary["audio_s"]) == (2, 1.6)
    assert summary["clips_per_s"] > 0
    assert "2 clips, 6 patches, 0 failures" in capsys.readouterr().out


def test_a_version_without_programs_is_told(in_root, audio, tmp_path):
    pull(tmp_path / "version", model_name="aed-candidates", which="candidate")
    for runtime in ("onnx", "int8"):
        with pytest.raises(
            DataError, match=r"\.onnx: is missing: .* set runtime to torch"
        ) as caught:
            predict(tmp_path / "version", audio, tmp_path / "out", runtime=runtime)
        assert "\n" not in str(caught.value)


def test_a_folder_of_a_training_is_a_version_too(root, audio, tmp_path):
    predict(root / "model", audio, tmp_path / "out")
    summary = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert summary["model"]["name"] is None
    assert len(summary["model"]["digest"]) == 64


def test_a_folder_may_be_given_by_its_name(root, audio, tmp_path):
    (tmp_path / AUDIO_PATH_FILE).write_text(str(audio))
    predict(root / "model", tmp_path / AUDIO_PATH_FILE, tmp_path / "out")
    assert len((tmp_path / "out" / "clips.csv").read_text().splitlines()) == 3


# -- the pipeline --------------------------------------------------------------------------------


def declared(tmp_path, *assignments, config=None):
    values = parameters.load(PredictParameters, config=config, assignments=assignments)
    return get_pipeline(values).tasks


def test_parameters_reach_the_steps(tmp_path):
    tasks = declared(tmp_path, "audio=clips", "version=3", "model_name=x", "segment_s=2.5")
    assert list(tasks) == ["pull", "predict"]
    assert tasks["pull"].arguments == {"model_name": "x", "which": "3"}
    assert not tasks["pull"].reuse
    assert tasks["pull"].environment == ("MLFLOW_TRACKING_URI",)
    predicted = tasks["predict"]
    assert predicted.reuse
    assert predicted.arguments["audio"] == File("clips", Path("clips"))
    assert predicted.arguments["segment_s"] == 2.5
    assert "manifest" not in predicted.arguments


def test_a_user_config_says_what_to_predict_and_what_is_unknown(tmp_path):
    path = tmp_path / "user_config.yaml"
    path.write_text(
        "general: {batch_size: 32}\n"
        "prediction: {test_files_path: clips}\n"
        "deployment: {unknown_class_threshold: 0.6}\n"
    )
    arguments = declared(tmp_path, config=path)["predict"].arguments
    assert arguments["audio"] == File("clips", Path("clips"))
    assert (arguments["unknown_class_threshold"], arguments["batch_size"]) == (0.6, 32)
    given = declared(tmp_path, "unknown_class_threshold=0.3", "audio=own", config=path)
    assert given["predict"].arguments["unknown_class_threshold"] == 0.3
    assert given["predict"].arguments["audio"].name == "own"


def test_a_folder_in_place_is_its_name_and_never_reused(tmp_path):
    task = declared(tmp_path, f"audio={tmp_path}", "in_place=true")["predict"]
    assert task.arguments["audio"] == File(AUDIO_PATH_FILE, text=str(tmp_path))
    assert not task.reuse


def test_the_folder_of_a_manifest_is_its_audio(tmp_path):
    arguments = declared(tmp_path, "manifest=data/clips/manifest.jsonl")["predict"].arguments
    assert arguments["audio"] == File("clips", Path("data/clips"))


@pytest.mark.parametrize(
    ("assignment", "text"),
    [
        ("version=champion", "nothing to predict: pass --set audio=FOLDER"),
        ("format=xml", "--set format: expected csv, parquet or jsonl, not 'xml'$"),
        ("runtime=onxx", "did you mean 'onnx'"),
        ("segment_s=-1", "--set segment_s: expected 0 or more, not -1.0$"),
        ("unknown_class_threshold=2", "unknown_class_threshold: expected 0 to 1, not 2.0$"),
        ("verison=1", "did you mean 'version'"),
    ],
)
def test_mistakes_are_told_before_anything_runs(tmp_path, assignment, text):
    with pytest.raises((ParameterError, ConfigError), match=text):
        declared(tmp_path, assignment)


def test_a_run_predicts_with_the_candidate_and_is_reused(root, audio, tmp_path):
    shutil.copytree(root, tmp_path / "runs", ignore=shutil.ignore_patterns("mlartifacts"))
    command = [sys.executable, "-m", "soundgate.cli", "run-pipeline", "-n", "pipelines.predict"]
    command += ["--set", f"audio={audio}", "--set", "model_name=aed-candidates"]
    command += ["--set", "version=candidate", "--set", "format=parquet", "--output", "json"]
    environment = os.environ | {"SOUNDGATE_RUNS": str(tmp_path / "runs")}
    states = []
    for _ in range(2):
        done = subprocess.run(
            command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True
        )
        record = json.loads(done.stdout)
        states.append([task["state"] for task in record["tasks"].values()])
    assert states == [["succeeded", "succeeded"], ["succeeded", "reused"]]
    folder = tmp_path / "runs" / "predict" / record["run"] / "tasks" / "predict" / "predictions"
    assert {path.name for path in folder.iterdir()} == {
        "clips.parquet",
        "patches.parquet",
        "failures.jsonl",
        "predictions.json",
    }
