"""Peak memory of the benchmark's own process."""

from pathlib import Path


def peak_mb() -> float:
    """Peak resident memory of this program; ``getrusage`` would count its parent's too."""
    status = Path("/proc/self/status").read_text("utf-8")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024
