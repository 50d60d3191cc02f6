"""Runs of the AED pipeline by its command line, small enough for tests."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SMALL = (
    "dataset_specific.synthetic.clips_per_class=10",
    "dataset_specific.synthetic.duration_s=1.0",
    "training.epochs=2",
    "training.precision=float32",
    "q_clip_level_acc_threshold=0",
    "q_patch_level_acc_threshold=0",
)
TASKS = (
    "fetch",
    "preprocess",
    "accept",
    "train",
    "export",
    "evaluate",
    "champion",
    "compare",
    "gate-clip-accuracy",
    "gate-patch-accuracy",
    "review",
    "register",
)


def command(*words: str, settings: tuple[str, ...] = SMALL) -> list[str]:
    sets = [word for setting in settings for word in ("--set", setting)]
    return [sys.executable, "-m", "soundgate.cli", *words, *sets]


def environment(runs: Path) -> dict[str, str]:
    return {**os.environ, "SOUNDGATE_RUNS": str(runs), "PYTHONWARNINGS": "default"}


def run(
    runs: Path,
    *words: str,
    settings: tuple[str, ...] = SMALL,
    store: Path | None = None,
    seconds: float = 280,
):
    """Use the command line; the store is below ``runs`` unless another is given."""
    settings = (*settings, f"store={store or runs / 'store'}") if settings else ()
    return subprocess.run(
        command(*words, settings=settings),
        cwd=ROOT,
        env=environment(runs),
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )


def make_small(folder: Path) -> None:
    """Leave ``runs`` after one undisturbed run."""
    done = run(folder / "runs", "run-pipeline", "-n", "pipelines.aed")
    assert done.returncode == 0, done.stdout + done.stderr


def copy_of(runs: Path, target: Path) -> Path:
    """Copy a folder of runs to change it; the registry in it then holds addresses of the copy."""
    shutil.copytree(runs, target, symlinks=True)
    with sqlite3.connect(target / "mlflow.db") as registry:
        for table, column in ADDRESSES:
            registry.execute(
                f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (str(runs), str(target))
            )
    registry.close()
    return target


ADDRESSES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "storage_location"),
)
"""Where MLflow's tables hold paths."""


def start(runs: Path, *more: str) -> subprocess.Popen[str]:
    words = command("run-pipeline", "-n", "pipelines.aed", settings=(*SMALL, *more))
    return subprocess.Popen(
        words,
        cwd=ROOT,
        env=environment(runs),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def latest(runs: Path) -> Path:
    return max(runs.glob("aed/*"), key=lambda p: p.name)


def versions(runs: Path) -> list:
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{runs}/mlflow.db").search_model_versions(
        "name = 'aed-candidates'"
    )


def evaluation(folder: Path) -> dict:
    return json.loads((folder / "tasks/evaluate/report/evaluation.json").read_text())


def review(runs: Path, *words: str):
    return run(runs, "review-model", *words, "--store", str(runs / "store"), settings=())


def listed(runs: Path) -> dict:
    shown = review(runs, "list", "--output", "json")
    assert shown.returncode == 0, shown.stderr
    return json.loads(shown.stdout)


def comparison(folder: Path) -> dict:
    return json.loads((folder / "tasks/compare/comparison/comparison.json").read_text())
