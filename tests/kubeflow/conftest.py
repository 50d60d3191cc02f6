"""Compiled pipelines that are run on this machine, and a stand-in for the API server."""

from __future__ import annotations

import dataclasses
import importlib
import sys
import textwrap

import ir_runner
import ir_samples
import pytest
import yaml
from stub_api import KubeflowApi

from soundgate import runs
from soundgate.executors.base import Options, initial_tasks
from soundgate.executors.kubeflow.executor import KubeflowExecutor
from soundgate.runs import Run

STEP = '''
    """A step that does what its arguments say."""
    import os
    import time
    from pathlib import Path

    from soundgate.errors import DataError
    from soundgate.runs import Context
    from soundgate.step import InputPath, OutputPath, main


    def labour(
        out: OutputPath, source: InputPath | None = None, *, text: str = "", seconds: float = 0.0,
        fail: str = "", unless: str = "",
    ) -> None:
        """Write what was read and ``text``."""
        if source is not None:
            files = [source] if source.is_file() else sorted(source.rglob("*.*"))
            own = ("context.txt", "registry.txt")
            text = "".join(path.read_text() for path in files if path.name not in own) + text
        print("labouring at", text, flush=True)
        time.sleep(seconds)
        if fail and not (unless and Path(unless).exists()):
            raise DataError(fail)
        context = Context.from_environment()
        (out / ("evaluation.json" if text.startswith("{") else "said.txt")).write_text(text)
        (out / "context.txt").write_text(f"{context.run} {context.commit} {context.task}")
        (out / "registry.txt").write_text(os.environ.get("MLFLOW_TRACKING_URI", "none"))


    if __name__ == "__main__":
        main(labour)
'''


@pytest.fixture
def cluster(tmp_path):
    """A cluster whose image holds ``tmp_path/image``."""
    image = tmp_path / "image"
    image.mkdir()
    return ir_runner.Platform(project=image, grace_s=0.5)


@pytest.fixture
def kubeflow_api(tmp_path, cluster):
    """An API server that runs what it is sent, on ``cluster``."""
    with KubeflowApi(tmp_path / "kubeflow", cluster) as api:
        yield api


@pytest.fixture
def execute(tmp_path, cluster):
    """Run a pipeline's function; every call is a run on the same cluster."""
    cache = ir_runner.Cache()

    def do(function, arguments=None, *, pipeline=None, edit=None, **platform):
        text = function
        if not isinstance(text, str):
            text = ir_samples.compiled(function, **(pipeline or {}))
        if edit:
            documents = list(yaml.safe_load_all(text))
            edit(documents)
            text = yaml.safe_dump_all(documents)
        changed = dataclasses.replace(cluster, **platform)
        return ir_runner.run(text, arguments or {}, tmp_path / "work", changed, cache=cache)

    return do


@pytest.fixture
def labour(cluster, monkeypatch):
    """A step that lies in the image."""
    (cluster.project / "labourstep.py").write_text(textwrap.dedent(STEP))
    monkeypatch.syspath_prepend(str(cluster.project))
    yield importlib.import_module("labourstep").labour
    sys.modules.pop("labourstep", None)


@pytest.fixture
def site(tmp_path, kubeflow_api):
    """Makes executors; a profile's fields may be given."""

    def make(**fields):
        profile = {"host": kubeflow_api.url, "image": "soundgate@sha256:0", "poll_s": 0.05}
        path = tmp_path / "profile.yaml"
        path.write_text(yaml.safe_dump(profile | fields))
        return KubeflowExecutor(Options(profile=str(path)))

    return make


@pytest.fixture
def start(tmp_path):
    """Makes a run and its record, as ``run-pipeline`` does."""

    def make(pipeline):
        run = Run(tmp_path / "runs", pipeline.name, runs.new_run_id(tmp_path / "runs"))
        record = {
            "format": runs.RUN_FORMAT,
            "run": run.id,
            "pipeline": pipeline.name,
            "state": "pending",
            "reason": "",
            "commit": "c0ffee",
            "created_at": runs.now(),
            "ended_at": None,
            "duration_s": None,
            "tasks": initial_tasks(pipeline),
        }
        run.write(record)
        return run, record

    return make
