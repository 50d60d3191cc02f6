"""A missing library is one line before anything runs, with the command that installs it."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from soundgate.reuse import requirements

ROOT = Path(__file__).resolve().parents[2]
BASE = {"pydantic", "pydantic_core", "yaml", "rich"}  # what `pip install soundgate` brings
EXPORT = {"onnx", "onnxruntime", "onnxscript"}
BLOCKER = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocker())
"""


def without(folder, libraries):
    """The environment of an interpreter that lacks these libraries."""
    site = folder / "site"
    site.mkdir(exist_ok=True)
    (site / "sitecustomize.py").write_text(f"BLOCKED = {sorted(libraries)!r}\n{BLOCKER}")
    return {**os.environ, "PYTHONPATH": str(site), "SOUNDGATE_RUNS": str(folder / "runs")}


def bare():
    """Every library of an extra, and what comes with them, except what is always there."""
    found = set(requirements._extras()) | {"botocore", "requests", "sqlalchemy", "markupsafe"}
    return found - BASE


def cli(folder, libraries, *words):
    return subprocess.run(
        [sys.executable, "-m", "soundgate", *words],
        cwd=ROOT,
        env=without(folder, libraries),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("words", [[], ["--dry-run"]])
def test_a_bare_installation_is_told_what_to_install_before_anything_runs(tmp_path, words):
    asked = ("run-pipeline", "-n", "pipelines.aed", "--set", "dataset=synthetic")
    ended = cli(tmp_path, bare(), *asked, *words)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        "run-pipeline: PIL, jinja2, mlflow, numpy, onnx and 8 more are not installed, and "
        "steps.fetch, steps.preprocess, steps.accept, steps.train, steps.export and 5 more need "
        "them: pip install 'soundgate[audio,export,registry]'\n"
    )
    assert not list(tmp_path.glob("runs/aed/*"))


def test_a_library_that_a_pipeline_can_do_without_is_not_asked_for(tmp_path):
    asked = ("run-pipeline", "-n", "pipelines.aed", "--set", "dataset=synthetic", "--dry-run")
    optional = {*EXPORT, "mlflow", "boto3", "botocore", "h5py", "av"}
    folds = cli(tmp_path, optional, *asked, "--set", "folds=1,2")  # neither exports nor registers
    assert folds.returncode == 0, folds.stderr
    whole = cli(tmp_path, optional, *asked)
    assert whole.stderr == (
        "run-pipeline: mlflow, onnx, onnxruntime, onnxscript are not installed, and steps.export, "
        "steps.pull, steps.register need them: pip install 'soundgate[export,registry]'\n"
    )


def test_every_library_of_an_extra_is_looked_for_by_the_name_it_is_imported_by():
    """A library that is here must not be called missing."""
    known = {name: extra for name, extra in requirements._extras().items() if extra != "dev"}
    assert {"PIL", "sklearn", "torch"} <= set(known)
    assert [name for name in known if importlib.util.find_spec(name) is None] == []


def test_the_doctor_looks_at_what_the_steps_import(tmp_path):
    ended = cli(tmp_path, EXPORT, "doctor", "-n", "pipelines.aed")
    assert ended.returncode == 1
    assert ended.stdout.splitlines()[-1] == (
        "fix  libraries             missing: onnx, onnxruntime, onnxscript: "
        "pip install 'soundgate[export]'"
    )
    fine = cli(tmp_path, EXPORT, "doctor", "-n", "pipelines.predict")
    assert (fine.returncode, fine.stdout.splitlines()[-1].split()[:2]) == (0, ["ok", "libraries"])


STEP = """
from soundgate.step import OutputPath, main

def {name}(out: OutputPath) -> None:
    {body}

if __name__ == "__main__":
    main({name})
"""


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            "import no_such_library",
            "no_such_library is not installed, and steps.own needs it: pip install no_such_library",
        ),
        ("try:\n        import no_such_library\n    except ImportError:\n        pass", ""),
    ],
)
def test_a_library_of_a_step_of_one_s_own_is_named(toy, body, said):
    toy.write("steps/own.py", STEP.format(name="own", body=body))
    toy.write(
        "pipelines/mine.py",
        """
        from soundgate.pipeline import Pipeline
        from steps.own import own

        def get_pipeline():
            t = Pipeline("mine")
            t.add(own)
            return t
        """,
    )
    ended = toy.run("pipelines.mine", "--dry-run")
    assert ended.stderr == (f"run-pipeline: {said}\n" if said else "")
    assert ended.returncode == (2 if said else 0)


def test_every_extra_that_a_step_names_is_one():
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    steps = [f"steps.{path.stem}" for path in (ROOT / "steps").glob("[!_]*.py")]
    named = {extra for step in steps for extra in requirements.declared_extras(step)}
    assert named
    assert named <= set(known)
