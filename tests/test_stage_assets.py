"""What encoders need is brought to a folder that machines without internet read."""

from __future__ import annotations

import json

import pytest

from soundgate.cli import main
from soundgate.commands.sound.encoders import PUBLISHED


@pytest.fixture
def hub(tmp_path):
    """A folder with the paths of the hub, each file with its own name as its content."""
    for files in PUBLISHED.values():
        for path in files.values():
            (tmp_path / "hub" / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "hub" / path).write_text(path)
    return tmp_path / "hub"


def stage(workspace, hub, *encoders):
    chosen = [argument for name in encoders for argument in ("--encoder", name)]
    return main(["stage-assets", str(workspace), "--source", str(hub), *chosen])


def test_brings_every_file_of_an_encoder_and_says_the_settings(tmp_path, hub, capsys):
    workspace = tmp_path / "work"
    assert stage(workspace, hub) == 0
    said = capsys.readouterr().out
    assert said.endswith(
        f"encoder:\n  name: clap-2023\n  path: {workspace}/CLAP_weights_2023.pth\n"
        f"  text_path: {workspace}/gpt2\n"
    )
    held = json.loads((workspace / "assets.json").read_text())
    found = {str(p.relative_to(workspace)) for p in workspace.rglob("*") if p.is_file()}
    assert found == {*PUBLISHED["clap-2023"], "assets.json"}
    assert found == {*held, "assets.json"}
    assert (workspace / "gpt2/vocab.json").read_text() == PUBLISHED["clap-2023"]["gpt2/vocab.json"]


def test_a_second_time_brings_only_what_is_missing_or_damaged(tmp_path, hub, capsys):
    workspace = tmp_path / "work"
    stage(workspace, hub, "laion-clap")
    (workspace / "laion-clap/config.json").write_text("damaged")
    (hub / PUBLISHED["laion-clap"]["laion-clap/vocab.json"]).unlink()
    capsys.readouterr()
    assert stage(workspace, hub, "laion-clap") == 0
    lines = capsys.readouterr().out.splitlines()
    assert "laion-clap/vocab.json: kept, 0.0 MB" in lines
    assert [line for line in lines if "config.json: 0.0 MB, sha256:" in line]
    assert lines[-1] == f"  path: {workspace}/laion-clap"


def test_names_what_cannot_be_brought_and_leaves_no_part_of_it(tmp_path, hub, capsys):
    workspace = tmp_path / "work"
    (hub / PUBLISHED["clap-2023"]["gpt2/merges.txt"]).unlink()
    assert stage(workspace, hub) == 2
    assert "merges.txt" in capsys.readouterr().err
    held = json.loads((workspace / "assets.json").read_text())
    found = {str(p.relative_to(workspace)) for p in workspace.rglob("*") if p.is_file()}
    assert found == {*held, "assets.json"}


def test_files_of_other_origin_are_not_overwritten(tmp_path, hub, capsys):
    workspace = tmp_path / "work"
    workspace.mkdir()
    (workspace / "CLAP_weights_2023.pth").write_text("mine")
    assert stage(workspace, hub) == 2
    assert "is there, but was not brought by this; move it away" in capsys.readouterr().err
    assert (workspace / "CLAP_weights_2023.pth").read_text() == "mine"
