"""Loading a definition costs milliseconds and needs nothing but the standard library."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ["boto3", "kfp", "mlflow", "numpy", "pydantic", "rich", "soundfile", "torch", "yaml"]
PIPELINES = sorted(f"pipelines.{p.stem}" for p in (ROOT / "pipelines").glob("[!_]*.py"))
STEPS = sorted(
    ".".join(p.relative_to(ROOT).with_suffix("").parts) for p in (ROOT / "steps").rglob("[!_]*.py")
)
JUDGES = [
    "soundgate.audio.detection.evaluation.comparison",
    "soundgate.audio.detection.evaluation.evaluation",
    "soundgate.audio.formats.model",
    "soundgate.audio.formats.reports.report",
]
"""What reads scores and reports on nodes without a GPU, where importing torch takes seconds."""


def load(code):
    """Run ``code`` in a fresh interpreter; return the top-level modules and the seconds of CPU."""
    script = (
        "import json, sys, time; start = time.process_time()\n"
        f"{code}\n"
        "took = time.process_time() - start\n"
        "print(json.dumps([sorted({m.split('.')[0] for m in sys.modules}), took]))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    modules, seconds = json.loads(ended.stdout)
    return set(modules), seconds


@pytest.mark.parametrize("module", JUDGES)
def test_what_judges_scores_does_without_torch(module):
    modules, _ = load(f"import {module}")
    assert "pydantic" in modules
    assert "torch" not in modules


@pytest.mark.parametrize(
    "module",
    [*PIPELINES, *STEPS, "pipeline_parameters", "soundgate.step", "soundgate.cli"],
)
def test_importing_it_loads_nothing_heavy(module):
    modules, seconds = load(f"import {module}")
    assert modules & set(HEAVY) == set()
    assert seconds < 1.0


def test_a_pipeline_value_is_built_with_the_standard_library_alone():
    modules, seconds = load(
        "import steps.train, steps.evaluate\n"
        "from soundgate.commands.mermaid import mermaid\n"
        "from soundgate.pipeline import Metric, Pipeline\n"
        "p = Pipeline('p'); f = p.file('x')\n"
        "t = p.map(steps.train.train, over={'test_fold': [1, 2]}, features=f, config=f)\n"
        "e = p.map(steps.evaluate.evaluate, over=t, features=f, model=t['model'])\n"
        "m = Metric(name='m', json_path='a', message='low')\n"
        "p.gate(e.tasks[0]['report'], metric=m, at_least=0.5)\n"
        "assert mermaid(p).startswith('flowchart')"
    )
    assert modules & set(HEAVY) == set()
    assert seconds < 1.0


@pytest.mark.parametrize("command", ["list-runs", "show-run", "show-logs"])
def test_looking_at_runs_loads_nothing_heavy(command, tmp_path):
    modules, _ = load(
        "import os, soundgate.cli\n"
        f"os.environ['SOUNDGATE_RUNS'] = {str(tmp_path)!r}\n"
        "import contextlib, io\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        f"    soundgate.cli.main([{command!r}] + ['last'] * ({command!r} != 'list-runs'))"
    )
    assert modules & set(HEAVY) == set()
