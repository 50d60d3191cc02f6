"""The AED pipeline on a real Slurm: the same figures as on this machine."""

from __future__ import annotations

import json

import pytest
from aed_runs import evaluation, latest, run

pytestmark = pytest.mark.slow


@pytest.mark.timeout(800)
def test_synthetic_clips_give_the_same_figures_as_on_this_machine(site, small_aed, tmp_path):
    there = tmp_path / "there"
    executor = ("--executor", "slurm", "--profile", str(site), "--output", "json")
    done = run(there, "run-pipeline", "-n", "pipelines.aed", *executor, seconds=700)
    assert done.returncode == 0, done.stdout + done.stderr
    remote = json.loads(done.stdout)
    local = json.loads((latest(small_aed) / "run.json").read_text())
    assert {t["state"] for t in remote["tasks"].values()} == {"succeeded"}
    assert remote["tasks"]["train"]["engine_id"]
    assert not local["tasks"]["train"]["engine_id"]
    figures = evaluation(latest(there))
    assert figures == evaluation(latest(small_aed))
    assert figures["clips"] == 20
    assert "quantized" in figures
    for task in ("fetch", "preprocess", "train"):
        outputs = [r["tasks"][task]["outputs"] for r in (remote, local)]
        # TensorBoard writes the time, the card where the store is
        names = [n for n in outputs[0] if n not in ("metrics", "card")]
        assert [outputs[0][n]["digest"] for n in names] == [outputs[1][n]["digest"] for n in names]
