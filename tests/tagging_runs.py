"""A run of the tagging pipeline by its command line, on clips of the user's own."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile
import yaml

ROOT = Path(__file__).resolve().parent.parent
TONES_HZ = {"low": 300.0, "high": 2700.0}
CONFIG = {
    "general": {"global_seed": 7},
    "audio_transform": {"n_fft": 256, "hop_length": 80, "n_mels": 32, "fmin_hz": 50},
    "model": {"name": "PLAIN", "head": "LINEAR", "dropout": 0.0},
    "training": {
        "epochs": 3,
        "batch_size": 8,
        "chunk_s": 0.5,
        "finetune_head": False,
        "lr": 3.0e-3,
        "lr_onecycle_max": 1.0e-2,
        "precision": "float32",
    },
}


SMALL = (
    "dataset_specific.synthetic_instruments.clips=60",
    "dataset_specific.synthetic_instruments.duration_s=1.0",
    "sampling_rate=8000",
    "augmentation.names=[]",
    "training.epochs=2",
    "training.chunk_s=0.5",
    "training.precision=float32",
    "q_macro_f1_threshold=0",
    "q_mean_average_precision_threshold=0",
)
"""A run on synthetic instruments, on any executor, which needs no file of this machine."""


def make_small(folder: Path) -> None:
    """Leave ``runs`` after one undisturbed run of the settings ``SMALL``."""
    config = ROOT / "user_configs/tagging.yaml"
    done = run(folder / "runs", settings=(*SMALL, f"store={folder / 'store'}"), config=config)
    assert done.returncode == 0, done.stdout + done.stderr


def report_digest(content: bytes) -> str:
    """What is compared of a report: the SHA-256 of ``evaluation.json``."""
    assert json.loads(content)["clips"] > 0
    return hashlib.sha256(content).hexdigest()


def local_report(runs: Path) -> bytes:
    """``evaluation.json`` of the only run in a folder of runs."""
    [report] = runs.glob("tagging/2*/tasks/evaluate/report/evaluation.json")
    return report.read_bytes()


def write_table(folder: Path, count: int = 50) -> Path:
    """A table of clips, each with none, one or both of two tones; one recording a clip."""
    rng = np.random.default_rng(3)
    folder.mkdir(parents=True)
    rows = []
    for number in range(count):
        there = rng.random(len(TONES_HZ)) < 0.5
        time_s = np.arange(4000) / 8000
        sound = 0.02 * rng.standard_normal(time_s.size)
        for tone_hz in np.array(list(TONES_HZ.values()))[there]:
            sound += 0.2 * np.sin(2 * np.pi * (tone_hz * time_s + rng.random()))
        name = f"{number:03d}.wav"
        soundfile.write(folder / name, sound, 8000, subtype="FLOAT")
        rows.append({"file": name, **dict(zip(TONES_HZ, map(int, there), strict=True))})
    with (folder / "clips.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return folder / "clips.csv"


def settings_of(table: Path, store: Path) -> tuple[str, ...]:
    """What the small run sets."""
    return (
        f"train_paths=csv:{table}",
        "sampling_rate=8000",
        f"store={store}",
        "q_macro_f1_threshold=0.9",
        "gates=f1.low>=0.9,hamming_distance<=0.1",
    )


def write_config(path: Path) -> Path:
    """The small user config."""
    path.write_text(yaml.safe_dump(CONFIG), "utf-8")
    return path


def run(
    runs: Path,
    *words: str,
    settings: tuple[str, ...],
    config: Path,
    command: str = "run-pipeline",
):
    """Run ``pipelines.tagging``, or another command on it, and return the finished process."""
    sets = [word for setting in settings for word in ("--set", setting)]
    program = [sys.executable, "-m", "soundgate.cli", command, "-n", "pipelines.tagging"]
    return subprocess.run(
        [*program, "--config", str(config), *words, *sets],
        cwd=ROOT,
        env={**os.environ, "SOUNDGATE_RUNS": str(runs)},
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
