"""torchrun that ignores the warning before a time limit.

    python -m soundgate.executors.slurm.node.torchrun [OPTION ...] -m MODULE [ARGUMENT ...]

Slurm signals every process of a job step. The processes that torchrun starts save their work on
SIGUSR1, but torchrun itself has no handler: the signal would kill it, and its processes with it.
"""

from __future__ import annotations

import signal


def main() -> None:
    """Run as a program."""
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    from torch.distributed.run import main as torchrun

    torchrun()


if __name__ == "__main__":
    main()
