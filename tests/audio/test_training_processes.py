from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import toy_features
from toy_features import accuracy_on_test_clips, config, history, write_features
from two_processes import free_port, run_two

from soundgate.audio.classification.fit import fit
from soundgate.audio.classification.plan import Plan
from soundgate.audio.classification.system import PatchClassification
from soundgate.audio.classification.transfer import pretrained
from soundgate.audio.formats.feature_set import read_features
from soundgate.audio.learning import checkpoints, loop
from soundgate.audio.learning.distributed import Group
from soundgate.errors import ConfigError

pytestmark = pytest.mark.slow

HERE = Path(toy_features.__file__).parent


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    return write_features(tmp_path_factory.mktemp("toy") / "features")


# A training as a program of its own; ``calls`` counts the batches, a look for ``stop`` before each.
PROGRAM = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {here!r})
import torch
torch.set_num_threads(1)
from soundgate.audio.classification.fit import fit
from toy_features import config
calls = 0
def stop():
    global calls
    calls += 1
    if calls == {kill_at}:
        os.kill(os.getpid(), signal.SIGKILL)
    return False
fit(
    Path({features!r}), Path({out!r}) / "model", Path({out!r}) / "metrics", config(**{sections!r}),
    checkpoints=Path({out!r}) / "kept", stop=stop, log=lambda epoch, _: print(epoch, flush=True),
)
"""


def _program(path, features, out, *, kill_at=0, **sections):
    values = {"features": str(features), "out": str(out), "here": str(HERE)}
    path.write_text(PROGRAM.format(**values, kill_at=kill_at, sections=sections))
    return str(path)


def test_a_killed_training_goes_on_to_the_same_bytes(features, tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    fit(features, whole / "model", whole / "metrics", config())
    batches = 24 * 4 // 8  # training clips, crops of each, patches of a batch
    kill_at = 2 * batches + 3  # in the middle of epoch 3
    program = _program(tmp_path / "run.py", features, cut, kill_at=kill_at)
    ended = subprocess.run(
        [sys.executable, program], check=False, capture_output=True, text=True, timeout=200
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert [line for line in ended.stdout.splitlines() if len(line) == 1] == ["1", "2"]
    assert not (cut / "model").exists()
    logged = []
    fit(
        *(features, cut / "model", cut / "metrics", config()),
        checkpoints=cut / "kept",
        log=lambda epoch, _: logged.append(epoch),
    )
    assert logged == [3, 4]
    for name in ("weights.safetensors", "model.json", "split.jsonl"):
        assert (whole / "model" / name).read_bytes() == (cut / "model" / name).read_bytes(), name
    assert history(whole / "metrics") == history(cut / "metrics")


def _torchrun(program):
    port = f"--master-port={free_port()}"
    torchrun = ["-m", "torch.distributed.run", "--nproc-per-node=2", port]
    ended = subprocess.run(
        [sys.executable, *torchrun, program],
        check=False,
        capture_output=True,
        text=True,
        timeout=250,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert ended.returncode == 0, ended.stderr
    return ended


def _fit(features, out, sections):
    fit(features, out / "model", out / "metrics", config(**sections))


def test_two_processes_fit_the_head_of_a_frozen_network_once(features, tmp_path):
    fit(features, tmp_path / "donor", tmp_path / "m", config(), epochs=1)
    model = {"width": 0.25, "pretrained_weights": str(tmp_path / "donor")}
    for fine_tune in (False, True):
        sections = {"training": {"model": model, "fine_tune": fine_tune, "epochs": 1}}
        two = tmp_path / f"two-{fine_tune}"
        told = run_two(_fit, tmp_path / f"told-{fine_tune}", features, two, sections)
        assert told.count("round 1: ") == (not fine_tune)
        fit(features, tmp_path / "one", tmp_path / "m", config(**sections))
        if not fine_tune:
            name = "weights.safetensors"
            assert (tmp_path / "one" / name).read_bytes() == (two / "model" / name).read_bytes()


def test_two_processes_train_like_one_and_write_once(features, tmp_path):
    """Batches of 16 as 2 x 8: batch normalisation sees halves, all else is the same."""
    sections = {
        "training": {"batch_size": 16, "dropout": 0.0, "learning_rate": 0.002},
        "data_augmentation": {},
    }
    program = _program(tmp_path / "run.py", features, tmp_path / "two", **sections)
    ended = _torchrun(program)
    assert ended.stdout.count("epoch 4 of 4") == 1
    assert [line for line in ended.stdout.splitlines() if len(line) == 1] == ["1", "2", "3", "4"]
    assert len(list((tmp_path / "two" / "metrics" / "tensorboard").iterdir())) == 1
    assert (tmp_path / "two" / "kept" / checkpoints.NAME).is_file()
    fit(features, tmp_path / "one" / "model", tmp_path / "m", config(**sections))
    one, two = history(tmp_path / "m"), history(tmp_path / "two" / "metrics")
    assert len(one) == len(two) == 4
    for single, shared in zip(one, two, strict=True):
        assert shared["learning_rate"] == single["learning_rate"]
        assert shared["loss"] == pytest.approx(single["loss"], rel=0.1)
    assert two[-1]["loss"] < 0.8 * two[0]["loss"]
    # The written weights are those whose figures the history gives.
    assert accuracy_on_test_clips(features, tmp_path / "two" / "model") >= 0.6


def test_a_batch_that_processes_cannot_share_is_refused(features, tmp_path, monkeypatch):
    plan = Plan(read_features(features), config(training={"batch_size": 9}), None, None)
    group = Group(0, 2, torch.device("cpu"))
    initial = pretrained.initialise(plan, group)
    with pytest.raises(ConfigError, match="cannot be shared among 2 processes"):
        PatchClassification(plan, initial, group, loop.never)
