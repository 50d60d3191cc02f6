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
    verdicts = [verdict.as_json() for verdict in judge_all(gates, judged)]
    (out / "verdicts.json").write_text(json.dumps(verdicts), "utf-8")


if __name__ == "__main__":
    main(judge)
