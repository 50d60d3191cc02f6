"""Fixtures shared by the whole suite."""

from __future__ import annotations

import compileall
import os
from pathlib import Path

import pytest

# Several trainings share the cores here: a thread that waits for another must not spin on one.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

ROOT = Path(__file__).resolve().parent.parent


PROGRAMS = ("pipeline_parameters.py", "pipelines", "soundgate", "steps")


def pytest_configure(config: pytest.Config) -> None:
    """Compile the programs once, before the workers of pytest-xdist start.

    Tests start some thousand processes. Where PYTHONDONTWRITEBYTECODE is set, as it often is in
    containers, each of them would compile the programs again.
    """
    if not hasattr(config, "workerinput"):
        for name in PROGRAMS:
            path = str(ROOT / name)
            compile_ = compileall.compile_dir if (ROOT / name).is_dir() else compileall.compile_file
            compile_(path, quiet=2)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data beside the checkout; skips where it is absent."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"no folder of real data beside the checkout ({folder.name}/)")
    return folder


@pytest.fixture(scope="session")
def esc10(shared: Path) -> Path:
    """ESC-10, folds 1 to 4: 320 real clips; skips where it is absent."""
    folder = shared / "datasets" / "ESC-10"
    if not folder.is_dir():
        pytest.skip("ESC-10 is not in the folder of real data")
    return folder


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the one option that rewrites expectations."""
    parser.addoption("--update-golden", action="store_true", help="rewrite tests/golden/")


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are to be rewritten."""
    return bool(request.config.getoption("--update-golden"))
