"""Tracking a training while it runs: it may fail, the training may not."""

from __future__ import annotations

import builtins

import pytest

from soundgate.errors import RegistryError
from soundgate.registry.service import epochs
from soundgate.runs import Context

PARAMETERS = {"epochs": 2, "model": {"name": "plain"}}


@pytest.fixture
def task(tmp_path, monkeypatch):
    """Stand where the training of run r1 stands."""

    def stand(name: str = "train") -> None:
        context = Context(task=name, run="r1", pipeline="aed", commit="abc", root=str(tmp_path))
        for variable, value in context.environment().items():
            monkeypatch.setenv(variable, value)

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    stand()
    return stand


def runs_of(folder):
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiments = [e.experiment_id for e in client.search_experiments()]
    found = client.search_runs(experiments)
    return client, {run.data.tags["soundgate.run"]: run for run in found}


def test_epochs_become_steps_of_a_curve_and_parameters_keep_dotted_names(task, tmp_path):
    with epochs.epoch_log(PARAMETERS) as log:
        log(1, {"loss": 2.5})
        log(2, {"loss": 1.25})
    client, found = runs_of(tmp_path)
    run = found["r1"]
    assert run.data.params == {"epochs": "2", "model.name": "plain"}
    assert run.data.tags["git.commit"] == "abc"
    curve = client.get_metric_history(run.info.run_id, "loss")
    assert [(point.step, point.value) for point in curve] == [(1, 2.5), (2, 1.25)]
    assert run.info.status == "FINISHED"


def test_an_element_of_a_map_has_curves_of_its_own(task, tmp_path):
    for name in ("train-1", "train-2"):
        task(name)
        with epochs.epoch_log({}) as log:
            log(1, {"loss": 1.0})
    assert set(runs_of(tmp_path)[1]) == {"r1/train-1", "r1/train-2"}


def test_a_tracker_that_fails_on_the_way_is_left_behind(capsys):
    class Failing:
        calls = 0

        def log_metrics(self, figures, *, step):
            self.calls += 1
            raise RegistryError("the server went away")

    failing = Failing()
    log = epochs.EpochLog(failing)
    log(1, {"loss": 1.0})
    log(2, {"loss": 0.5})
    assert failing.calls == 1
    said = "tracking ends here, training goes on: the server went away\n"
    assert capsys.readouterr().out == said


def test_without_mlflow_the_training_goes_on(task, monkeypatch, capsys):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.split(".")[0] == "mlflow":
            raise ModuleNotFoundError("No module named 'mlflow'", name="mlflow")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with epochs.epoch_log({}) as log:
        log(1, {"loss": 1.0})
    said = capsys.readouterr().out
    assert said.startswith("the training is not tracked: mlflow is not installed; pip install")


def test_only_the_first_process_tracks_and_a_step_by_hand_does_not(task, tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    with epochs.epoch_log({}) as log:
        log(1, {"loss": 1.0})
    monkeypatch.setenv("RANK", "0")
    for name in ("SOUNDGATE_ROOT", "SOUNDGATE_RUN"):
        monkeypatch.delenv(name)
    with epochs.epoch_log({}) as log:
        log(1, {"loss": 1.0})
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_training_itself_is_not_swallowed(task):
    with pytest.raises(ValueError, match="the loss left the numbers"), epochs.epoch_log({}):
        raise ValueError("the loss left the numbers")
