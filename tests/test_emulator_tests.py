"""Tests of an emulator are skipped only where nothing that they are made of changed."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]
TESTS = Path(__file__).resolve().parent
CONFTEST = """
from emulator_tests import EmulatorTests


def pytest_configure(config):
    config.pluginmanager.register(EmulatorTests(config))
"""
TEST = """
import pytest, machine

pytestmark = pytest.mark.emulator("machine")


@pytest.mark.parametrize("speed", [1, 2])
def test_it_turns(speed):
    assert machine.turn(speed) == 2 * speed
"""
MACHINE = "def turn(speed):\n    return {} * speed\n"


@pytest.fixture
def outcomes(pytester, monkeypatch):
    """Run pytest on a project of one emulator; returns how many tests passed, were skipped, ..."""
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.delenv("CI", raising=False)
    pytester.makeconftest(CONFTEST)
    pytester.makeini("[pytest]\nmarkers = emulator\npythonpath = .\n")
    pytester.makepyfile(machine=MACHINE.format(2), test_machine=TEST, test_other="")

    def run(*words):
        return pytester.runpytest_subprocess(*(words or (".",))).parseoutcomes()

    return run


def test_what_passed_is_skipped_until_the_emulator_changes(outcomes, pytester):
    assert outcomes() == {"passed": 2}
    assert outcomes() == {"skipped": 2}
    pytester.makepyfile(machine=MACHINE.format(3))
    assert outcomes() == {"failed": 2}
    assert outcomes() == {"failed": 2}, "a failure is no reason to skip"
    pytester.makepyfile(machine=MACHINE.format(2) + "# a comment\n")
    assert outcomes() == {"skipped": 2}, "as it passed before"


def test_workers_that_share_a_file_s_tests_pass_it_together(outcomes):
    assert outcomes("-p", "xdist", "-n", "2", ".") == {"passed": 2}
    assert outcomes("-p", "xdist", "-n", "2", ".") == {"skipped": 2}


def test_ci_and_a_named_file_run_it_all_the_same(outcomes, monkeypatch):
    assert outcomes() == {"passed": 2}
    assert outcomes("test_machine.py") == {"passed": 2}
    monkeypatch.setenv("CI", "true")
    assert outcomes() == {"passed": 2}


def test_a_part_that_passed_does_not_stand_for_the_file(outcomes):
    assert outcomes("test_machine.py::test_it_turns[1]") == {"passed": 1}
    assert outcomes("-k", "2") == {"passed": 1, "deselected": 1}
    assert outcomes() == {"passed": 2}
    assert outcomes("-rs") == {"skipped": 2}


def test_fixtures_beside_the_tests_count(outcomes, pytester):
    assert outcomes() == {"passed": 2}
    pytester.makeconftest(CONFTEST + "\nCHANGED = True\n")
    assert outcomes() == {"passed": 2}
