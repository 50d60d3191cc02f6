"""Fixtures shared by the whole suite."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Several trainings share the cores here: a thread that waits for another must not spin on one.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

ROOT = Path(__file__).resolve().parent.parent


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
