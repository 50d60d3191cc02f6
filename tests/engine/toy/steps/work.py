"""A step that does what its arguments say, and writes down when.

Reads   source/   anything        parts/  any number of folders
Writes  out/      result.txt
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from soundgate.errors import DataError
from soundgate.step import CheckpointPath, InputPath, InputPaths, OutputPath, main


def work(
    out: OutputPath,
    source: InputPath | None = None,
    parts: InputPaths | None = None,
    checkpoints: CheckpointPath | None = None,
    *,
    text: str = "",
    seconds: float = 0.0,
    fail: str = "",
    fails: int = 0,
    child: str = "",
) -> None:
    """Write ``text`` and everything read; take ``seconds``; fail in the way of ``fail``."""
    note("start")
    for part in [*([source] if source else []), *(parts or [])]:
        files = [part] if part.is_file() else sorted(p for p in part.rglob("*") if p.is_file())
        text += "".join(p.read_text("utf-8") for p in files)
    (out / "result.txt").write_text(text, "utf-8")
    print(f"wrote {len(text)} characters", flush=True)
    if child:
        spawn(child)
    attempt = 1 + sum(1 for _ in checkpoints.iterdir()) if checkpoints else 1
    if checkpoints:
        (checkpoints / str(attempt)).touch()
    time.sleep(seconds)
    if fail and (not fails or attempt <= fails):
        go_wrong(fail)
    note("end")


def note(what: str) -> None:
    """Append an event to a file of the working folder."""
    task = os.environ.get("SOUNDGATE_TASK") or "-"
    with outside("events.txt").open("a", encoding="utf-8") as file:
        file.write(f"{task} {what} {time.monotonic()} {os.getpid()}\n")


def outside(name: str) -> Path:
    """Return a path that the test sees too: in the working folder, or outside a container."""
    return Path(os.environ.get("TOY_OUTSIDE", "")) / name


def spawn(kind: str) -> None:
    """Start a process that outlives this one unless its whole group is ended."""
    ignore = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    code = (
        f"{ignore if kind == 'stubborn' else ''}print(1, flush=True); import time; time.sleep(300)"
    )
    started = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    started.stdout.readline()  # its handler is in place
    with Path("children.txt").open("a", encoding="utf-8") as file:
        file.write(f"{started.pid}\n")


def go_wrong(how: str) -> None:
    """Fail."""
    if how == "user":
        raise DataError("clips/a.wav: not a sound")
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        note("deaf")
        time.sleep(300)
    if how.isdigit():
        os._exit(int(how))
    raise ValueError(how)


if __name__ == "__main__":
    main(work)
