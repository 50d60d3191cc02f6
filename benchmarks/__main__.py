"""Every benchmark, one after another, each in a process of its own: ``make bench``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ESC10 = Path(__file__).resolve().parents[2] / "shared" / "datasets" / "ESC-10"


def main() -> None:
    """Run them; the one on real clips only where those lie beside the checkout."""
    runs = [
        ["overhead"],
        ["memory"],
        ["export"],
        ["prediction"],
        ["tagging"],
        ["spot", "--seconds", "20"],
        ["preparing"],
        ["octave"],
        ["embedding"],
        ["search", "--count", "100000"],
        ["events"],
        ["event_metrics", "--clips", "100", "--classes", "10"],
        ["campaign", "--segments", "20000", "--seconds", "60"],
    ]
    if ESC10.is_dir():
        runs.append(["preprocessing", "--esc10", str(ESC10), "--wav"])
    else:
        print("preprocessing: pass a folder: python -m benchmarks.preprocessing --esc10 PATH")
    print("serving: pass a model with its programs: python -m benchmarks.serving MODEL")
    for name, *arguments in runs:
        subprocess.run([sys.executable, "-m", f"benchmarks.{name}", *arguments], check=True)


if __name__ == "__main__":
    main()
