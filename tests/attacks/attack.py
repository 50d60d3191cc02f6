"""Attack the product as time, accidents and enemies do; count what was tried and what fell.

    make attack                   everything, some minutes
    python tests/attacks/attack.py --short

Each kind is a module with ``attack(folder, count)``, which yields a text for every try: empty where
the product did right, otherwise what it did.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Kind:
    """A kind of attack, and how often it is tried."""

    name: str
    attack: Callable[[Path, int], Iterator[str]]
    short: int
    whole: int


def kinds() -> list[Kind]:
    """Every kind, cheapest first."""
    sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent.parent)]
    import changed_files
    import damaged_records
    import hostile_audio
    import hostile_predictions
    import killed_runners
    import odd_names
    import racing_decisions

    return [
        Kind("changed files", changed_files.attack, 40, 1_000),
        Kind("damaged audio through the reader", hostile_audio.attack, 600, 10_000),
        Kind("damaged audio through predict", hostile_predictions.attack, 300, 3_000),
        Kind("killed runners, resumed at once", killed_runners.attack, 4, 24),
        Kind("odd names", odd_names.attack, 36, 600),
        Kind("racing decisions", racing_decisions.attack, 1, 30),
        Kind("damaged records", damaged_records.attack, 15, 300),
    ]


def main() -> int:
    """Attack; print a row a kind; return 1 where anything fell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="as the tests do, a minute")
    short = parser.parse_args().short
    fallen = 0
    print(f"{'kind':<36}{'tried':>8}{'fell':>8}{'time':>9}")
    for kind in kinds():
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            found = list(kind.attack(Path(folder), kind.short if short else kind.whole))
        fell = [each for each in found if each]
        took = time.monotonic() - began
        print(f"{kind.name:<36}{len(found):>8}{len(fell):>8}{took:>7.0f} s", flush=True)
        for each in fell[:10]:
            print(f"    {each}")
        fallen += len(fell)
    return 1 if fallen else 0


if __name__ == "__main__":
    sys.exit(main())
