"""Shared folders are made once, and again when what they are made of changes."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from fixture_cache import KEPT, FixtureCache

TESTS = Path(__file__).resolve().parent
MAKER = """
import os, time
from pathlib import Path
from letters import LETTER


def make(folder):
    with Path("made.txt").open("a") as log:
        log.write("made\\n")
    time.sleep(0.3)
    (folder / "letter.txt").write_text(LETTER)
    if os.environ.get("BROKEN"):
        raise SystemExit("broken")
"""
USER = """
import sys
from pathlib import Path
from fixture_cache import FixtureCache
import maker

print((FixtureCache(Path("cache")).folder("letter", maker.make) / "letter.txt").read_text())
"""


@pytest.fixture
def project(tmp_path):
    """Modules of a maker, and a program that asks for what it makes."""
    (tmp_path / "maker.py").write_text(MAKER)
    (tmp_path / "user.py").write_text(textwrap.dedent(USER))
    (tmp_path / "letters.py").write_text("LETTER = 'a'\n")
    (tmp_path / "cache").mkdir()
    return tmp_path


def ask(project, **environment):
    """Start the program."""
    return subprocess.Popen(
        [sys.executable, "user.py"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(TESTS), **environment},
        stdout=subprocess.PIPE,
        text=True,
    )


def answer(process):
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return out.strip()


def made(project):
    return (project / "made.txt").read_text().count("made")


def test_workers_that_ask_at_once_get_one_folder(project):
    first, second = ask(project), ask(project)
    assert (answer(first), answer(second)) == ("a", "a")
    assert made(project) == 1
    assert answer(ask(project)) == "a", "a later session"
    assert made(project) == 1


def test_a_change_in_what_a_maker_imports_makes_it_again(project):
    answer(ask(project))
    (project / "letters.py").write_text("LETTER = 'bc'\n")
    assert answer(ask(project)) == "bc"
    (project / "letters.py").write_text("LETTER = 'bc'  # a comment\n")
    assert answer(ask(project)) == "bc"
    assert made(project) == 2
    assert answer(ask(project, OMP_NUM_THREADS="1")) == "bc"
    assert made(project) == 3, "bits depend on the number of threads"


def test_a_maker_that_fails_leaves_nothing_to_read(project):
    failed = ask(project, BROKEN="1")
    failed.communicate(timeout=60)
    assert failed.returncode != 0
    assert answer(ask(project)) == "a"
    assert made(project) == 2


def write(folder):
    (folder / "file.txt").write_text("whole")


def test_a_folder_that_a_test_changed_is_told_and_made_again(tmp_path):
    folders = FixtureCache(tmp_path)
    folder = folders.folder("file", write)
    assert folders.altered() == []
    (folder / "file.txt").write_text("changed")
    (folder / "more.txt").write_text("")
    assert folders.altered() == [str(folder / "file.txt"), str(folder / "more.txt")]
    again = FixtureCache(tmp_path).folder("file", write)
    assert [path.name for path in again.iterdir()] == ["file.txt"]
    assert (again / "file.txt").read_text() == "whole"


def test_the_folders_used_longest_ago_are_forgotten(tmp_path, monkeypatch):
    folders = FixtureCache(tmp_path)
    for count in range(KEPT + 2):
        monkeypatch.setenv("OMP_NUM_THREADS", str(count + 1))
        newest = folders.folder("file", write)
    kept = [path.parent for path in tmp_path.glob("file/*/content")]
    assert len(kept) == KEPT
    assert newest.parent in kept
