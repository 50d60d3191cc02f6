"""A step that fails in the way it is asked to.

Reads   source/   anything
Writes  out/      result.txt
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from steps.work import note

from soundgate.errors import DataError
from soundgate.step import InputPath, OutputPath, main


def trouble(out: OutputPath, source: InputPath | None = None, *, how: str) -> None:
    """Fail, or write ``how``."""
    note("start")
    print(f"about to {how}", flush=True)
    kind, _, file = how.partition(":")
    if kind == "mistake":
        raise DataError("clips/a.wav: not a sound")
    if kind == "break":
        raise ValueError("something broke")
    if kind == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "sleep":
        Path(f"asleep-{os.getpid()}").touch()
        time.sleep(120)
    if kind == "need" and not Path(file).exists():
        raise ValueError(f"{file} is not there yet")
    if kind == "once" and not Path(file).exists():
        Path(file).touch()
        raise ValueError("the first attempt fails")
    (out / "result.txt").write_text(how, "utf-8")


if __name__ == "__main__":
    main(trouble)
