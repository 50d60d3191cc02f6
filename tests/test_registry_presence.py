"""A candidate is registered again where it is no longer registered, and only there."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
from contextlib import closing

import pytest
from aed_runs import ROOT, SMALL, command, environment, latest

from soundgate.registry.candidates.presence import missing

pytestmark = pytest.mark.slow


@pytest.fixture
def registered(small_aed, tmp_path):
    """``entry.json`` of the small run and the address of a copy of its registry."""
    shutil.copy(small_aed / "mlflow.db", tmp_path / "mlflow.db")
    return entry_of(small_aed), f"sqlite:///{tmp_path}/mlflow.db"


def entry_of(runs):
    return latest(runs) / "tasks/register/entry/entry.json"


def told_by(entry):
    told = json.loads(entry.read_text("utf-8"))
    return f"{told['name']} version {told['version']} of run {told['run_id']}"


def test_a_candidate_in_a_registry_that_was_moved_with_its_folder_is_not_missed(registered):
    entry, uri = registered
    assert json.loads(entry.read_text("utf-8"))["tracking_uri"] != uri
    assert missing(entry, uri) == ""


def test_a_registry_that_is_gone_is_noticed(registered, tmp_path):
    (tmp_path / "mlflow.db").unlink()
    assert missing(*registered) == f"no registry at sqlite:///{tmp_path}/mlflow.db"


def test_a_version_that_was_deleted_is_noticed(registered):
    from mlflow import MlflowClient

    entry, uri = registered
    told = json.loads(entry.read_text("utf-8"))
    MlflowClient(uri, uri).delete_model_version(told["name"], str(told["version"]))
    assert missing(entry, uri) == f"{told_by(entry)} is not in {uri}"


def test_the_same_number_of_a_version_in_another_registry_is_not_taken_for_it(registered, tmp_path):
    entry, uri = registered
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as other, other:
        other.execute("UPDATE model_versions SET run_id = ?", ("0" * 32,))
    assert missing(entry, uri) == f"{told_by(entry)} is not in {uri}"


def test_a_registry_that_is_no_database_is_noticed(registered, tmp_path):
    (tmp_path / "mlflow.db").write_bytes(b"not a database" * 100)
    assert missing(*registered).startswith("its registry cannot be read")


def test_an_unchanged_run_registers_again_only_what_is_not_registered(small_aed, tmp_path):
    """The whole pipeline, of which nothing else runs."""
    runs = tmp_path / "runs"
    shutil.copytree(small_aed, runs, symlinks=True)
    (runs / "mlflow.db").unlink()
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
    ran = [name for name, task in tasks.items() if task["state"] == "succeeded"]
    # there is no champion to compare with, as before: what compares and reviews it stays as it is
    assert ran == ["champion", "register"]
    entry = entry_of(runs)
    assert missing(entry, json.loads(entry.read_text("utf-8"))["tracking_uri"]) == ""
