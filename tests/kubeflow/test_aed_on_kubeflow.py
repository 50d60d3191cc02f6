"""The AED pipeline as it would be sent to Kubeflow, executed: to a candidate, and to a miss."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING

import ir_lint
import ir_runner
import pytest
from aed_identity import routines
from aed_runs import ROOT, SMALL, copy_of, latest, run
from ir_runner import State

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

IMAGE = ("steps", "soundgate", "pipelines", "pipeline_parameters.py")
COMMIT = "0123456789abcdef0123456789abcdef01234567"
UNREACHABLE = 0.999
RUNS_EVERY_TIME = {"champion", "review", "register"}
"""Who the champion is may have changed; the others name the run."""


def defined(folder: Path, registry: str) -> str:
    """Return what would be sent."""
    site = folder / "site.yaml"
    site.write_text(
        f"image: registry.example/soundgate@sha256:{'0' * 64}\nmlflow_tracking_uri: {registry}\n"
    )
    words = ("get-pipeline-definition", "--executor", "kubeflow", "--profile", str(site))
    done = run(folder, *words, "-n", "pipelines.aed")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def done(small_aed, tmp_path_factory):
    """Two runs on one cluster, the second with a bound that nothing clears, and that one here."""
    folder = tmp_path_factory.mktemp("aed")
    registry = f"sqlite:///{folder / 'mlflow.db'}"
    text = defined(folder, registry)
    here = copy_of(small_aed, folder / "here")
    settings = (*SMALL, f"q_clip_level_acc_threshold={UNREACHABLE}")
    local = run(
        *(here, "run-pipeline", "-n", "pipelines.aed"),
        settings=settings,
        store=small_aed / "store",
    )
    assert local.returncode == 1, local.stdout
    image = folder / "image"
    image.mkdir()
    for name in IMAGE:
        (image / name).symlink_to(ROOT / name)
    platform = ir_runner.Platform(project=image, max_parallel=2, environment=routines())
    cache, work = ir_runner.Cache(), folder / "kubeflow"
    first = ir_runner.run(text, {"commit": COMMIT}, work, platform, cache=cache)
    arguments = {"commit": COMMIT, "q_clip_level_acc_threshold": UNREACHABLE}
    missed = ir_runner.run(text, arguments, work, platform, cache=cache)
    return SimpleNamespace(
        text=text, registry=registry, image=image, first=first, missed=missed, here=latest(here)
    )


def written(outcome, task: str, output: str) -> Path:
    """Where an artifact lies in the cluster's store."""
    return outcome.tasks[task].artifacts[output].path


@pytest.mark.timeout(600)
def test_the_definition_has_no_findings(done):
    assert ir_lint.lint(done.text) == []


@pytest.mark.timeout(600)
def test_it_runs_to_a_registered_candidate(done):
    from mlflow import MlflowClient

    assert done.first.state == State.SUCCEEDED, done.first.report()
    assert set(done.first.states.values()) == {State.SUCCEEDED}
    (version,) = MlflowClient(done.registry).search_model_versions("name = 'aed-candidates'")
    assert version.tags["pipeline.run"] == done.first.run_id
    assert version.tags["git.commit"] == COMMIT
    entry = json.loads((written(done.first, "register", "entry") / "entry.json").read_text())
    assert (entry["name"], entry["version"]) == (version.name, str(version.version))
    # nothing was left in the image, which a pod would lose
    assert sorted(path.name for path in done.image.iterdir()) == sorted(IMAGE)


@pytest.mark.timeout(600)
def test_model_and_figures_are_those_of_the_local_executor(done, small_aed):
    for task, output, name in (
        ("evaluate", "report", "evaluation.json"),
        ("train", "model", "weights.safetensors"),
    ):
        there = (written(done.first, task, output) / name).read_bytes()
        assert there == (latest(small_aed) / "tasks" / task / output / name).read_bytes()


@pytest.mark.timeout(600)
def test_figures_are_shown_by_the_platform(done):
    judged = done.first.tasks["evaluate"].artifacts
    shown = {a.schema: a.metadata for a in judged.values() if a.metadata}
    report = written(done.first, "evaluate", "report") / "evaluation.json"
    accuracy = json.loads(report.read_text())["multiclass_classification_metrics"]
    assert accuracy["clip_acc"]["value"] in shown["system.Metrics"].values()
    assert shown["system.ClassificationMetrics"]["confusionMatrix"]["rows"]


@pytest.mark.timeout(600)
def test_a_missed_gate_fails_the_run_with_its_message_and_nothing_is_registered(done):
    assert done.missed.state == State.FAILED
    gate = done.missed.tasks["gate-clip-accuracy"]
    (local,) = (
        line.partition("error: ")[2]
        for line in (done.here / "tasks/gate-clip-accuracy/log.txt").read_text().splitlines()
        if "error: " in line
    )
    assert f"clip level acc < {UNREACHABLE}" in local
    assert gate.reason == f"Error (exit code 1): {local}"
    assert done.missed.states["register"] == State.SKIPPED
    assert "register" not in done.missed.executed
    # the page that shows why is there nevertheless
    assert (written(done.missed, "review", "review") / "report.html").exists()


@pytest.mark.timeout(600)
def test_what_is_unchanged_is_not_run_again(done):
    again = set(done.missed.executed)
    assert again & set(done.first.states) - RUNS_EVERY_TIME <= {"compare", "gate-clip-accuracy"}
    for task in ("fetch", "preprocess", "train", "export", "evaluate"):
        assert done.missed.states[task] == State.CACHED
