from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from conformance.engine import Engine
from conformance.suite import Conformance

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
    return Engine("make (example)", toy, ("--executor", "make"), program=("-c", LINE))


class TestExample(Conformance):
    """The executor of examples/make_executor.py: one file, one line in a table."""
