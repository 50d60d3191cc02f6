"""Runs a buildspec as AWS CodeBuild does, with a shell and a folder.

After the reference of buildspecs and "Build phase transitions": phases in order; each command a
process of its own, which finds the exported variables and the folder that the one before it left;
the first failing command ends its phase's commands; ``finally`` is run all the same; after a failed
install or pre_build nothing is built, after a failed build post_build is run; artifacts are always
collected. The buildspec's variables yield to the project's.

``/tmp/ml`` of the buildspec is ``<folder>/ml`` here, so that builds do not meet.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

PHASES = ("install", "pre_build", "build", "post_build")
ENDS_EARLY = {"install", "pre_build"}
KEYS = {
    "": {"version", "run-as", "env", "proxy", "batch", "phases", "reports", "artifacts", "cache"},
    "env": {
        "shell",
        "variables",
        "parameter-store",
        "exported-variables",
        "secrets-manager",
        "git-credential-helper",
    },
    "phases": set(PHASES),
    "phase": {"run-as", "on-failure", "runtime-versions", "commands", "finally"},
    "artifacts": {
        "files",
        "name",
        "discard-paths",
        "base-directory",
        "exclude-paths",
        "enable-symlinks",
        "s3-prefix",
        "secondary-artifacts",
    },
}
"""The documented keys, by where they stand."""
# What a command leaves to the next: exported variables and the folder. `trap` also after `exit`.
COMMAND = """\
cd "$(cat {state}/folder)"
. {state}/exported
trap 'code=$?; export -p > {state}/exported; pwd > {state}/folder; exit $code' EXIT
{command}
"""
# Stands for `python`: pip installs nothing here, and is remembered.
PYTHON = """\
#!/bin/sh
if [ "$1 $2" = "-m pip" ]; then shift 2; echo "$@" >> {installed}; exit 0; fi
exec {python} "$@"
"""


def read(path: Path) -> dict[str, Any]:
    """Return a buildspec; its keys are documented ones and its commands are texts."""
    spec = yaml.safe_load(path.read_text("utf-8"))
    assert spec["version"] == 0.2
    _known(spec, KEYS[""], path)
    _known(spec.get("env", {}), KEYS["env"], path)
    _known(spec["phases"], KEYS["phases"], path)
    _known(spec.get("artifacts", {}), KEYS["artifacts"], path)
    for phase in spec["phases"].values():
        _known(phase, KEYS["phase"], path)
        commands = [*phase["commands"], *phase.get("finally", [])]
        assert all(isinstance(each, str) for each in commands), f"{path}: a command is no text"
    variables = spec.get("env", {}).get("variables", {})
    assert all(isinstance(each, str) for each in variables.values()), f"{path}: a variable"
    return spec


def _known(mapping: dict[str, Any], keys: set[str], path: Path) -> None:
    unknown = set(mapping) - keys
    assert not unknown, f"{path}: CodeBuild knows no {unknown}"


@dataclass
class Build:
    """One build, and what came of it."""

    spec: dict[str, Any]
    source: Path
    """The checkout; commands start there."""
    folder: Path
    """Empty: what the build machine would keep outside of the checkout."""
    variables: dict[str, str]
    """The project's environment."""
    states: dict[str, str] = field(default_factory=dict)
    """Phase: succeeded or failed."""
    log: str = ""

    def run(self) -> Build:
        """Run every phase that CodeBuild would."""
        self._prepare()
        for name in PHASES:
            if name in self.spec["phases"]:
                self.states[name] = "succeeded" if self._phase(name) else "failed"
                if self.states[name] == "failed" and name in ENDS_EARLY:
                    break
        return self

    @property
    def succeeded(self) -> bool:
        return set(self.states.values()) == {"succeeded"}

    @property
    def artifacts(self) -> dict[str, Path]:
        """What is collected, by its path below ``/tmp``."""
        patterns = [self._here(p) for p in self.spec.get("artifacts", {}).get("files", [])]
        below = [str(Path(pattern).relative_to(self.folder)) for pattern in patterns]
        found = [path for pattern in below for path in self.folder.glob(pattern)]
        return {str(path.relative_to(self.folder)): path for path in found if path.is_file()}

    @property
    def exported(self) -> dict[str, str]:
        """The variables that the next action of a pipeline can be handed."""
        script = f". {self.folder}/state/exported; env -0"
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
        found = dict(line.split("=", 1) for line in done.stdout.split("\0") if line)
        return {name: found[name] for name in self.spec["env"].get("exported-variables", [])}

    @property
    def installed(self) -> list[str]:
        """The arguments of each use of pip."""
        path = self.folder / "installed"
        return path.read_text("utf-8").splitlines() if path.exists() else []

    def _prepare(self) -> None:
        state, programs = self.folder / "state", self.folder / "bin"
        state.mkdir()
        programs.mkdir()
        (state / "folder").write_text(str(self.source))
        (state / "exported").write_text("")
        python = programs / "python"
        python.write_text(
            PYTHON.format(
                installed=shlex.quote(str(self.folder / "installed")),
                python=shlex.quote(sys.executable),
            )
        )
        python.chmod(0o755)

    def _phase(self, name: str) -> bool:
        phase = self.spec["phases"][name]
        held = all(self._command(each) for each in phase["commands"])
        cleaned = [self._command(each) for each in phase.get("finally", [])]
        return held and all(cleaned)

    def _command(self, command: str) -> bool:
        script = COMMAND.format(
            state=shlex.quote(str(self.folder / "state")), command=self._here(command)
        )
        done = subprocess.run(
            [self.spec["env"]["shell"], "-c", script],
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=280,
        )
        self.log += f"$ {command}\n{done.stdout}"
        return done.returncode == 0

    def _environment(self) -> dict[str, str]:
        kept = {k: os.environ[k] for k in ("HOME", "LANG") if k in os.environ}
        path = f"{self.folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        given = self.spec["env"].get("variables", {})
        return {**kept, "PATH": path, "CODEBUILD_BUILD_SUCCEEDING": "1", **given, **self.variables}

    def _here(self, text: str) -> str:
        return text.replace("/tmp/ml", str(self.folder / "ml"))


def evaluation(build: Build) -> dict[str, Any]:
    """Return the evaluation among a build's artifacts."""
    return json.loads(build.artifacts["ml/evaluation/evaluation.json"].read_text("utf-8"))
