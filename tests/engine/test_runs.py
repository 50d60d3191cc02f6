from __future__ import annotations

import json
import multiprocessing
import re
import time

import pytest

from soundgate import runs
from soundgate.errors import ParameterError
from soundgate.runs import Context, Run, State


def make(root, pipeline, run_id):
    run = Run(root, pipeline, run_id)
    run.write({"format": runs.RUN_FORMAT, "run": run_id})
    return run


@pytest.fixture
def three(tmp_path):
    ids = ["20260101-000000-aaaa", "20260102-000000-bbbb", "20260102-000001-bbbb"]
    return [make(tmp_path, name, i) for name, i in zip(("aed", "sed", "aed"), ids, strict=True)]


def test_runs_are_listed_newest_first(tmp_path, three):
    (tmp_path / ".cache" / "x").mkdir(parents=True)
    (tmp_path / ".cache" / "x" / "run.json").touch()
    (tmp_path / "aed" / "20300101-000000-zzzz").mkdir()
    assert list(runs.all_runs(tmp_path)) == three[::-1]
    assert list(runs.all_runs(tmp_path, "aed")) == [three[2], three[0]]
    assert list(runs.all_runs(tmp_path / "none")) == []


def test_a_run_is_found_by_what_a_person_writes(tmp_path, three):
    for text, run in [
        ("last", three[2]),
        ("20260101-000000-aaaa", three[0]),
        ("20260101", three[0]),
        ("20260102-000000", three[1]),
        ("aed/20260101-000000-aaaa", three[0]),
        (str(three[1].folder), three[1]),
        (f"{three[1].folder}/", three[1]),
    ]:
        assert runs.find_run(tmp_path, text) == run


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("20260102", "'20260102' matches 2 runs; write more characters"),
        ("20260101-000000-aaab", "did you mean '20260101-000000-aaaa'?"),
        ("", "no run ''"),
        ("xyz", "no run 'xyz' in .*; known: 20260102-000001-bbbb, 20260102-000000-bbbb"),
    ],
)
def test_a_run_that_is_not_there_is_answered(tmp_path, three, text, said):
    with pytest.raises(ParameterError, match=said):
        runs.find_run(tmp_path, text)


def test_last_of_no_runs_is_answered(tmp_path):
    with pytest.raises(ParameterError, match=r"^no run 'last' in"):
        runs.find_run(tmp_path, "last")


def test_a_run_made_after_the_clock_went_back_is_the_last(tmp_path):
    for name in ("20991231-235959-999aa", "20261120-101530-2079f", "0-no-time"):
        Run(tmp_path, "p", name).write({})
    latest = runs.new_run_id(tmp_path)
    assert re.fullmatch(r"21000101-000000-000[0-9a-f]{2}", latest)
    Run(tmp_path, "q", latest).write({})
    assert runs.find_run(tmp_path, "last").id == latest
    assert runs.new_run_id(tmp_path)[:-2] == "21000101-000000-001"


def test_run_ids_sort_by_time_and_differ(tmp_path):
    ids = [runs.new_run_id(tmp_path) for _ in range(20)]
    assert all(re.fullmatch(r"\d{8}-\d{6}-[0-9a-f]{4,}", i) for i in ids)
    assert len(set(ids)) > 15
    assert [i[:15] for i in ids] == sorted(i[:15] for i in ids)


def test_the_environment_round_trips(monkeypatch):
    context = Context(task="t", run="r", key="k", attempt="3", root="/runs", cpus="2")
    for name, value in context.environment().items():
        assert name.startswith("SOUNDGATE_")
        monkeypatch.setenv(name, value)
    assert Context.from_environment() == context


def test_a_step_run_by_hand_has_an_empty_context(monkeypatch):
    for name in Context().environment():
        monkeypatch.delenv(name, raising=False)
    assert Context.from_environment() == Context()


def test_a_record_of_another_format_is_refused(tmp_path):
    run = make(tmp_path, "aed", "1")
    (run.folder / "run.json").write_text('{"format": "other/1"}')
    with pytest.raises(
        ParameterError, match=r"run\.json: is not a run record in format soundgate\.run/1"
    ):
        run.read()
    (run.folder / "run.json").write_text("{")
    with pytest.raises(ParameterError, match="not a run record"):
        run.read()


def test_a_mark_of_another_format_is_none(tmp_path):
    assert runs.read_mark(tmp_path) is None
    for text in ("", "{", "[]", '{"format": "x"}', "\xff"):
        (tmp_path / runs.MARK).write_text(text, "latin-1")
        assert runs.read_mark(tmp_path) is None
    values = {"argv": ["python"], "exit_code": 0, "duration_s": 0.5}
    mark = runs.write_mark(tmp_path, Context(task="t"), state=State.SUCCEEDED, **values)
    assert runs.read_mark(tmp_path) == mark
    assert mark["state"] == "succeeded"


def _write_often(path, number):
    for _ in range(200):
        runs.write_json(path, {"number": number, "filler": "x" * 20_000})


def test_a_reader_sees_a_whole_file_whoever_writes(tmp_path):
    path = tmp_path / "run.json"
    runs.write_json(path, {"number": -1, "filler": ""})
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write_often, args=(path, n)) for n in range(2)]
    for writer in writers:
        writer.start()
    seen = set()
    while any(writer.is_alive() for writer in writers):
        seen.add(json.loads(path.read_text("utf-8"))["number"])
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert len(seen) > 1
    assert [p.name for p in tmp_path.iterdir()] == ["run.json"]


def test_a_value_that_cannot_be_written_leaves_the_old_file(tmp_path):
    path = tmp_path / "run.json"
    runs.write_json(path, 1)
    with pytest.raises(TypeError):
        runs.write_json(path, object())
    assert runs.read_json(path) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["run.json"]


def test_times_are_utc_to_the_millisecond():
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", runs.now())
    assert runs.time_of(time.monotonic())[:16] == runs.now()[:16]


def test_the_commit_tells_whether_the_checkout_was_changed(tmp_path, monkeypatch):
    import subprocess

    monkeypatch.delenv("CODEBUILD_RESOLVED_SOURCE_VERSION", raising=False)
    assert runs.commit(tmp_path) == "unknown"
    monkeypatch.setenv("CODEBUILD_RESOLVED_SOURCE_VERSION", "abc")
    assert runs.commit(tmp_path) == "abc"
    (tmp_path / "a").touch()
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    for words in (["init", "-q"], ["add", "a"], [*who, "commit", "-qm", "x"]):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    clean = runs.commit(tmp_path)
    assert re.fullmatch("[0-9a-f]{40}", clean)
    (tmp_path / "a").write_text("x")
    assert runs.commit(tmp_path) == f"{clean}-dirty"
