"""A step that fails in the way it is asked to.

Reads   source/   anything
Writes  out/      result.txt
"""

from __future__ import annotations

import ctypes
import time

from steps.work import note, outside

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
        ctypes.string_at(0)  # a program that is process 1 of a container can only die of a fault
    if kind == "sleep":
        for _ in range(1200):
            outside("asleep").touch()  # a sign of life
            time.sleep(0.1)
    if kind == "slow":
        time.sleep(float(file))
    if kind == "need" and not outside(file).exists():
        raise ValueError(f"{file} is not there yet")
    if kind == "once" and not outside(file).exists():
        outside(file).touch()
        raise ValueError("the first attempt fails")
    (out / "result.txt").write_text(how, "utf-8")


if __name__ == "__main__":
    main(trouble)
