"""A program under a guard (see ``guard``), as the runner that started it sees it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

from soundgate.executors import leftovers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from soundgate.executors.leftovers import Hold

PATIENCE_S = 5.0
"""How long a guard may take to end what it guards; then it is stopped, and killed."""


class Guarded:
    """A process that leads a session and dies with this one, as do all that descend from it."""

    def __init__(
        self,
        words: Sequence[str],
        more: Sequence[str],
        hold: Hold | None,
        *,
        env: Mapping[str, str],
        pass_fds: Sequence[int] = (),
        **options: Any,
    ) -> None:
        """Start ``python *words LIFELINE *more``.

        Args:
            words: a module that calls ``guard.fork``, and what comes before the lifeline.
            more: what comes after it.
            hold: the run it is started for.
            env: its environment.
            pass_fds: file descriptors that it inherits.
            options: of ``subprocess.Popen``.
        """
        theirs, ours = os.pipe()
        kept, environment = [theirs, *pass_fds], {**env}
        if hold is not None:
            environment |= hold.environment
            kept += [hold.lock] if hold.lock is not None else []
        self._lifeline: int | None = ours
        self._lock = threading.Lock()
        try:
            self.process: subprocess.Popen[bytes] = subprocess.Popen(
                [sys.executable, *words, str(theirs), *more],
                env=environment,
                pass_fds=kept,
                start_new_session=True,
                **options,
            )
        except BaseException:
            self.let_go()
            raise
        finally:
            os.close(theirs)

    def let_go(self) -> None:
        """Have the guard end everything; return at once."""
        with self._lock:
            if self._lifeline is not None:
                os.close(self._lifeline)
            self._lifeline = None

    def kill(self) -> None:
        """Kill a guard that does not act; on Linux the kernel kills its children then."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()

    def end(self, hold: Hold | None) -> None:
        """End everything, also where the guard is stopped; return when it has ended, or in 20 s."""
        self.let_go()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(PATIENCE_S)
            return
        self.kill()
        if hold is not None:
            leftovers.end(hold.folder)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(PATIENCE_S)

    def send(self, number: int) -> None:
        """Send a signal that the guard passes on; SIGKILL ends everything."""
        if number == signal.SIGKILL:
            self.let_go()
        else:
            self.process.send_signal(number)
