"""Files that change unseen: swaps, edits whose time is put back, links to other targets."""

from __future__ import annotations

import hashlib
import os
import time
from typing import TYPE_CHECKING

import numpy as np

from soundgate.reuse.digests import CLOCK_TICK_NS, digest_tree, read_tree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OLD_NS = 1_700_000_000_000_000_000


def by_hand(folder: Path) -> str:
    """The digest of a folder, made by reading every byte of it."""
    names = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
    lines = [f"{hashlib.sha256((folder / n).read_bytes()).hexdigest()}  {n}\n" for n in names]
    return f"sha256:{hashlib.sha256(''.join(lines).encode()).hexdigest()}"


def change(folder: Path, rng: np.random.Generator) -> None:
    """Change something, and hide it from whoever compares sizes and times."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    one, two = (files[int(i)] for i in rng.choice(len(files), 2, replace=False))
    status = one.stat()
    match int(rng.integers(0, 6)):
        case 0:  # change places
            one.rename(folder / "x")
            two.rename(one)
            (folder / "x").rename(two)
        case 1:
            one.write_bytes(rng.bytes(status.st_size))
        case 2:
            (folder / "x").write_bytes(rng.bytes(status.st_size))
            (folder / "x").rename(one)
        case 3:
            one.unlink()
            one.symlink_to(two)
        case 4:
            one.unlink()
        case _:
            with one.open("r+b") as file:
                file.write(rng.bytes(1))
    if one.exists() and not one.is_symlink():
        os.utime(one, ns=(OLD_NS, OLD_NS))


def attack(folder: Path, count: int) -> Iterator[str]:
    """Yield what went wrong with each of ``count`` changes; empty where nothing did."""
    for number in range(count):
        rng = np.random.default_rng(number)
        clips = folder / f"{number}" / "clips"
        for name in ("dog/a.wav", "dog/b.wav", "rain/a.wav", "rain/b.wav"):
            (clips / name).parent.mkdir(parents=True, exist_ok=True)
            (clips / name).write_bytes(rng.bytes(64))
            os.utime(clips / name, ns=(OLD_NS, OLD_NS))
        time.sleep(2 * CLOCK_TICK_NS / 1e9)
        listing = folder / f"{number}" / "list"
        digest_tree(clips).write(listing)
        change(clips, rng)
        found = digest_tree(clips, read_tree(listing)).digest
        yield "" if found == by_hand(clips) else f"change {number} was not noticed"
