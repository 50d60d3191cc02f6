"""A toy project in a folder of its own, used as its author would: by its command line."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from one_pipeline import ONE, PARAMETERS
from toy_project import Toy, alive, wait_for


@pytest.fixture
def toy(tmp_path):
    project = Toy(tmp_path)
    yield project
    for process in project.started:
        if process.poll() is None:
            process.kill()
        process.communicate()
    for pid in [*project.children(), *(event[3] for event in project.events())]:
        if alive(pid) and Path(f"/proc/{pid}/cwd").resolve().is_relative_to(tmp_path):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def new_toy(tmp_path_factory):
    """Makes projects that the tests of a module share; they start no process that lasts."""
    return lambda: Toy(tmp_path_factory.mktemp("toy"))


@pytest.fixture
def until():
    return wait_for


@pytest.fixture
def is_alive():
    return alive


@pytest.fixture
def one(toy):
    """The module of a pipeline of two tasks."""
    return toy.pipeline("one", ONE, PARAMETERS)
