"""A Slurm that answers from a script: for outputs and faults that no test can wait for."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """#!{python}
import json, os, sys
folder = {folder!r}
name = os.path.basename(sys.argv[0])
script = sys.stdin.read() if name == "sbatch" else ""
with open(folder + "/calls.jsonl", "a") as file:
    file.write(json.dumps([name, sys.argv[1:], script]) + "\\n")
path = folder + "/" + name + ".json"
answers = json.load(open(path)) if os.path.exists(path) else [[0, "", ""]]
code, out, err = answers.pop(0) if len(answers) > 1 else answers[0]
json.dump(answers, open(path, "w"))
sys.stdout.write(out)
sys.stderr.write(err)
sys.exit(code)
"""


class FakeSlurm:
    """Programs of Slurm's names in a folder that comes first on ``PATH``."""

    def __init__(self, folder: Path, monkeypatch) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("sbatch", "squeue", "scontrol", "sacct", "scancel", "sinfo"):
            path = folder / name
            path.write_text(PROGRAM.format(python=sys.executable, folder=str(folder)))
            path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def answers(self, name: str, *answers: tuple[int, str, str]) -> None:
        """What a program answers, call by call; the last answer is repeated."""
        (self.folder / f"{name}.json").write_text(json.dumps([list(a) for a in answers]))

    def calls(self, name: str | None = None) -> list[tuple[list[str], str]]:
        """Arguments and standard input of the calls so far."""
        path = self.folder / "calls.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [(argv, text) for called, argv, text in rows if name in (None, called)]
