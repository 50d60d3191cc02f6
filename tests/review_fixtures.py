"""Fixtures for the tests of reviewing; a plugin, which ``pytest_plugins`` names."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from review_world import PASSWORD, USER, World

from soundgate.registry.service.connection import FIRST_REQUEST, LATER_REQUESTS, QUIET, Registry

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def new_database(tmp_path_factory) -> Path:
    """An embedded registry nobody has used: making the schema takes seconds."""
    folder = tmp_path_factory.mktemp("new")
    _ = Registry(f"sqlite:///{folder}/mlflow.db").client
    return folder / "mlflow.db"


@pytest.fixture
def own_environment(monkeypatch):
    """What MLflow and the registry write to the environment does not outlive a test."""
    names = [*QUIET, *FIRST_REQUEST, *LATER_REQUESTS, "MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID"]
    for name in [*names, USER, PASSWORD, "SOUNDGATE_REVIEW_HOOK"]:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.fixture
def embedded(new_database, tmp_path) -> World:
    """An empty embedded registry."""
    shutil.copy(new_database, tmp_path / "mlflow.db")
    return World(Registry(f"sqlite:///{tmp_path}/mlflow.db"), tmp_path)
