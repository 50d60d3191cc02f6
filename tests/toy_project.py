"""A toy project in a folder of its own, used as its author would: by its command line."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

SOURCES = Path(__file__).parent / "engine" / "toy"


def _heed_interrupts() -> None:
    """A shell that runs the suite in the background has its children ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Toy:
    """A project of steps and pipelines in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(SOURCES, folder, dirs_exist_ok=True)
        self.started: list[subprocess.Popen[str]] = []

    def write(self, path: str, text: str) -> Path:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(textwrap.dedent(text), "utf-8")
        return target

    def pipeline(self, name: str, body: str, parameters: str = "") -> str:
        """Declare ``pipelines/<name>.py``; ``body`` uses ``p`` and the pipeline ``t``."""
        fields = textwrap.indent(textwrap.dedent(parameters) or "unused: int = 0\n", "    ")
        text = (
            "from dataclasses import dataclass, field\n"
            "from soundgate.bounds import Bounds\nfrom soundgate.parameters import ConfigFile\n"
            "from soundgate.pipeline import Axis, Metric, Pipeline, Resources\n"
            "from steps.spell import spell\nfrom steps.work import work\n\n\n"
            f"@dataclass(frozen=True, kw_only=True)\nclass Parameters:\n{fields}\n\n"
            f"def get_pipeline(p: Parameters) -> Pipeline:\n    t = Pipeline({name!r})\n"
            f"{textwrap.indent(textwrap.dedent(body), '    ')}\n    return t\n"
        )
        self.write(f"pipelines/{name}.py", text)
        return f"pipelines.{name}"

    def _command(self, *words: object) -> list[str]:
        return [sys.executable, "-m", *map(str, words)]

    def _environment(self, extra: dict[str, str] | None) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("SOUNDGATE_", "RANK"))}
        return {**kept, **(extra or {})}

    def module(self, *words: object, env: dict[str, str] | None = None):
        """Run ``python -m words``."""
        return subprocess.run(
            self._command(*words),
            cwd=self.folder,
            env=self._environment(env),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def start(self, *words: object, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
        """Start ``python -m words``; the fixture ends it."""
        process = subprocess.Popen(
            self._command(*words),
            cwd=self.folder,
            env=self._environment(env),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_heed_interrupts,  # noqa: PLW1509 - it takes no lock
        )
        self.started.append(process)
        return process

    def cli(self, *words: object, env: dict[str, str] | None = None):
        return self.module("soundgate.cli", *words, env=env)

    def run(self, module: str, *words: object, env: dict[str, str] | None = None):
        return self.cli("run-pipeline", "-n", module, *words, env=env)

    def begin(self, module: str, *words: object) -> subprocess.Popen[str]:
        return self.start("soundgate.cli", "run-pipeline", "-n", module, *words)

    def python(self, code: str, env: dict[str, str] | None = None):
        """Run a script in the project's folder."""
        return subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)],
            cwd=self.folder,
            env=self._environment(env),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def runs(self, pipeline: str = "*") -> list[Path]:
        """Run folders, oldest first."""
        found = self.folder.glob(f"runs/{pipeline}/*/run.json")
        return [path.parent for path in sorted(found, key=lambda p: p.stat().st_ctime_ns)]

    def record(self, which: int = -1) -> dict:
        return json.loads((self.runs()[which] / "run.json").read_text("utf-8"))

    def states(self, which: int = -1) -> dict[str, str]:
        return {name: task["state"] for name, task in self.record(which)["tasks"].items()}

    def events(self) -> list[tuple[str, str, float, int]]:
        """What tasks wrote down: task, "start" or "end", time, process id."""
        path = self.folder / "events.txt"
        rows = (
            [line.split() for line in path.read_text("utf-8").splitlines()] if path.exists() else []
        )
        return [(task, what, float(at), int(pid)) for task, what, at, pid in rows]

    def ran(self) -> list[str]:
        """Tasks in the order in which they were really started."""
        return [task for task, what, _, _ in self.events() if what == "start"]

    def children(self) -> list[int]:
        path = self.folder / "children.txt"
        return [int(line) for line in path.read_text("utf-8").split()] if path.exists() else []


def wait_for(condition, seconds: float = 20.0):
    """Return the first true value of ``condition``; fail after ``seconds``."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.02)
    pytest.fail(f"it did not happen within {seconds} s")


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
