"""Write down what is joined, by name.

Reads   parts/    artifacts, each with result.txt
Writes  out/      table.json: text by name, in order
"""

from __future__ import annotations

import json

from steps.work import note

from soundgate.step import NamedInputPaths, OutputPath, main


def tabulate(parts: NamedInputPaths, out: OutputPath) -> None:
    """Read every part."""
    note("start")
    table = {name: (part / "result.txt").read_text("utf-8") for name, part in parts.items()}
    (out / "table.json").write_text(json.dumps(table), "utf-8")


if __name__ == "__main__":
    main(tabulate)
