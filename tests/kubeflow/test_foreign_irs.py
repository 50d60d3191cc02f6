"""Other people's compiled pipelines: whatever is in them, linter and runner answer.

Their containers run as processes of this machine, with a handful of programs in their path: no
network tools, ``pip`` does nothing, nothing sleeps.
"""

from __future__ import annotations

import collections
import dataclasses
import os
import shutil
import sys
import threading
from pathlib import Path

import ir_lint
import ir_runner
import pytest
from ir_runner import IRError, Runner

pytestmark = pytest.mark.emulator("ir_runner", "ir_lint")

VARIABLE = "SOUNDGATE_FOREIGN_IRS"
PROGRAMS = ("sh", "bash", "cat", "mkdir", "mktemp", "dirname", "basename", "cp", "ls", "env", "tee")
LIMIT_S = 40.0
PYTHON = """#!/bin/sh
case "$1 $2" in "-m pip"|"-m ensurepip") exit 0;; esac
exec {python} "$@"
"""


@pytest.fixture(scope="module")
def folder():
    """The folder of other people's pipelines."""
    named = os.environ.get(VARIABLE)
    if not named:
        pytest.skip(f"{VARIABLE} names no folder of other people's compiled pipelines")
    return Path(named)


@pytest.fixture
def image(tmp_path, cluster):
    """An image with a shell, Python, kfp and little else."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in PROGRAMS:
        if found := shutil.which(name):
            (programs / name).symlink_to(found)
    for name in ("python", "python3"):
        (programs / name).write_text(PYTHON.format(python=sys.executable))
        (programs / name).chmod(0o755)
    for name in ("sleep", "pip", "pip3", "apt-get"):
        (programs / name).symlink_to("/bin/true")
    return dataclasses.replace(cluster, path=str(programs), max_parallel=2)


def pipelines(folder):
    """Yield files that hold a compiled pipeline, and its text."""
    for path in sorted(folder.rglob("*.yaml")):
        text = path.read_text("utf-8")
        if "pipelineInfo" in text or "deploymentSpec" in text:
            yield path.relative_to(folder), text


def test_the_linter_answers_for_all_of_them(folder):
    findings = {path: ir_lint.lint(text) for path, text in pipelines(folder)}
    assert findings, f"no compiled pipeline in {folder}"
    print(f"\n{len(findings)} pipelines, {sum(map(bool, findings.values()))} with findings")
    for path, found in findings.items():
        for each in found:
            print(f"  {path}: {each}")


@pytest.mark.timeout(3600)
def test_the_runner_answers_for_all_of_them(folder, image, tmp_path):
    counts = collections.Counter()
    for path, text in pipelines(folder):
        work = tmp_path / "work" / str(path).replace("/", "-")
        said = answer(text, work, image)
        counts[said.partition(":")[0]] += 1
        print(f"  {path}: {said}")
        shutil.rmtree(work, ignore_errors=True)
    print(f"\n{sum(counts.values())} pipelines: {dict(counts)}")
    assert counts, f"no compiled pipeline in {folder}"


def answer(text, work, image):
    """Run a pipeline with its defaults; say what came of it."""
    try:
        root = str(work / "artifacts")
        runner = Runner(ir_runner.load(text), work, image, pipeline_root=root)
        timer = threading.Timer(LIMIT_S, runner.cancel)
        timer.start()
        outcome = runner.run({})
    except IRError as error:
        return f"refused: {str(error)[:150]}"
    timer.cancel()
    failed = [t for t in outcome.tasks.values() if t.state == "FAILED" and t.kind != "dag"]
    reasons = [f"{t.path} {t.reason} {t.log_text().strip()[-150:]!r}" for t in failed]
    return f"{outcome.state}: {'; '.join(reasons)[:400]}"
