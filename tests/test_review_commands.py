"""``review-model``, typed as a reviewer types it: text, JSON, and one line for what is wrong."""

from __future__ import annotations

import errno
import json
import re
import sqlite3
from pathlib import Path

import pytest
from review_world import MISSED, said

from soundgate import cli
from soundgate.errors import ParameterError, RegistryError
from soundgate.registry.service.connection import Registry


def test_the_command_line_prints_text_and_json(embedded, tmp_path, monkeypatch, capsys):
    world = embedded
    monkeypatch.setenv("SOUNDGATE_RUNS", str(tmp_path))
    world.candidate("r1")
    world.candidate("r2", MISSED)

    def run(*words: str) -> str:
        assert cli.main(["review-model", *words]) == 0
        return capsys.readouterr().out

    assert run("approve", "1", "--comment", "ok", "--reviewer", "ann").startswith(
        "approved candidate 1 as aed version 1, the champion (decision 1, by ann)"
    )
    lines = run("list").splitlines()
    assert re.fullmatch(r"2 +pending +missed clip:accuracy +0\.7 +\d+ s +r2", lines[1])
    assert re.fullmatch(r"1 +approved as 1, champion +passed +0\.9 .* ann: ok", lines[2])
    assert lines[-1] == "champion: aed version 1"
    listed = json.loads(run("list", "--output", "json"))
    assert [row["version"] for row in listed["candidates"]] == ["2", "1"]
    assert json.loads(run("list", "--output", "json", "--limit", "1"))["more"] == 1

    text = run("show", "2")
    assert re.search(r"clip:accuracy +0\.7 +>= 0\.8 +missed \(advisory\) +clip level acc", text)
    assert re.search(r"clip_accuracy +0\.7 +0\.9 +-0\.2", text)
    assert "needs --override: it missed its gates" in text
    shown = json.loads(run("show", "--output", "json"))  # the newest
    assert shown["candidate"]["version"] == "2"
    assert Path(shown["report"]).read_text() == "<p>r2</p>"
    assert json.loads(run("reject", "2", "--comment", "x", "--output", "json"))["event"] == (
        "review.reject"
    )
    assert cli.main(["review-model", "approve", "2", "--override"]) == 2
    assert "--comment is missing" in capsys.readouterr().err


@pytest.mark.parametrize("limit", ["0", "-3", "x"])
def test_a_limit_is_a_number_of_rows(limit, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["review-model", "list", "--limit", limit])
    assert ended.value.code == 2
    assert f"must be a whole number of at least 1, got {limit!r}" in capsys.readouterr().err


@pytest.mark.parametrize("letter", ["\udcff", "\x1b", "\0"])
def test_a_comment_that_no_terminal_should_see_is_refused_in_one_line(embedded, letter):
    embedded.candidate("r1")
    with pytest.raises(ParameterError, match="--comment contains the control character") as error:
        embedded.session(comment=f"good{letter}[2J").reject("1")
    assert said(error).isprintable()
    with pytest.raises(ParameterError, match="--reviewer contains the control character"):
        embedded.session("ann\nbob").reject("1")
    assert not (embedded.store / "reviews").exists()


def test_no_line_of_a_comment_is_taken_for_another_decision(
    embedded, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("SOUNDGATE_RUNS", str(tmp_path))
    embedded.candidate("r1")
    embedded.session(comment="too noisy\n2026-11-20T13:17:04.390Z  bob  approve: fine").reject("1")
    assert cli.main(["review-model", "show", "1"]) == 0
    assert [
        n for n in capsys.readouterr().out.splitlines() if n.startswith("20") and "bob" in n
    ] == []


@pytest.mark.parametrize(
    ("spoil", "told"),
    [("lock", "another program holds its database"), ("overwrite", "is no sqlite database")],
)
def test_a_database_that_cannot_be_used_is_told_without_sql(tmp_path, spoil, told):
    file = tmp_path / "mlflow.db"
    held = sqlite3.connect(file)
    held.execute("begin exclusive")
    if spoil == "overwrite":
        held.close()
        file.write_text("junk" * 100)
    with pytest.raises(RegistryError, match=told) as error:
        _ = Registry(f"sqlite:///{file}?timeout=0").client
    assert "SQL:" not in said(error)
    held.close()


def test_a_registry_in_a_read_only_folder_says_what_to_do(tmp_path, monkeypatch):
    def refused(*_args, **_kwargs):
        raise OSError(errno.EROFS, "Read-only file system", str(tmp_path / "mlflow.db.lock"))

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(RegistryError) as error:
        _ = Registry(f"sqlite:///{tmp_path}/mlflow.db").client
    assert said(error).endswith(
        "mlflow.db.lock: Read-only file system: choose a folder that may be written"
    )


def test_looking_makes_no_registry(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SOUNDGATE_RUNS", str(tmp_path / "runs"))
    for words in (["list"], ["show"], ["approve", "1", "--comment", "x"]):
        assert cli.main(["review-model", *words]) == 1
        assert "no registry at sqlite:///" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
