"""Fixtures shared by the whole suite."""

from __future__ import annotations

import compileall
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import spot_runs
import tagging_runs
from aed_runs import make_small
from emulator_tests import EmulatorTests
from fixture_cache import FixtureCache
from suite_order import LONGEST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Several trainings share the cores here: a thread that waits for another must not spin on one.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

ROOT = Path(__file__).resolve().parent.parent


PROGRAMS = ("pipeline_parameters.py", "pipelines", "soundgate", "steps")


def pytest_configure(config: pytest.Config) -> None:
    """Register markers' plugin; compile the programs once, before the workers start.

    Tests start some thousand processes. Where PYTHONDONTWRITEBYTECODE is set, as it often is in
    containers, each of them would compile the programs again.
    """
    if hasattr(config, "cache"):
        config.pluginmanager.register(EmulatorTests(config))
    if not hasattr(config, "workerinput"):
        for name in PROGRAMS:
            path = str(ROOT / name)
            compile_ = compileall.compile_dir if (ROOT / name).is_dir() else compileall.compile_file
            compile_(path, quiet=2)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files: no worker is then left with one while the others are done."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    places = {ROOT / "tests" / name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: (places.get(item.path, len(places)), item.path not in slow))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data beside the checkout; skips where it is absent."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"no folder of real data beside the checkout ({folder.name}/)")
    return folder


@pytest.fixture(scope="session")
def real_data(shared: Path) -> Callable[[str], Path]:
    """Finds a path below the folder of real data; skips, with its name, where it is absent."""

    def find(name: str) -> Path:
        if not (shared / name).exists():
            pytest.skip(f"{name} is not in the folder of real data")
        return shared / name

    return find


@pytest.fixture(scope="session")
def esc10(real_data: Callable[[str], Path]) -> Path:
    """ESC-10, folds 1 to 4: 320 real clips; skips where it is absent."""
    return real_data("datasets/ESC-10")


@pytest.fixture(scope="session")
def fixture_cache(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FixtureCache]:
    """Folders that tests share: see ``tests/fixture_cache.py``.

    Kept between sessions below pytest's cache, unless ``--fresh-fixtures`` or CI asks for new ones.
    """
    fresh = request.config.getoption("--fresh-fixtures") or os.environ.get("CI")
    if fresh or not hasattr(request.config, "cache"):
        root = tmp_path_factory.getbasetemp()
        root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root
        root = root / "fixtures"
        root.mkdir(exist_ok=True)
    else:
        root = Path(request.config.cache.mkdir("fixtures"))
    made = FixtureCache(root)
    yield made
    altered = made.altered()
    assert not altered, f"tests changed shared folders instead of copies: {altered}"


@pytest.fixture(scope="session")
def small_aed(fixture_cache: FixtureCache) -> Path:
    """The folder of runs that one undisturbed run of the small AED pipeline left; to read."""
    return fixture_cache.folder("small-aed", make_small, whole_product=True) / "runs"


@pytest.fixture(scope="session")
def small_tagging(fixture_cache: FixtureCache) -> Path:
    """The folder of runs that one undisturbed run of the small tagging pipeline left; to read."""
    folder = fixture_cache.folder("small-tagging", tagging_runs.make_small, whole_product=True)
    return folder / "runs"


@pytest.fixture(scope="session")
def small_spot(fixture_cache: FixtureCache) -> Path:
    """The folder of runs that one undisturbed run of the small spotting pipeline left; to read."""
    folder = fixture_cache.folder("small-spot", spot_runs.make_small, whole_product=True)
    return folder / "runs"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add options that write expectations and shared folders again."""
    parser.addoption("--update-golden", action="store_true", help="rewrite tests/golden/")
    parser.addoption(
        "--fresh-fixtures", action="store_true", help="use no folder that an earlier session made"
    )


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are to be rewritten."""
    return bool(request.config.getoption("--update-golden"))
