"""List an artifact: every file's name and digest.

Reads   source/   anything
Writes  out/      listing.json: SHA-256 by path
"""

from __future__ import annotations

import hashlib
import json

from soundgate.step import InputPath, OutputPath, main


def listing(source: InputPath, out: OutputPath) -> None:
    """Write the listing."""
    files = sorted(p for p in source.rglob("*") if p.is_file())
    found = {str(p.relative_to(source)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}
    (out / "listing.json").write_text(json.dumps(found, ensure_ascii=False), "utf-8")


if __name__ == "__main__":
    main(listing)
