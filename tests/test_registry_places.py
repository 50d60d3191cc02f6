"""Folders of runs with odd names, and folders that were moved: the embedded registry in them."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from review_world import World

from soundgate import cli
from soundgate.errors import RegistryError
from soundgate.registry.candidates.presence import missing
from soundgate.registry.service.addresses import read_only, sqlite_address, sqlite_file
from soundgate.registry.service.connection import Registry, tracking_uri
from soundgate.registry.versions.alias_lookup import alias_state
from soundgate.registry.versions.lookup import download, get

pytest_plugins = ["review_fixtures"]
pytestmark = pytest.mark.usefixtures("own_environment")

ODD = ["run#1", "run?1", "run%20x", "run x", "rün 日本", "50%", "a?uri=true&b=1", "a:b@c"]


@pytest.mark.parametrize("name", ODD)
def test_the_address_of_a_file_means_that_file_to_sqlalchemy(name, tmp_path):
    from sqlalchemy import create_engine

    file = tmp_path / name / "mlflow.db"
    file.parent.mkdir()
    address = sqlite_address(file)
    assert sqlite_file(address) == file
    with create_engine(address).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE here (x)")
    [found] = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert found == file
    with sqlite3.connect(read_only(file), uri=True) as opened:
        assert opened.execute("SELECT name FROM sqlite_master").fetchall() == [("here",)]
    opened.close()


@pytest.mark.parametrize(
    "address",
    [
        "sqlite:///{}/run%231/mlflow.db",
        "sqlite:///{}/run#1/mlflow.db",
        "sqlite:///{}/run#1/mlflow.db?timeout=5",
        "sqlite:///file:{}/run%25231/mlflow.db?uri=true",
        "sqlite:///file://localhost{}/run%25231/mlflow.db?uri=true&mode=rwc",
    ],
)
def test_every_form_of_an_address_is_understood_as_sqlalchemy_does(address, tmp_path):
    from sqlalchemy import create_engine

    file = tmp_path / "run#1" / "mlflow.db"
    file.parent.mkdir()
    uri = address.format(tmp_path)
    assert sqlite_file(uri) == file
    with create_engine(uri).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE here (x)")
    assert file.is_file()


@pytest.mark.parametrize("uri", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "http://h/x.db"])
def test_what_is_no_file_is_none(uri):
    assert sqlite_file(uri) is None


@pytest.mark.parametrize("name", ["run#1", "run?1", "run%20x", "rün 日本"])
def test_a_folder_of_runs_with_an_odd_name_holds_its_registry(
    name, new_database, tmp_path, monkeypatch, capsys
):
    runs = tmp_path / name
    runs.mkdir()
    shutil.copy(new_database, runs / "mlflow.db")
    monkeypatch.setenv("SOUNDGATE_RUNS", str(runs))
    world = World(Registry(tracking_uri(runs)), runs)
    assert [world.candidate(run) for run in ("r1", "r2")] == ["1", "2"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]  # nothing lies beside it
    assert (runs / "mlartifacts").is_dir()

    def run(*words: str) -> str:
        assert cli.main(["review-model", *words]) == 0
        return capsys.readouterr().out

    assert "version 1, the champion" in run("approve", "1", "--comment", "good")
    assert "version 2, the champion" in run("approve", "2", "--comment", "better")
    assert "version 1 is the champion" in run("rollback", "--comment", "false alarms")
    assert run("list").endswith("champion: aed version 1\n")
    shown = json.loads(run("show", "1", "--output", "json"))
    assert shown["notes"] == []
    assert Path(shown["report"]).read_text() == "<p>r1</p>"

    champion = get(world.registry, "aed", "champion")
    assert alias_state(world.registry.database, "aed", "champion").identity[0] == "1"
    download(world.registry, champion, tmp_path / "model")
    assert (tmp_path / "model" / "weights.safetensors").read_bytes() == b"r1"
    entry = tmp_path / "entry.json"
    told = {"name": "aed-candidates", "version": "1", "run_id": champion.run_id}
    entry.write_text(json.dumps(told))
    assert missing(entry, tracking_uri(runs)) == ""
    assert missing(entry, tracking_uri(tmp_path)).startswith("no registry at")


@pytest.fixture
def moved(new_database, tmp_path) -> World:
    """A folder of runs with a champion, moved after it was made."""
    runs = tmp_path / "my runs"
    runs.mkdir()
    shutil.copy(new_database, runs / "mlflow.db")
    world = World(Registry(tracking_uri(runs)), runs)
    world.candidate("r1")
    world.session().approve("1")
    target = tmp_path / "moved"
    runs.rename(target)
    return World(Registry(tracking_uri(target)), target)


def test_a_moved_folder_of_runs_says_so_and_how_to_go_on(moved, tmp_path, monkeypatch, capsys):
    advice = f"ln -s {tmp_path}/moved '{tmp_path}/my runs'"
    with pytest.raises(RegistryError, match="its folder was moved") as error:
        download(moved.registry, get(moved.registry, "aed", "champion"), tmp_path / "model")
    assert str(error.value).endswith(advice)
    with pytest.raises(RegistryError, match="its folder was moved"):
        moved.candidate("r2")
    assert not (tmp_path / "my runs").exists()  # nothing was written to the old place
    monkeypatch.setenv("SOUNDGATE_RUNS", str(moved.folder))
    for words in (["list"], ["show", "1"]):
        assert cli.main(["review-model", *words]) == 0
        assert advice in capsys.readouterr().out

    (tmp_path / "my runs").symlink_to(moved.folder)
    linked = Registry(tracking_uri(moved.folder))
    download(linked, get(linked, "aed", "champion"), tmp_path / "model")
    assert (tmp_path / "model" / "weights.safetensors").read_bytes() == b"r1"
    assert World(linked, moved.folder).candidate("r3") == "2"
