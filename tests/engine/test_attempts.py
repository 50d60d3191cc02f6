from __future__ import annotations

import signal
import time

import pytest

RETRIES = {"SOUNDGATE_RETRIES": "2"}


def started(toy):
    return sum(1 for event in toy.events() if event[1] == "start")


def work(*words):
    return ("steps.work", "--out", "out", "--checkpoints", "kept", *words)


def test_a_failed_attempt_is_followed_by_another(toy):
    ended = toy.module(*work("--fail", "3", "--fails", "1", "--text", "x"), env=RETRIES)
    assert ended.returncode == 0
    assert "attempt 1 of 3 ended with 3; trying again" in ended.stderr
    assert started(toy) == 2
    assert (toy.folder / "out" / "result.txt").read_text() == "x"


@pytest.mark.parametrize(
    ("how", "code", "attempts"), [("7", 7, 3), ("kill", 137, 3), ("user", 2, 1)]
)
def test_the_last_code_is_the_programs_own(toy, how, code, attempts):
    retries = {"SOUNDGATE_RETRIES": str(attempts - 1 or 2)}
    ended = toy.module(*work("--fail", how), env=retries)
    assert (ended.returncode, started(toy)) == (code, attempts)
    assert not (toy.folder / "out").exists()


def test_one_that_was_asked_to_stop_is_not_tried_again(toy):
    process = toy.start(*work("--seconds", "60"), env=RETRIES)
    while not started(toy):
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 128 + signal.SIGTERM
    assert started(toy) == 1


def test_context_on_the_command_line(toy):
    words = ("--context", "task=spelt", "--context=run=a=b", "--text", "x")
    assert toy.module(*work(*words)).returncode == 0
    assert toy.events()[0][0] == "spelt"
    refused = toy.module(*work("--context", "tusk=1"))
    assert refused.returncode == 2
    assert refused.stderr == "error: --context tusk: no such name; did you mean 'task'?\n"
