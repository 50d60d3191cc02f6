"""Every command of the migration page is accepted as it stands."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest
import soundfile

from soundgate import cli

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs/tagging.md").read_text("utf-8").split("## Commands of `src/train/train.py`")[1]
COMMANDS = [line for line in PAGE.splitlines() if line.startswith("run-pipeline ")]


@pytest.fixture(scope="module")
def irmas(tmp_path_factory):
    """Folders as IRMAS has them, with a few notes."""
    folder = tmp_path_factory.mktemp("irmas")
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    for label in ("cel", "flu"):
        (folder / "train" / label).mkdir(parents=True)
        for k in range(4):
            path = folder / "train" / label / f"[{label}][nod][cla]00{k}__1.wav"
            soundfile.write(path, tone, 16_000)
    (folder / "test").mkdir()
    soundfile.write(folder / "test" / "A piece-1.wav", tone, 16_000)
    (folder / "test" / "A piece-1.txt").write_text("cel\nflu\n")
    return folder


@pytest.mark.parametrize("number", range(len(COMMANDS)))
def test_an_answer_passes_a_dry_run(irmas, tmp_path, monkeypatch, capsys, number):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("SOUNDGATE_RUNS", str(tmp_path))
    words = shlex.split(COMMANDS[number].replace("data/irmas", str(irmas)))
    assert cli.main([*words, "--dry-run"]) == 0, capsys.readouterr().err
    step = "steps.predict" if "pipelines.predict" in words else "steps.tagging.train"
    assert step in capsys.readouterr().out


def test_the_page_has_an_answer_to_each_kind_of_training():
    assert len(COMMANDS) == 9
