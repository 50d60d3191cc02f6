"""Judge the gates of a pipeline as a step does that shows their verdicts.

Reads   gates     the gates as declared        judged/   every report that one of them reads
Writes  out/      verdicts.json
"""

from __future__ import annotations

import json

from soundgate.gates import judge_all
from soundgate.step import InputPath, NamedInputPaths, OutputPath, main


def judge(gates: InputPath, judged: NamedInputPaths, out: OutputPath) -> None:
    """Write the verdicts."""
    (out / "verdicts.json").write_text(json.dumps(judge_all(gates, judged)), "utf-8")


if __name__ == "__main__":
    main(judge)
