"""The processes of tasks: started fast, ended whole, whichever way they are started."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from soundgate.executors.running.launcher import ForkLauncher, ProcessLauncher, Spec


def children_of(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def threads_of(pid):
    return list(Path(f"/proc/{pid}/task").iterdir())


@pytest.fixture(params=["fork", "fork a library that starts a thread", "fresh"])
def launcher(request, tmp_path, monkeypatch, until):
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "threaded.py").write_text(
        "import threading, time\n"
        "threading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n"
    )
    if request.param == "fresh":
        found = ProcessLauncher()
    elif request.param == "fork":
        found = ForkLauncher([])
    else:
        found = ForkLauncher(["threaded"])
        until(lambda: any(len(threads_of(pid)) == 2 for pid in children_of(found.server.guard)))
    yield found
    found.close()


@pytest.fixture
def start(launcher, tmp_path):
    """Start a program; return its log."""

    def begin(code, *words, name="t", cpus=1, env=None):
        (tmp_path / f"program_{name}.py").write_text(code)
        log = tmp_path / f"{name}.txt"
        argv = [sys.executable, "-m", f"program_{name}", *words]
        environment = {**os.environ, **(env or {})}
        launcher.start(Spec(name, argv, environment, str(tmp_path), str(log), cpus))
        return log

    return begin


def ended(launcher):
    return launcher.ended.get(timeout=20)


WORDS = ["a b", "", "-n", "--x=1", "'\"$HOME`d`\\", "new\nline", "Größe 音", "*"]


def test_arguments_environment_and_folder_arrive(launcher, start, tmp_path):
    code = "import json, os, sys; print(json.dumps([sys.argv[1:], os.environ['X'], os.getcwd()]))"
    log = start(code, *WORDS, env={"X": "ü y"})
    assert ended(launcher) == ("t", 0)
    assert json.loads(log.read_text("utf-8")) == [WORDS, "ü y", str(tmp_path)]


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("raise SystemExit(3)", 3, ""),
        ("raise SystemExit", 0, ""),
        ("raise SystemExit('why')", 1, "why\n"),
        ("import os; os._exit(7)", 7, ""),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -9, ""),
        ("import os; os.kill(os.getpid(), 40)", -40, ""),
        ("import atexit; atexit.register(print, 'bye')", 0, "bye\n"),
        ("import sys; sys.stdout.write('no newline')", 0, "no newline"),
        ("print(input())", 1, "EOFError"),
    ],
)
def test_an_end_is_reported_as_it_was(launcher, start, code, status, said):
    log = start(code)
    assert ended(launcher) == ("t", status)
    assert said in log.read_text("utf-8")


def test_a_bug_shows_its_traceback(launcher, start):
    log = start("def f():\n    raise ValueError('why')\nf()\n")
    assert ended(launcher) == ("t", 1)
    text = log.read_text("utf-8")
    assert text.startswith("Traceback (most recent call last):")
    assert text.endswith("ValueError: why\n")


def test_a_log_is_appended_to(launcher, start):
    for text in ("one", "two"):
        log = start(f"print({text!r})")
        ended(launcher)
    assert log.read_text("utf-8") == "one\ntwo\n"


def test_programs_do_not_see_one_another(launcher, start):
    start("import sys, json; json.left = 1; sys.left = 1")
    ended(launcher)
    log = start("import sys, json; print(hasattr(sys, 'left'), hasattr(json, 'left'), __name__)")
    ended(launcher)
    assert log.read_text("utf-8") == "False False __main__\n"


def test_a_process_leads_a_group_without_a_terminal(launcher, start):
    log = start("import os; print(os.getpgrp() == os.getpid(), os.isatty(0))")
    ended(launcher)
    assert log.read_text("utf-8") == "True False\n"


def test_it_forks_only_where_that_is_safe(launcher, start, request):
    log = start("print('forkserver' in open('/proc/self/cmdline').read())")
    ended(launcher)
    assert log.read_text() == f"{request.node.callspec.params['launcher'] == 'fork'}\n"


def test_a_signal_sent_at_once_is_not_lost(launcher, start):
    """Between the fork and the first line of the program there is no gap."""
    for number in range(5):
        start("import time; time.sleep(60)", name=f"t{number}")
        launcher.signal(f"t{number}", signal.SIGTERM)
        assert ended(launcher) == (f"t{number}", -signal.SIGTERM)


def test_a_program_can_handle_signals(launcher, start, until):
    log = start(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))\n"
        "print('ready', flush=True)\n"
        "try:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    sys.exit(130)\n"
    )
    until(lambda: log.exists() and "ready" in log.read_text())
    launcher.signal("t", signal.SIGTERM)
    assert ended(launcher) == ("t", 75)


CHILD = (
    "import subprocess, sys\n"
    "code = 'import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); "
    "time.sleep(60)'\n"
    "child = subprocess.Popen([sys.executable, '-c', code], stdout=subprocess.PIPE)\n"
    "child.stdout.readline()\n"
    "print(child.pid, flush=True)\n"
)


def test_what_a_program_leaves_behind_ends_with_it(launcher, start, until, is_alive):
    log = start(CHILD)
    assert ended(launcher) == ("t", 0)
    until(lambda: not is_alive(int(log.read_text())))


def test_a_child_that_ignores_sigterm_ends_with_its_parent(launcher, start, until, is_alive):
    log = start(f"{CHILD}import time; time.sleep(60)")
    until(lambda: log.exists() and log.read_text().endswith("\n"))
    launcher.signal("t", signal.SIGTERM)
    assert ended(launcher) == ("t", -signal.SIGTERM)
    until(lambda: not is_alive(int(log.read_text())))


def test_closing_ends_everything(launcher, start, until, is_alive):
    log = start(f"import os; print(os.getpid())\n{CHILD}import time; time.sleep(60)")
    until(lambda: log.exists() and log.read_text().count("\n") == 2)
    launcher.close()
    until(lambda: not any(is_alive(int(pid)) for pid in log.read_text().split()))


def test_many_at_once(launcher, start):
    for number in range(8):
        start(f"raise SystemExit({number})", name=f"t{number}")
    assert sorted(ended(launcher) for _ in range(8)) == [(f"t{n}", n) for n in range(8)]


def test_a_message_that_is_too_long_is_a_failed_start(tmp_path):
    found = ForkLauncher([])
    spec = Spec("t", [sys.executable, "-m", "x", "y" * (1 << 22)], {}, str(tmp_path), "log", 1)
    found.start(spec)
    assert ended(found) == ("t", -signal.SIGKILL)
    found.close()


def test_when_the_server_is_lost_its_tasks_are_reported(tmp_path, monkeypatch):
    (tmp_path / "sleeps.py").write_text("import time; time.sleep(60)")
    found = ForkLauncher([])
    log = tmp_path / "log"
    argv = [sys.executable, "-m", "sleeps"]
    found.start(Spec("t", argv, dict(os.environ), str(tmp_path), str(log), 1))
    os.kill(found.server.guard, signal.SIGKILL)
    assert ended(found) == ("t", -signal.SIGKILL)
    found.close()


def test_starting_again_is_faster_than_a_fresh_interpreter(tmp_path):
    """The reason for the server: a library is imported once."""
    (tmp_path / "slow.py").write_text("import time; time.sleep(0.5); LOADED = True")
    (tmp_path / "program.py").write_text("import slow; print(slow.LOADED)")
    code = (
        "import os, sys, time\n"
        "from soundgate.executors.running.launcher import ForkLauncher, Spec\n"
        "found = ForkLauncher(['slow'])\n"
        "time.sleep(1.5)\n"
        "start = time.monotonic()\n"
        "for name in 'abcd':\n"
        "    argv = [sys.executable, '-m', 'program']\n"
        "    found.start(Spec(name, argv, dict(os.environ), os.getcwd(), name, 1))\n"
        "    assert found.ended.get(timeout=20) == (name, 0)\n"
        "print(time.monotonic() - start)\n"
        "found.close()\n"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert float(shown.stdout) < 4 * 0.5
    assert (tmp_path / "d").read_text() == "True\n"
