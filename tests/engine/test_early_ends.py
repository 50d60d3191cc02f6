"""Ctrl-C during a training: the first ends it in good order, the second at once."""

from __future__ import annotations

import json
import signal

import pytest

pytestmark = pytest.mark.slow

LEARN = """
import time
from pathlib import Path
from soundgate.step import CheckpointPath, OutputPath, graceful_finish, graceful_stop, main


def learn(model: OutputPath, checkpoints: CheckpointPath | None = None) -> None:
    \"\"\"Learn until asked to end; an epoch lasts until the file ``epoch`` is there.\"\"\"
    with graceful_stop() as stop, graceful_finish() as finish:
        Path("learning").touch()
        while not finish() and not stop():
            time.sleep(0.01)
        while finish() and not stop() and not Path("epoch").exists():
            time.sleep(0.01)
    (model / "model.txt").write_text("as far as it came")
    print("kept what was learnt")


if __name__ == "__main__":
    main(learn)
"""


@pytest.fixture
def learner(toy, until):
    """A run whose training has begun, and what starts the same run again."""
    toy.write("steps/learn.py", LEARN)
    module = toy.pipeline(
        "learner",
        'from steps.learn import learn\na = t.add(learn, name="train")\n'
        't.add(work, name="evaluate", after=[a])',
    )

    def begin():
        (toy.folder / "learning").unlink(missing_ok=True)
        process = toy.begin(module)
        until((toy.folder / "learning").exists)
        return process

    return begin


def test_the_first_ctrl_c_ends_the_epoch_and_the_run_goes_on(toy, learner, until):
    process = learner()
    process.send_signal(signal.SIGINT)
    log = toy.runs()[0] / "tasks/train/log.txt"
    until(lambda: "the epoch under way is the last" in log.read_text("utf-8"))
    assert process.poll() is None
    (toy.folder / "epoch").touch()
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, out + err
    assert toy.states() == {"train": "succeeded", "evaluate": "succeeded"}
    assert "ended early by Ctrl-C: not reused later" in out
    mark = json.loads((toy.runs()[0] / "tasks/train/task.json").read_text("utf-8"))
    assert (mark["early"], mark["key"]) == ("ended early by Ctrl-C", "")
    assert not (toy.runs()[0] / "tasks/train/finishes").exists()


def test_a_training_that_ended_early_is_not_reused(toy, learner, until):
    (toy.folder / "epoch").touch()
    first = learner()
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=30)
    again = learner()  # it waits until it is asked, as the first did
    again.send_signal(signal.SIGINT)
    out, _ = again.communicate(timeout=30)
    assert again.returncode == 0
    assert "train                reused" not in out


def test_the_second_ctrl_c_ends_at_once(toy, learner, until):
    process = learner()
    process.send_signal(signal.SIGINT)
    log = toy.runs()[0] / "tasks/train/log.txt"
    until(lambda: "the epoch under way is the last" in log.read_text("utf-8"))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, out + err
    assert toy.states()["evaluate"] == "cancelled"


def test_a_step_by_hand_ends_early_too_and_at_once_the_second_time(toy, until):
    toy.write("steps/learn.py", LEARN)
    for times, code in ((1, 0), (2, 130)):
        for name in ("learning", "epoch"):
            (toy.folder / name).unlink(missing_ok=True)
        process = toy.start("steps.learn", "--model", "out")
        until((toy.folder / "learning").exists)
        process.send_signal(signal.SIGINT)
        assert b"another Ctrl-C" in process.stderr.buffer.readline()
        if times == 2:
            process.send_signal(signal.SIGINT)
        else:
            (toy.folder / "epoch").touch()
        _, err = process.communicate(timeout=30)
        assert (process.returncode, "Traceback" in err) == (code, False), err
        assert (toy.folder / "out/model.txt").read_text("utf-8") == "as far as it came"
    assert "error: stopped by SIGINT" in err
    assert [path.name for path in toy.folder.glob(".out*")] == []
