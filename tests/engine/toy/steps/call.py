"""A step that calls another machine.

Writes  out/      result.txt
"""

from __future__ import annotations

import urllib.request

from soundgate.step import OutputPath, main


def call(out: OutputPath, *, url: str) -> None:
    """Fetch ``url``."""
    with urllib.request.urlopen(url, timeout=30) as answer:
        (out / "result.txt").write_bytes(answer.read())


if __name__ == "__main__":
    main(call)
