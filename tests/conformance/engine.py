"""An executor under test: a toy project, and the words that send its pipelines there."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from toy_project import Toy

STEPS = Path(__file__).parent / "toy"
LONGEST_S = 200


@dataclass
class Engine:
    """One executor, used by its command line as its users do."""

    name: str
    """As the table calls it."""
    toy: Toy
    words: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)
    program: tuple[str, ...] = ("-m", "soundgate.cli")
    check_received: Callable[[Path, str], None] = lambda _folder, _text: None
    """Asserts that the engine got what a request's text says, of the run in a folder."""
    outside: Path = Path()
    """A folder that tasks and tests both see: the project's own, where tasks may write there."""

    def __post_init__(self) -> None:
        """Add the steps of this suite to the toy project."""
        self.outside = self.toy.folder / self.outside
        shutil.copytree(STEPS, self.toy.folder, dirs_exist_ok=True)

    def cli(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command of Soundgate in the project's folder."""
        return subprocess.run(
            [sys.executable, *self.program, *words],
            cwd=self.toy.folder,
            env=self.toy._environment(self.environment),
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
            check=False,
        )

    def run(self, module: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a pipeline to its end."""
        return self.cli("run-pipeline", "-n", module, *self.words, *words)

    def states(self, run: str = "last") -> dict[str, str]:
        """Return the states of a run's tasks."""
        return {name: task["state"] for name, task in self.record(run)["tasks"].items()}

    def record(self, run: str = "last") -> dict:
        """Return a run's record."""
        shown = self.cli("show-run", run, "--output", "json")
        assert shown.returncode == 0, shown.stderr
        return json.loads(shown.stdout)

    def read(
        self, task: str, file: str = "result.txt", output: str = "out", run: str = "last"
    ) -> str:
        """Return a file that a task of a run wrote."""
        with tempfile.TemporaryDirectory(dir=self.toy.folder) as folder:
            got = self.cli("get-output", run, task, output, "--to", f"{folder}/it")
            assert got.returncode == 0, got.stderr
            return (Path(folder) / "it" / file).read_text("utf-8")

    def ran(self) -> list[str]:
        """Return the tasks that were really started since this was asked, in their order."""
        path = self.outside / "events.txt"
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return [line.split()[0] for line in lines if line.split()[1] == "start"]
