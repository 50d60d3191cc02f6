"""A report with one figure in it.

Writes  report/   evaluation.json
"""

from __future__ import annotations

import json

from soundgate.step import OutputPath, main


def measure(report: OutputPath, *, value: float) -> None:
    """Write ``value`` where a gate looks for it."""
    (report / "evaluation.json").write_text(json.dumps({"clip": {"value": value}}), "utf-8")
    print(f"clip accuracy: {value}")


if __name__ == "__main__":
    main(measure)
