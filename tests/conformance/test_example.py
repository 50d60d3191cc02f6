from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from conformance.engine import Engine
from conformance.suite import Conformance

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
LINE = (
    "import sys; from soundgate import cli, executors; "
    'executors.EXECUTORS["make"] = "examples.make_executor:MakeExecutor"; sys.exit(cli.main())'
)


@pytest.fixture(scope="module")
def engine(toy):
    if not shutil.which("make"):
        pytest.skip("no GNU make here")
    shutil.copytree(ROOT / "examples", toy.folder / "examples")
    words = ("--executor", "make")
    return Engine("make (example)", toy, words, program=("-c", LINE), check_received=check_received)


def check_received(folder, text):
    assert (folder / "Makefile").read_text("utf-8") in text
    for script in folder.glob("tasks/*/task.sh"):
        assert script.read_text("utf-8") in text


class TestExample(Conformance):
    """The executor of examples/make_executor.py: one file, one line in a table."""
