from __future__ import annotations

import os

import pytest

from soundgate.pipeline import File, Pipeline
from soundgate.reuse import snapshot, sources
from soundgate.reuse.sources import Sources
from soundgate.step import InputPath, OutputPath  # noqa: TC001 - signatures of steps are read
from soundgate.task import Output


def listen(source: InputPath, out: OutputPath, *, text: str = "") -> None:
    """Only declared."""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A program, a folder of clips and another task's output; returns what looks at them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for path, text in (
        ("programs/__init__.py", ""),
        ("programs/step.py", "import programs.gains\n"),
        ("programs/gains.py", "GAIN = 1\n"),
        ("clips/a.wav", "1"),
        ("made/out/x", "1"),
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    known = Sources(tmp_path / "memory.json")
    monkeypatch.setattr(listen, "__module__", "programs.step")
    task = Pipeline("p").add(listen, source=File("clips", tmp_path / "clips"))
    yield lambda: snapshot.take(task, known, lambda _: tmp_path / "made" / "out")
    for cached in (sources.find_source, sources._top_level, sources.is_own):
        cached.cache_clear()


def rewrite(path, text):
    path.write_text(text)


def edit_and_put_back(path):
    before = path.read_text()
    path.write_text("x = 9\n")
    path.write_text(before)


def test_nothing_changed(project):
    assert project().difference(project()) == ""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda f: rewrite(f / "programs/gains.py", "GAIN = 2\n"),
            "program changed: programs.gains",
        ),
        (lambda f: edit_and_put_back(f / "programs/gains.py"), "program changed: "),
        (lambda f: rewrite(f / "clips/a.wav", "2"), "input changed: source"),
        (lambda f: rewrite(f / "clips/b.wav", ""), "input changed: source"),
        (lambda f: (f / "clips/a.wav").unlink(), "input changed: source"),
        (lambda f: (f / "clips").rename(f / "away"), "input changed: source"),
        (lambda f: os.mkfifo(f / "clips/p.wav"), "input changed: source"),
        (lambda f: rewrite(f / "programs/table.csv", "1"), "program changed: programs/table.csv"),
    ],
)
def test_names_what_changed_while_a_task_ran(project, tmp_path, change, said):
    before = project()
    change(tmp_path)
    assert before.difference(project()).startswith(said)


def test_a_link_that_another_run_makes_to_an_output_is_no_change(tmp_path, monkeypatch):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "x").write_text("1")
    output = Output("make", "out")
    before = snapshot._stamps(output, lambda _: tmp_path / "out")
    os.link(tmp_path / "out" / "x", tmp_path / "twin")
    assert snapshot._stamps(output, lambda _: tmp_path / "out") == before
    (tmp_path / "out" / "x").write_text("22")
    assert snapshot._stamps(output, lambda _: tmp_path / "out") != before
