"""Runs of the spotting pipeline by its command line, on rendered tapes."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILES = ROOT / "tests" / "spot_small"
CONFIG = ROOT / "user_configs" / "spot.yaml"

SMALL = (
    *(f"{name}={FILES / name}.json" for name in ("train_variants", "benchmark_variants")),
    f"dataset_prep_configs={FILES / 'dataset_prep_configs.json'}",
    "synthetic_tapes=3",
    "synthetic_tape_s=15",
    "epochs=2",
    "audio.n_freq_bins=32",
    "augmentation.enabled=false",
    "training.precision=float32",
    "export=false",
    "q_event_f1_threshold=0",
)
"""Two detectors and one window, on any executor; they learn next to nothing."""


def run(
    runs: Path,
    *words: str,
    settings: tuple[str, ...] = SMALL,
    command: str = "run-pipeline",
    timeout_s: float = 500,
) -> subprocess.CompletedProcess[str]:
    """Run ``pipelines.spot``, or another command on it, and return the finished process."""
    sets = [word for setting in settings for word in ("--set", setting)]
    program = [sys.executable, "-m", "soundgate.cli", command, "-n", "pipelines.spot"]
    return subprocess.run(
        [*program, "--config", str(CONFIG), *words, *sets],
        cwd=ROOT,
        env={**os.environ, "SOUNDGATE_RUNS": str(runs)},
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
    )


def make_small(folder: Path) -> None:
    """Leave ``runs`` after one undisturbed run of the settings ``SMALL``."""
    done = run(folder / "runs", settings=(*SMALL, f"store={folder / 'store'}"))
    assert done.returncode == 0, done.stdout + done.stderr


def tasks_of(runs: Path) -> Path:
    """The tasks of the only run in a folder of runs."""
    [tasks] = runs.glob("spot/2*/tasks")
    return tasks


def report_digest(content: bytes) -> str:
    """What is compared of a report: the SHA-256 of ``evaluation.json``."""
    assert json.loads(content)["leaderboard"]
    return hashlib.sha256(content).hexdigest()


def local_report(runs: Path) -> bytes:
    """``evaluation.json`` of the best detector, of the only run in a folder of runs."""
    return (tasks_of(runs) / "compare/report/evaluation.json").read_bytes()
