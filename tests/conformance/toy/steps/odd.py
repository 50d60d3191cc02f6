"""An artifact that is hard to carry: names of all kinds, an empty file, several megabytes.

Writes  out/      files
"""

from __future__ import annotations

from hashlib import shake_256

from soundgate.step import OutputPath, main

NAMES = (
    "a b.txt",
    "été.wav",
    "it's.txt",
    'say "x".txt',
    "100%.txt",
    "a+b=c.txt",
    "a#b?c&d.txt",
    "$HOME.txt",
    ".hidden",
    "deep/er/still/deep.txt",
    "日本/語.txt",
    "-flag.txt",
    "empty.txt",
    "{{$}}.txt",
)


def odd(out: OutputPath, *, megabytes: int) -> None:
    """Write a file for each name, and one of ``megabytes``."""
    for name in NAMES:
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("" if name == "empty.txt" else name, "utf-8")
    (out / "large.bin").write_bytes(shake_256(b"large").digest(megabytes * 2**20))


if __name__ == "__main__":
    main(odd)
