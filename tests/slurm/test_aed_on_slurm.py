"""The AED pipeline on a real Slurm: the same figures as on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import slurm_cluster

ROOT = Path(__file__).resolve().parents[2]
TINY = (
    "dataset_specific.synthetic.clips_per_class=10",
    "dataset_specific.synthetic.duration_s=1.0",
    "training.epochs=2",
    "training.precision=float32",
    "q_clip_level_acc_threshold=0",
    "q_patch_level_acc_threshold=0",
)
SITE = """
cpu: {max_cpus: 2, max_memory_gb: 4}
gpu: {max_cpus: 2, max_memory_gb: 4, max_gpus: 0}
setup: ["export HOME=/root"]
"""


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """A cluster of two nodes; skips where none can be started."""
    if reason := slurm_cluster.why_not():
        pytest.skip(f"no Slurm here: {reason}")
    with slurm_cluster.cluster(tmp_path_factory.mktemp("slurm")) as configuration:
        yield configuration


def run(runs: Path, *words: str, settings: tuple[str, ...], slurm: Path) -> dict:
    """Run the pipeline; returns its record."""
    sets = [w for s in (*settings, f"store={runs / 'store'}") for w in ("--set", s)]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "soundgate.cli", "run-pipeline", "-n", "pipelines.aed"),
            *(*words, "--output", "json", *sets),
        ],
        cwd=ROOT,
        env={**os.environ, "SOUNDGATE_RUNS": str(runs), "SLURM_CONF": str(slurm)},
        capture_output=True,
        text=True,
        check=False,
        timeout=800,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def compare(tmp_path: Path, slurm: Path, *words: str, settings: tuple[str, ...]) -> dict:
    """Run on Slurm and here, each from nothing; both must have judged alike."""
    site = tmp_path / "site.yaml"
    site.write_text(SITE)
    there, here = tmp_path / "there", tmp_path / "here"
    remote = run(
        there,
        *("--executor", "slurm", "--profile", str(site), *words),
        settings=settings,
        slurm=slurm,
    )
    local = run(here, *words, settings=settings, slurm=slurm)
    assert {t["state"] for t in remote["tasks"].values()} == {"succeeded"}
    assert remote["tasks"]["train"]["engine_id"]
    assert not local["tasks"]["train"]["engine_id"]
    found = [
        json.loads((root / "aed" / r["run"] / "tasks/evaluate/report/evaluation.json").read_text())
        for root, r in ((there, remote), (here, local))
    ]
    assert found[0] == found[1]
    for task in ("fetch", "preprocess", "train"):
        outputs = [r["tasks"][task]["outputs"] for r in (remote, local)]
        # TensorBoard writes the time, the card where the store is
        names = [n for n in outputs[0] if n not in ("metrics", "card")]
        assert [outputs[0][n]["digest"] for n in names] == [outputs[1][n]["digest"] for n in names]
    return found[0]


@pytest.mark.timeout(600)
def test_synthetic_clips_give_the_same_figures_as_on_this_machine(slurm, tmp_path):
    figures = compare(tmp_path, slurm, settings=TINY)
    assert figures["clips"] == 20
    assert "quantized" in figures


@pytest.mark.timeout(900)
def test_real_clips_give_the_same_figures_as_on_this_machine(slurm, esc10, tmp_path):
    settings = (
        *TINY[2:],
        "dataset.class_names=[dog, rain, rooster]",
        f"dataset.training_audio_path={esc10}",
    )
    figures = compare(tmp_path, slurm, "--config", "user_configs/aed_esc10.yaml", settings=settings)
    assert figures["clips"] == 24
