"""A folder of damaged files handed to ``predict``: each is scored, or is one row of failures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from hostile_audio import MOST_BYTES, SECONDS_A_FILE, write_all

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = """
import json, sys
from pathlib import Path
sys.path[:0] = [sys.argv[1], sys.argv[2], sys.argv[4]]
from hostile_audio import peak_bytes
from toy_model import write_model
from reading_tables import predict
folder = Path(sys.argv[3])
predict(write_model(folder / "model"), folder / "in", folder / "out", workers=2, format="jsonl")
print(json.dumps(peak_bytes()))
"""
TESTS = Path(__file__).resolve().parents[1]


def attack(folder: Path, count: int) -> Iterator[str]:
    """Yield what went wrong with each of ``count`` files; empty where nothing did."""
    paths = write_all(folder / "in", count, seed=1)
    places = (TESTS / "audio", TESTS.parent, folder, TESTS / "attacks")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, places)],
        capture_output=True,
        text=True,
        timeout=120 + SECONDS_A_FILE * count,
        check=False,
    )
    if done.returncode:
        yield f"predict ended with {done.returncode}: {done.stderr[-400:]}"
        return
    failures = _paths(folder / "out" / "failures.jsonl")
    scored = set(_paths(folder / "out" / "clips.jsonl"))
    for path in paths:
        rows = failures.count(path.name)
        if rows > 1:
            yield f"{path.name} has {rows} rows of failures"
        elif not rows and path.name not in scored:
            yield f"{path.name} is nowhere"
        else:
            yield ""
    peak = json.loads(done.stdout.splitlines()[-1])
    yield "" if peak < MOST_BYTES else f"peak memory {peak / 1e9:.1f} GB"


def _paths(table: Path) -> list[str]:
    if not table.is_file():
        return []
    return [json.loads(line)["path"] for line in table.read_text("utf-8").splitlines()]
