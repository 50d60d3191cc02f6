"""Registered models in a service: a champion that moves is followed, without MLflow."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing

import pytest

from soundgate.audio.serving.models.catalogue import Catalogue
from soundgate.audio.serving.settings import ServiceSettings
from soundgate.commands.sound.serve import RegistrySource
from soundgate.errors import RegistryError
from soundgate.registry.versions import current as module
from soundgate.registry.versions.bundle import DIGEST_TAG, digest_of, files_of
from soundgate.registry.versions.current import current, fetched
from tests.audio.toy_model import write_model

TABLES = """
CREATE TABLE registered_model_aliases (name, alias, version INTEGER);
CREATE TABLE model_versions (name, version INTEGER, source, run_id);
CREATE TABLE model_version_tags (name, version INTEGER, key, value);
"""


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """The columns of MLflow's tables that are read, and folders in place of its downloads."""
    database = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.executescript(TABLES)
        for number in (1, 2, 3):
            model = write_model(tmp_path / "versions" / str(number), seed=number)
            if number == 3:
                (model / "weights.safetensors").write_bytes(b"damaged before it was registered")
            digest = digest_of(files_of(model))
            rows = ("aed", number, f"models:/m-{number}", "run")
            connection.execute("INSERT INTO model_versions VALUES (?, ?, ?, ?)", rows)
            tag = ("aed", number, DIGEST_TAG, digest)
            connection.execute("INSERT INTO model_version_tags VALUES (?, ?, ?, ?)", tag)
    downloads = []

    def elsewhere(_function, _uri, _name, version, target):
        downloads.append(version)
        shutil.copytree(tmp_path / "versions" / version, target)

    monkeypatch.setattr(module, "_elsewhere", elsewhere)
    return f"sqlite:///{database}", database, downloads


def release(database, number):
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("DELETE FROM registered_model_aliases")
        row = ("aed", "champion", number)
        connection.execute("INSERT INTO registered_model_aliases VALUES (?, ?, ?)", row)


def test_a_new_champion_is_taken_over_and_a_damaged_one_is_refused(registry, tmp_path):
    uri, database, downloads = registry
    release(database, 1)
    told = []
    source = RegistrySource("aed@champion", uri, tmp_path / "kept")
    catalogue = Catalogue([source], ServiceSettings(), tell=told.append)
    for number in (1, 1, 2, 3, 3):
        release(database, number)
        catalogue.refresh()
    with catalogue.use("aed@champion") as model:
        assert model.version == "2"
        assert model.digest == digest_of(files_of(tmp_path / "versions" / "2"))
    assert downloads == ["1", "2", "3"]
    assert [line.partition(" with ")[0] for line in told[:2]] == [
        "serving aed@champion version 1 (aed)",
        "serving aed@champion version 2 (aed)",
    ]
    assert "weights.safetensors: is damaged" in told[2]
    assert len(told) == 3
    catalogue.close()


def test_kept_files_are_checked_before_they_are_used(registry, tmp_path):
    uri, database, downloads = registry
    release(database, 1)
    version = current(uri, "aed", "champion")
    folder = fetched(uri, "aed", version, tmp_path / "kept")
    assert fetched(uri, "aed", version, tmp_path / "kept") == folder
    assert downloads == ["1"]
    (folder / "model.json").write_text("{}", "utf-8")
    assert fetched(uri, "aed", version, tmp_path / "kept") == folder
    assert downloads == ["1", "1"]
    assert digest_of(files_of(folder)) == version.digest


def test_an_alias_that_is_nowhere_is_told(registry):
    uri, _, _ = registry
    with pytest.raises(RegistryError, match="model 'aed' has no champion: approve a version"):
        current(uri, "aed", "champion")
