"""The AED pipeline killed in mid-run, and on real sounds."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path

import pytest
from aed_runs import (
    SMALL,
    copy_of,
    evaluation,
    latest,
    run,
    start,
)

pytestmark = pytest.mark.slow

EPOCHS = "training.epochs=4"
"""Enough for a training to be killed after its first checkpoint and before its end."""


@pytest.fixture(scope="module")
def undisturbed(small_aed, tmp_path_factory):
    """The folder of a run of as many epochs that nobody disturbed."""
    runs = copy_of(small_aed, tmp_path_factory.mktemp("undisturbed") / "runs")
    done = run(runs, "run-pipeline", "-n", "pipelines.aed", settings=(*SMALL, EPOCHS))
    assert done.returncode == 0, done.stdout
    return latest(runs)


@pytest.mark.parametrize("victim", ["runner", "training"])
def test_a_killed_run_resumes_to_the_same_metrics(undisturbed, tmp_path, victim):
    runs = tmp_path / "runs"
    epochs = (EPOCHS, f"store={runs / 'store'}")
    process = start(runs, *epochs)
    checkpoint = None
    deadline = time.monotonic() + 200
    while checkpoint is None and time.monotonic() < deadline:
        time.sleep(0.05)
        assert process.poll() is None, process.stdout.read()
        checkpoint = next(iter(runs.glob("aed/*/tasks/train/checkpoints/*")), None)
    assert checkpoint is not None, "no checkpoint appeared"
    if victim == "runner":
        os.kill(process.pid, signal.SIGKILL)
    else:
        [pid] = training_processes(runs)
        os.kill(pid, signal.SIGKILL)
    output, _ = process.communicate(timeout=60)
    if victim == "training":
        assert process.returncode == 1
        assert re.search(r"train +failed .* killed by SIGKILL \(out of memory\?\)", output)
    wait_for_nothing(runs)
    interrupted = latest(runs)
    assert not (interrupted / "tasks/train/model").exists()

    resumed = run(runs, "run-pipeline", "--resume", "last", settings=())
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert re.search(r"preprocess\s+reused\s+finished before", resumed.stdout)

    assert evaluation(interrupted) == evaluation(undisturbed)
    weights = "tasks/train/model/weights.safetensors"
    assert (interrupted / weights).read_bytes() == (undisturbed / weights).read_bytes()


def training_processes(runs: Path) -> list[int]:
    """The processes that train for the run below ``runs``."""
    found = []
    for stdout in Path("/proc").glob("[0-9]*/fd/1"):
        try:
            log = str(stdout.readlink())
        except OSError:
            continue
        if log.startswith(str(runs)) and log.endswith("tasks/train/log.txt"):
            found.append(int(stdout.parts[2]))
    return found


def wait_for_nothing(runs: Path) -> None:
    deadline = time.monotonic() + 20
    while training_processes(runs) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not training_processes(runs), "the training outlived its runner"


@pytest.mark.timeout(900)  # a minute where the processor has bfloat16, more where it has not
def test_the_esc_10_config_classifies_real_sounds(esc10, tmp_path):
    """One held-out fold of 80 clips, trained from scratch: 24 epochs gave 0.85 and 0.79."""
    done = run(
        *(tmp_path, "run-pipeline", "-n", "pipelines.aed"),
        *("--config", "user_configs/aed_esc10.yaml"),
        settings=(
            f"dataset.training_audio_path={esc10}",
            "epochs=24",
            "q_clip_level_acc_threshold=0.75",
            "q_patch_level_acc_threshold=0.7",
        ),
        seconds=850,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    figures = evaluation(latest(tmp_path))
    assert (figures["clips"], figures["split"]) == (80, "test")
    split = (latest(tmp_path) / "tasks/train/model/split.jsonl").read_text().splitlines()
    sources: dict[str, set[str]] = {}
    for row in map(json.loads, split):
        source = Path(row["path"]).name.split("-")[1]
        sources.setdefault(source, set()).add(row["split"])
    assert all(len(splits) == 1 for splits in sources.values())
