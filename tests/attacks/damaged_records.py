"""Records of runs that were cut off, emptied or overwritten: no command may end in a traceback."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
from toy_project import Toy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COMMANDS = (
    ("list-runs",),
    ("show-run", "last"),
    ("show-logs", "last"),
    ("run-pipeline", "-n", "pipelines.p", "--dry-run"),
    ("run-pipeline", "-n", "pipelines.p"),
)


def damage(data: bytes, rng: np.random.Generator) -> bytes:
    """The bytes of a record after something happened to them."""
    size = max(len(data), 1)
    match int(rng.integers(0, 6)):
        case 0:
            return b""
        case 1:
            return data[: int(rng.integers(0, size))]
        case 2:
            return rng.bytes(size)
        case 3:
            return b"[" * 50_000
        case 4:
            return data.replace(b'"', b"", 2)
        case _:
            words = [b"null", b"[]", b"7", b'"x"', b"{}"]
            key = data.split(b'"')
            at = int(rng.integers(0, max(len(key) - 1, 1)))
            return b'"'.join([*key[:at], words[int(rng.integers(0, 5))], *key[at + 1 :]])


def attack(folder: Path, count: int) -> Iterator[str]:
    """Yield what went wrong with each of ``count`` damages; empty where nothing did."""
    made = Toy(folder / "made")
    made.pipeline(
        "p", 'a = t.add(work, name="a", text="x")\nt.add(work, name="b", source=a["out"])'
    )
    assert made.run("pipelines.p").returncode == 0
    for number in range(count):
        rng = np.random.default_rng(number)
        shutil.copytree(made.folder, folder / f"{number}", symlinks=True)
        toy = Toy(folder / f"{number}")
        kept = [p for p in sorted(toy.folder.glob("runs/**/*")) if p.suffix in (".json", ".files")]
        kept += [p for p in sorted((toy.folder / "runs/.cache").rglob("*")) if p.is_file()]
        path = kept[int(rng.integers(0, len(kept)))]
        path.write_bytes(damage(path.read_bytes(), rng))
        command = COMMANDS[number % len(COMMANDS)]
        done = toy.cli(*command)
        where = path.relative_to(toy.folder)
        if "Traceback" in done.stderr or done.returncode not in (0, 2):
            yield f"{' '.join(command)} with {where} damaged: {done.stderr.strip()[-300:]}"
        else:
            yield ""
        shutil.rmtree(toy.folder)
