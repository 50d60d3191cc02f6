"""A real training that is interrupted: it ends with its epoch and keeps what it has learnt."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import tagging_world

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.slow
def test_ctrl_c_ends_a_training_with_its_epoch(tmp_path):
    clips = tagging_world.write_clips(tmp_path / "clips")
    waveforms = tagging_world.write_waveforms(clips, tmp_path / "waveforms")
    config = tmp_path / "tagging.yaml"
    config.write_text(tagging_world.CONFIG.replace("epochs: 4", "epochs: 5000"), "utf-8")
    words = {"waveforms": waveforms, "config": config, "model": tmp_path / "model"}
    words |= {"metrics": tmp_path / "metrics"}
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "steps.tagging.train"),
            *(word for name, value in words.items() for word in (f"--{name}", str(value))),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines = iter(process.stdout.readline, "")
    next(line for line in lines if line.startswith("epoch 2"))
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == 0, rest
    assert "another Ctrl-C ends the training at once" in rest
    assert "Macro F1 on validation set : " in rest
    rows = (tmp_path / "metrics/history.jsonl").read_text("utf-8").splitlines()
    described = json.loads((tmp_path / "model/model.json").read_text("utf-8"))
    assert 2 <= described["epochs"] == len(rows) < 50
    assert described["best_epoch"] <= len(rows)
