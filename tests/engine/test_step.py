"""A step as a program: outputs that are whole or absent, failures, signals, several processes."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys

import pytest

from soundgate import runs
from soundgate.errors import Stopped
from soundgate.step import (
    CheckpointPath,
    OutputPath,
    graceful_stop,
    run,
)


@pytest.fixture
def environment(monkeypatch, tmp_path):
    """What an executor sets."""
    folder = tmp_path / "task"
    context = runs.Context(
        task="t",
        task_folder=str(folder),
        run="r",
        pipeline="p",
        key="k",
        commit="c",
        failure=str(folder / "failure.txt"),
    )
    folder.mkdir()
    for name, value in context.environment().items():
        monkeypatch.setenv(name, value)
    return folder


def call(function, *words):
    """Run a step as a program would, and give SIGTERM back to pytest."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        return run(function, [str(word) for word in words])
    finally:
        signal.signal(signal.SIGTERM, before)


def test_the_finished_mark_has_the_digest_that_sha256sum_gives(toy):
    task = toy.folder / "task"
    env = {"SOUNDGATE_TASK": "t", "SOUNDGATE_TASK_FOLDER": str(task), "SOUNDGATE_RUN": "r"}
    env |= {"SOUNDGATE_PIPELINE": "p", "SOUNDGATE_KEY": "k", "SOUNDGATE_COMMIT": "c"}
    ended = toy.module("steps.work", "--out", task / "out", "--text", "Größe", env=env)
    assert ended.returncode == 0, ended.stderr
    listed = subprocess.run(
        "find . -type f | sed 's,^./,,' | LC_ALL=C sort | xargs sha256sum",
        shell=True,
        cwd=task / "out",
        capture_output=True,
        check=True,
    ).stdout
    mark = json.loads((task / "task.json").read_text("utf-8"))
    digest = f"sha256:{hashlib.sha256(listed).hexdigest()}"
    assert mark["outputs"] == {"out": {"digest": digest, "bytes": 7, "files": 1}}
    assert (mark["state"], mark["exit_code"], mark["attempt"]) == ("succeeded", 0, 1)
    assert (mark["task"], mark["run"], mark["pipeline"]) == ("t", "r", "p")
    assert mark["argv"][:4] == ["python", "-m", "steps.work", "--out"]
    assert mark["max_rss_bytes"] > 1e6


def test_a_step_run_by_hand_leaves_its_output_and_nothing_else(toy):
    ended = toy.module("steps.work", "--out", "a/out", "--text", "x")
    assert ended.returncode == 0, ended.stderr
    assert sorted(p.name for p in (toy.folder / "a").rglob("*")) == ["out", "result.txt"]


def test_outputs_are_absent_when_the_function_raises(environment, tmp_path):
    def step(one: OutputPath, two: OutputPath) -> None:
        (one / "x").write_text("1")
        (two / "x").write_text("2")
        raise ValueError("no\nluck")

    assert call(step, "--one", tmp_path / "one", "--two", tmp_path / "two") == 1
    assert not (tmp_path / "one").exists()
    assert not (tmp_path / "two").exists()
    mark = runs.read_mark(environment)
    assert (mark["state"], mark["reason"], mark["exit_code"]) == (
        "failed",
        "ValueError: no\nluck",
        1,
    )
    assert (environment / "failure.txt").read_text() == "ValueError: no\nluck"


def test_a_bug_keeps_its_traceback_and_a_mistake_is_one_line(toy):
    bug = toy.module("steps.work", "--out", "o", "--fail", "bug")
    assert bug.returncode == 1
    assert bug.stderr.startswith("Traceback")
    mistake = toy.module("steps.work", "--out", "o", "--fail", "user")
    assert mistake.returncode == 2
    assert mistake.stderr == "error: clips/a.wav: not a sound\n"


def test_the_failure_file_is_cut_to_what_platforms_keep(environment, tmp_path):
    def step(out: OutputPath) -> None:
        raise ValueError("x" * 5000)

    call(step, "--out", tmp_path / "out")
    assert len((environment / "failure.txt").read_text()) == 1024


@pytest.mark.parametrize(
    ("number", "code", "reason"),
    [
        (signal.SIGTERM, 143, "stopped by SIGTERM"),
        (signal.SIGKILL, -9, None),
    ],
)
def test_outputs_are_absent_when_a_signal_ends_it(toy, until, number, code, reason):
    env = {"SOUNDGATE_TASK": "t", "SOUNDGATE_TASK_FOLDER": str(toy.folder / "task")}
    process = toy.start("steps.work", "--out", "task/out", "--seconds", "60", env=env)
    until(lambda: list((toy.folder / "task").glob(".out.*.partial/result.txt")))
    process.send_signal(number)
    assert process.wait(timeout=20) == code
    assert not (toy.folder / "task" / "out").exists()
    mark = runs.read_mark(toy.folder / "task")
    assert (mark and mark["reason"]) == reason
    assert toy.module("steps.work", "--out", "task/out", "--text", "x", env=env).returncode == 0
    assert (toy.folder / "task" / "out" / "result.txt").read_text() == "x"
    assert not list((toy.folder / "task").glob(".*"))


@pytest.mark.parametrize("talks", [False, True], ids=["an output", "the log"])
def test_a_limit_on_file_sizes_is_one_line(toy, talks):
    toy.write(
        "large.py",
        f"""
        import resource
        from soundgate.step import OutputPath, main

        def large(out: OutputPath) -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
            if {talks}:
                print("x" * 20_000)
            (out / "large.txt").write_text("x" * 20_000)

        if __name__ == "__main__":
            main(large)
        """,
    )
    env = {"SOUNDGATE_TASK": "t", "SOUNDGATE_TASK_FOLDER": str(toy.folder / "task")}
    with (toy.folder / "log.txt").open("w") as log:
        command = [sys.executable, "-m", "large", "--out", "task/out"]
        ended = subprocess.run(
            command, cwd=toy.folder, env={**os.environ, **env}, stdout=log, stderr=log, check=False
        )
    assert ended.returncode == 2
    mark = runs.read_mark(toy.folder / "task")
    said = "File too large: raise the limit on file sizes (ulimit -f) or choose another folder"
    assert (mark["state"], mark["reason"]) == ("failed", said)
    assert "Traceback" not in (toy.folder / "log.txt").read_text()


def test_a_lost_attempt_leaves_a_later_one_alone(environment, tmp_path, monkeypatch):
    def step(out: OutputPath, *, lost: bool = False) -> None:
        (out / "lost" if lost else out / "later").touch()
        if lost:  # another process begins and ends meanwhile
            monkeypatch.setenv("SOUNDGATE_TOKEN", "later")
            assert call(step, "--out", tmp_path / "out") == 0

    monkeypatch.setenv("SOUNDGATE_TOKEN", "first")
    assert call(step, "--out", tmp_path / "out", "--lost", "true") == 1
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["later"]
    assert runs.read_mark(environment)["state"] == "succeeded"
    assert not list(tmp_path.glob(".out*"))


def test_a_rerun_replaces_what_an_earlier_one_left(environment, tmp_path):
    def step(out: OutputPath, *, name: str) -> None:
        assert list(out.iterdir()) == []
        (out / name).touch()

    for name in ("a", "b"):
        assert call(step, "--out", tmp_path / "out", "--name", name) == 0
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["b"]


def test_a_rerun_that_fails_leaves_the_earlier_output_whole(environment, tmp_path):
    def step(out: OutputPath, *, good: bool) -> None:
        (out / "x").write_text("1")
        if not good:
            raise ValueError

    assert call(step, "--out", tmp_path / "out", "--good", "true") == 0
    assert call(step, "--out", tmp_path / "out", "--good", "false") == 1
    assert (tmp_path / "out" / "x").read_text() == "1"
    assert runs.read_mark(environment)["state"] == "failed"


def test_an_output_folder_that_the_platform_made_is_filled_in_place(environment, tmp_path):
    def step(out: OutputPath) -> None:
        (out / "x").write_text("1")

    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "real", target_is_directory=True)
    assert call(step, "--out", tmp_path / "out") == 0
    assert (tmp_path / "real" / "x").read_text() == "1"


def test_an_output_that_cannot_be_written_is_one_line_and_exit_2(toy):
    (toy.folder / "file").touch()
    ended = toy.module("steps.work", "--out", "file/out")
    assert ended.returncode == 2
    assert ended.stderr == "error: file: cannot be written (Not a directory)\n"


def test_checkpoints_survive_a_failed_attempt(toy):
    words = ["steps.work", "--out", "o", "--checkpoints", "kept", "--fail", "bug", "--fails", "2"]
    assert [toy.module(*words).returncode for _ in range(2)] == [1, 1]
    assert sorted(p.name for p in (toy.folder / "kept").iterdir()) == ["1", "2"]
    assert toy.module(*words).returncode == 0
    assert not (toy.folder / "kept").exists()  # nobody will continue a finished task


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_graceful_stop_lets_the_step_save_its_work(environment, tmp_path, number):
    def step(out: OutputPath, checkpoints: CheckpointPath | None = None) -> None:
        with graceful_stop() as stop:
            assert not stop()
            signal.raise_signal(number)
            assert stop()
            (checkpoints / "epoch").write_text("7")
        raise Stopped("stopped in epoch 7; a checkpoint was kept")

    before = signal.getsignal(signal.SIGUSR1)
    words = ["--out", tmp_path / "out", "--checkpoints", tmp_path / "kept"]
    assert call(step, *words) == 75
    assert signal.getsignal(signal.SIGUSR1) == before
    assert (tmp_path / "kept" / "epoch").read_text() == "7"
    assert runs.read_mark(environment)["exit_code"] == 75


def test_the_other_processes_of_a_distributed_task_write_nothing(
    environment, tmp_path, monkeypatch
):
    monkeypatch.setenv("RANK", "1")

    def step(out: OutputPath, *, good: bool) -> None:
        if not good:
            raise ValueError("rank 1")

    assert call(step, "--out", tmp_path / "out", "--good", "true") == 0
    assert list(environment.iterdir()) == []
    assert not (tmp_path / "out").exists()


def test_a_process_stopped_for_another_s_failure_keeps_that_reason(
    environment, tmp_path, monkeypatch
):
    """Torchrun stops the first process when a later one failed: the mark must say why."""

    def failing(out: OutputPath) -> None:
        raise ValueError("the loss left the numbers")

    def stopped(out: OutputPath) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setenv("RANK", "1")
    assert call(failing, "--out", tmp_path / "out") == 1
    monkeypatch.setenv("RANK", "0")
    assert call(stopped, "--out", tmp_path / "out") == 128 + signal.SIGTERM
    mark = json.loads((environment / "task.json").read_text())
    assert mark["reason"] == "ValueError: the loss left the numbers"
    assert not list(tmp_path.glob(".out*"))


def test_sigterm_is_not_swallowed_by_a_step_that_catches_every_exception(toy, until):
    toy.write(
        "steps/eager.py",
        """
        import time
        from pathlib import Path
        from soundgate.step import OutputPath, main

        def eager(out: OutputPath) -> None:
            while True:
                try:
                    Path("ready").touch()
                    time.sleep(60)
                except Exception:
                    pass

        if __name__ == "__main__":
            main(eager)
        """,
    )
    process = toy.start("steps.eager", "--out", "o")
    until((toy.folder / "ready").exists)
    process.terminate()
    assert process.wait(timeout=20) == 143
    assert process.communicate()[1] == "error: stopped by SIGTERM\n"


WARNED = """
    from __future__ import annotations

    import os
    import signal
    import time
    from pathlib import Path

    from soundgate.step import OutputPath, graceful_stop, main


    def warned(out: OutputPath, *, saves: bool = False) -> None:
        Path("began").touch()
        while not Path("warned").exists():
            time.sleep(0.02)
        if saves:
            with graceful_stop() as stop:
                (out / "asked").write_text(str(stop()))
        (out / "done").touch()


    if __name__ == "__main__":
        main(warned)
    """


@pytest.mark.parametrize("saves", ["true", "false"])
def test_a_warning_that_comes_before_a_step_looks_is_kept_and_kills_nothing(toy, until, saves):
    toy.write("steps/warned.py", WARNED)
    process = toy.start("steps.warned", "--out", "out", "--saves", saves)
    until((toy.folder / "began").exists)
    process.send_signal(signal.SIGUSR1)
    (toy.folder / "warned").touch()
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
    found = {p.name: p.read_text() for p in (toy.folder / "out").iterdir()}
    assert found == {"done": ""} | ({"asked": "True"} if saves == "true" else {})
