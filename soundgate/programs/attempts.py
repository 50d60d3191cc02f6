"""Further attempts of a program that failed, for engines that never repeat one by themselves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from soundgate.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
PAUSE_S = 1.0
"""Before the second attempt; twice as long before each further one."""
LONGEST_PAUSE_S = 60.0


def supervise(command: Sequence[str], retries: int) -> int:
    """Run ``command``, and up to ``retries`` times more while it fails; return its exit code.

    Each attempt is a process of its own, so that one that crashed leaves nothing behind but its
    checkpoints. A mistake of the user (exit 2) and a program that was asked to stop are not tried
    again. Signals that ask to stop are passed on.
    """
    asked: list[int] = []
    process: subprocess.Popen[bytes] | None = None

    def pass_on(number: int, _frame: object) -> None:
        asked.append(number)
        if process is not None and process.poll() is None:
            process.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in FORWARDED}
    try:
        for attempt in range(1, retries + 2):
            environment = {**os.environ, "SOUNDGATE_ATTEMPT": str(attempt), "SOUNDGATE_RETRIES": ""}
            process = subprocess.Popen(command, env=environment)
            code = process.wait()
            code = 128 - code if code < 0 else code
            if code in {0, UserError.exit_code} or asked or attempt > retries:
                break
            print(
                f"attempt {attempt} of {retries + 1} ended with {code}; trying again",
                file=sys.stderr,
                flush=True,
            )
            time.sleep(min(LONGEST_PAUSE_S, PAUSE_S * 2 ** (attempt - 1)))
            if asked:
                break
        return code
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
