"""A candidate is registered again where it is no longer registered, and only there."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest
from aed_runs import ROOT, SMALL, command, environment, latest

from soundgate.registry.presence import missing

pytestmark = pytest.mark.slow


@pytest.fixture
def registered(small_aed, tmp_path):
    """``entry.json`` of the small run and a copy of its registry."""
    shutil.copy(small_aed / "mlflow.db", tmp_path / "mlflow.db")
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    told = json.loads((latest(small_aed) / "tasks/register/entry/entry.json").read_text("utf-8"))
    entry = tmp_path / "entry.json"
    entry.write_text(json.dumps({**told, "tracking_uri": uri}), "utf-8")
    return entry, uri


def test_a_candidate_that_is_there_is_not_missed(registered):
    assert missing(*registered) == ""


def test_a_registry_that_is_gone_is_noticed(registered, tmp_path):
    (tmp_path / "mlflow.db").unlink()
    assert missing(*registered).startswith("its registry is gone: sqlite:///")


def test_a_version_that_was_deleted_is_noticed(registered):
    from mlflow import MlflowClient

    entry, uri = registered
    told = json.loads(entry.read_text("utf-8"))
    MlflowClient(uri, uri).delete_model_version(told["name"], str(told["version"]))
    assert (
        missing(entry, uri)
        == f"{told['name']} version {told['version']} is no longer in the registry"
    )


def test_another_registry_is_noticed(registered, tmp_path):
    entry, uri = registered
    assert missing(entry, f"sqlite:///{tmp_path}/other.db") == (
        f"another registry is meant: it is in {uri}"
    )


def test_a_registry_that_is_no_database_is_noticed(registered, tmp_path):
    (tmp_path / "mlflow.db").write_bytes(b"not a database" * 100)
    assert missing(*registered).startswith("its registry cannot be read")


def test_an_unchanged_run_registers_again_only_what_is_not_registered(small_aed, tmp_path):
    """The whole pipeline, of which nothing else runs."""
    runs = tmp_path / "runs"
    shutil.copytree(small_aed, runs, symlinks=True)
    first = json.loads((latest(runs) / "tasks/register/entry/entry.json").read_text("utf-8"))
    done = subprocess.run(
        command(
            *("run-pipeline", "-n", "pipelines.aed", "--output", "json"),
            settings=(*SMALL, f"store={small_aed / 'store'}"),
        ),
        cwd=ROOT,
        env=environment(runs),
        capture_output=True,
        text=True,
        check=True,
    )
    tasks = json.loads(done.stdout)["tasks"]
    assert (tasks["train"]["state"], tasks["review"]["state"]) == ("reused", "reused")
    # the copy is another folder of runs, with a registry of its own
    assert tasks["register"]["state"] == "succeeded"
    entry = json.loads((latest(runs) / "tasks/register/entry/entry.json").read_text("utf-8"))
    assert entry["tracking_uri"] != first["tracking_uri"]
    assert missing(latest(runs) / "tasks/register/entry/entry.json", entry["tracking_uri"]) == ""
