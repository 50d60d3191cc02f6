"""A step that counts slowly and can be asked to stop: it continues where it was.

Writes  out/      result.txt: the numbers, and how many starts it took
"""

from __future__ import annotations

import time

from soundgate.errors import Stopped
from soundgate.step import CheckpointPath, OutputPath, graceful_stop, main


def count(
    out: OutputPath, checkpoints: CheckpointPath | None = None, *, to: int = 10, each_s: float = 0.1
) -> None:
    """Count ``to`` a number, ``each_s`` seconds a step."""
    saved = checkpoints / "reached.txt"
    reached, starts = map(int, saved.read_text("utf-8").split()) if saved.exists() else (0, 0)
    with graceful_stop() as stop:
        while reached < to:
            if stop():
                saved.write_text(f"{reached} {starts + 1}", "utf-8")
                raise Stopped(f"stopped at {reached} of {to}; it continues from there")
            time.sleep(each_s)
            reached += 1
            print(f"reached {reached}", flush=True)
    (out / "result.txt").write_text(f"{reached} numbers in {starts + 1} starts", "utf-8")


if __name__ == "__main__":
    main(count)
