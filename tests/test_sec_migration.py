"""Commands of the migration page are accepted as they stand."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import sec_world

from soundgate import cli

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs/sec_migration.md").read_text("utf-8")
COMMANDS = [
    line
    for block in re.findall(r"^```\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    for line in block.splitlines()
    if line.startswith("run-pipeline")
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Config and corpus as their users have them."""
    folder = tmp_path_factory.mktemp("sec")
    sec_world.write_world(folder)
    (folder / "configs" / "one.yaml").rename(folder / "configs" / "production_v1.yaml")
    (folder / "corpus").rename(folder / "RAW")
    (folder / "infra").symlink_to(ROOT / "infra")
    (folder / "pipelines").symlink_to(ROOT / "pipelines")
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_is_accepted(folder, monkeypatch, capsys, command):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SOUNDGATE_RUNS", str(folder / "runs"))
    words = [*shlex.split(command), "--dry-run", "--output", "json"]
    if "--profile" in words:  # its placeholders are for people to fill in
        place = words.index("--profile")
        words[place : place + 2] = []
    assert cli.main(words) == 0
    assert '"task": "embed-000"' in capsys.readouterr().out


def test_every_command_of_the_document_has_an_answer():
    named = (
        *("setup_CLAP_env.sh", "run_pipeline.sh", "super_scheduler.sh", "join_hdf5.py"),
        *("convert_audio_dataset_to_hdf5.py", "classifier_finetuning.py", "log.json"),
        *("apptainer pull", "scp", "NODE_TEMP_BASE_DIR", "tmp_job"),
    )
    assert [word for word in named if word not in PAGE] == []
