"""The registry on an embedded sqlite file and on a real MLflow server process."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import jsonschema
import pytest
import servers

from soundgate.errors import DataError, RegistryError, Stopped
from soundgate.gates import Verdict
from soundgate.registry.candidates.registration import register_candidate
from soundgate.registry.candidates.signatures import patch_signature
from soundgate.registry.review import evidence
from soundgate.registry.service.connection import Registry, tracking_uri
from soundgate.registry.service.tracking import tracked_run
from soundgate.registry.versions.lookup import find

pytest_plugins = ["review_fixtures"]
pytestmark = pytest.mark.usefixtures("own_environment")

ENTRY_SCHEMA = json.loads(
    (Path(__file__).resolve().parents[1] / "docs/schemas/entry.schema.json").read_text("utf-8")
)
VERDICTS = [
    {
        "metric": "clip_accuracy",
        "value": 0.83,
        "bound": "at_least",
        "threshold": 0.8,
        "passed": True,
        "message": "",
    },
    {
        "metric": "patch_accuracy",
        "value": 0.6,
        "bound": "at_least",
        "threshold": 0.7,
        "passed": False,
        "message": "low",
    },
]


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A folder with a new registry, used embedded first and served later."""
    folder = tmp_path_factory.mktemp("registry")
    registry = Registry(tracking_uri(folder))
    with tracked_run(registry, "embedded-1", params={"epochs": 2}) as run:
        report = folder / "report"
        report.mkdir()
        (report / "evaluation.json").write_text("{}")
        run.log_artifacts(report, "report")
    shutil.copy(folder / "mlflow.db", folder / "new.db")  # making the schema takes seconds
    return folder


@pytest.fixture(scope="module")
def server(root):
    """An MLflow server on the file that was used embedded."""
    with servers.mlflow(root, tracking_uri(root)) as url:
        yield url


@pytest.fixture(params=["embedded", pytest.param("server", marks=pytest.mark.slow)])
def registry(request, root, tmp_path) -> Registry:
    """A registry with an experiment of its own."""
    if request.param == "server":
        return Registry(request.getfixturevalue("server"), experiment=tmp_path.name)
    shutil.copy(root / "new.db", tmp_path / "mlflow.db")
    return Registry(tracking_uri(tmp_path), experiment=tmp_path.name)


@pytest.fixture
def folders(tmp_path) -> dict[str, Path]:
    """A model and a report as steps write them."""
    model, report = tmp_path / "model", tmp_path / "report"
    model.mkdir()
    (model / "model.json").write_text('{"classes": ["dog", "rain"]}')
    (model / "weights.safetensors").write_bytes(b"weights")
    (report / "plots").mkdir(parents=True)
    (report / "evaluation.json").write_text('{"clip_accuracy": 0.83}')
    (report / "plots" / "confusion.svg").write_text("<svg/>")
    return {"model": model, "report": report}


def register(registry, folders, run: str, **changes) -> dict[str, str]:
    given = {
        "name": f"aed-{registry.experiment}",
        "provenance": {"run": run, "commit": "abc123", "dataset": "d" * 64, "pipeline": "aed"},
        "verdicts": VERDICTS,
        "signature": patch_signature(mel_bands=64, classes=2),
        "metrics": {"clip_accuracy": 0.83, "patch_accuracy": 0.6},
    }
    given |= changes
    given["verdicts"] = [Verdict.from_json(fields) for fields in given["verdicts"]]
    return register_candidate(registry, **folders, **given)


# Tracking


def test_training_and_a_later_task_write_to_one_run(registry):
    with tracked_run(registry, "aed-1", params={"epochs": 2}, tags={"engine": "local"}) as run:
        for epoch, loss in enumerate([0.9, 0.4]):
            run.log_metrics({"loss": loss, "validation accuracy": 1 - loss}, step=epoch)
    other = Registry(registry.uri, experiment=registry.experiment)
    with tracked_run(other, "aed-1", params={"epochs": 2}) as again:
        assert again.id == run.id
        assert other.client.get_run(run.id).info.status == "RUNNING"
    with tracked_run(other, "aed-2") as another:
        assert another.id != run.id
    found = other.client.get_run(run.id)
    assert found.info.status == "FINISHED"
    assert found.data.params == {"epochs": "2"}
    assert found.data.tags["engine"] == "local"
    assert found.data.tags["soundgate.run"] == "aed-1"
    history = other.client.get_metric_history(run.id, "loss")
    assert [(point.step, point.value) for point in history] == [(0, 0.9), (1, 0.4)]


def test_an_epoch_is_one_request(registry, monkeypatch):
    calls = []
    with tracked_run(registry, "aed-1") as run:
        counted = CountedClient(registry.client, calls)
        monkeypatch.setitem(registry.__dict__, "client", counted)
        run.log_metrics({f"recall {number}": 0.5 for number in range(300)}, step=1)
    assert calls == ["log_batch", "set_terminated"]
    run.log_params({f"p{number}": number for number in range(150)})  # MLflow takes 100 at once
    assert len(registry.client.get_run(run.id).data.params) == 150


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError("x"), "FAILED"), (Stopped("time"), "KILLED")]
)
def test_how_a_run_ended_is_recorded(registry, error, status):
    with (
        pytest.raises(type(error)),
        tracked_run(registry, "aed-1") as run,
    ):
        raise error
    assert registry.client.get_run(run.id).info.status == status


def test_a_run_given_by_the_engine_is_used(registry, monkeypatch):
    given = registry.client.create_run(registry.experiment_id).info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", given)
    with tracked_run(registry, "aed-1") as run:
        assert run.id == given
    monkeypatch.delenv("MLFLOW_RUN_ID")
    with tracked_run(registry, "aed-1") as run:
        assert run.id == given  # it was tagged
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    with (
        pytest.raises(RegistryError, match=r"MLflow at .* not found"),
        tracked_run(registry, "x"),
    ):
        pass


def test_a_parameter_is_not_changed(registry):
    with tracked_run(registry, "aed-1", params={"epochs": 2}):
        pass
    with (
        pytest.raises(RegistryError, match="epochs") as caught,
        tracked_run(registry, "aed-1", params={"epochs": 3}),
    ):
        pass
    assert "\n" not in str(caught.value)


START = """
import sys
from pathlib import Path
from soundgate.registry.candidates.registration import register_candidate
from soundgate.registry.service.connection import Registry, tracking_uri
from soundgate.registry.candidates.signatures import patch_signature
from soundgate.registry.service.tracking import tracked_run
registry = Registry(tracking_uri(Path(sys.argv[1])))
with tracked_run(registry, "aed-1") as run:
    run.log_metrics({"loss": 0.5}, step=int(sys.argv[2]))
done = register_candidate(registry, name="aed", model=Path(sys.argv[1], "model"),
    report=Path(sys.argv[1], "report"), provenance={"run": "aed-1"}, verdicts=[], metrics={},
    signature=patch_signature(64, 2))
print(run.id, done.run_id, done.version)
"""


@pytest.mark.slow
def test_processes_that_start_at_once_share_a_new_registry(tmp_path, folders):
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", START, tmp_path, str(number)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    told = [process.communicate() for process in processes]
    assert [error for _, error in told] == ["", "", "", ""]  # and nothing of MLflow's chatter
    assert len({out for out, _ in told}) == 1
    run_id, registered_run_id, version = told[0][0].split()
    assert run_id == registered_run_id
    assert version == "1"
    registry = Registry(tracking_uri(tmp_path))
    assert len(registry.client.get_metric_history(run_id, "loss")) == 4
    assert len(registry.client.search_model_versions("name = 'aed-candidates'")) == 1


def test_a_server_started_later_serves_what_was_kept_embedded(root, server):
    client = Registry(server).client
    (run,) = client.search_runs(["1"], "tags.`soundgate.run` = 'embedded-1'")
    assert run.info.artifact_uri.startswith((root / "mlartifacts").as_uri())
    url = f"{server}/get-artifact?path=report/evaluation.json&run_uuid={run.info.run_id}"
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"{}"


# Candidates


def test_a_candidate_carries_what_a_reviewer_needs(registry, folders, tmp_path):
    with tracked_run(registry, "aed-1") as run:
        pass
    done = register(registry, folders, "aed-1")
    name = f"aed-{registry.experiment}-candidates"
    jsonschema.validate(done.as_json(), ENTRY_SCHEMA)
    assert done.as_json() == {
        "format": "soundgate.entry/1",
        "name": name,
        "version": "1",
        "run_id": run.id,
        "model_uri": f"models:/{name}/1",
        "tracking_uri": registry.uri,
    }
    client = registry.client
    version = client.get_model_version_by_alias(name, "candidate")
    assert str(version.version) == "1"
    assert version.run_id == run.id
    digest = version.tags.pop("model.digest")
    assert len(digest) == 64
    kept = json.loads(version.tags.pop("gates.verdicts"))
    assert kept == [Verdict.from_json(fields).as_json() for fields in VERDICTS]
    assert version.tags == {
        "dataset.digest": "d" * 64,
        "gate.clip_accuracy": "pass",
        "gate.patch_accuracy": "fail",
        "git.commit": "abc123",
        "metric.clip_accuracy": "0.83",
        "metric.patch_accuracy": "0.6",
        "pipeline.name": "aed",
        "pipeline.run": "aed-1",
        "report.digest": hashlib.sha256(b'{"clip_accuracy": 0.83}').hexdigest(),
        "report.path": "report/evaluation.json",
        "review.status": "pending",
    }
    assert "| patch_accuracy | 0.6 | ≥ 0.7 | missed |" in version.description
    found = client.get_run(run.id)
    assert f"runs/{run.id}/artifacts/report/evaluation.json" in version.description
    assert found.data.metrics == {"clip_accuracy": 0.83, "patch_accuracy": 0.6}
    model_id = version.source.removeprefix("models:/")
    assert [output.model_id for output in found.outputs.model_outputs] == [model_id]
    logged = client.get_logged_model(model_id)
    assert logged.status == "READY"
    assert {metric.key: metric.value for metric in logged.metrics} == found.data.metrics
    paths = [entry.path for entry in client.list_artifacts(run.id, "report")]
    assert sorted(paths) == ["report/evaluation.json", "report/plots"]


def test_mlflow_reads_the_model_and_its_signature_back(registry, folders, tmp_path):
    import mlflow.models
    import numpy as np

    done = register(registry, folders, "aed-1")
    with registry.as_process_wide():
        local = Path(mlflow.artifacts.download_artifacts(done.model_uri, dst_path=str(tmp_path)))
    assert (local / "weights.safetensors").read_bytes() == b"weights"
    model = mlflow.models.Model.load(str(local / "MLmodel"))
    assert model.flavors["soundgate"]["weights"] == "weights.safetensors"
    (given,), (returned,) = model.signature.inputs.inputs, model.signature.outputs.inputs
    assert (given.name, given.shape, given.type) == ("patches", (-1, 1, 64, -1), np.float32)
    assert (returned.name, returned.shape, returned.type) == ("scores", (-1, 2), np.float32)


def test_a_run_registers_once_and_the_review_stays(registry, folders):
    done = register(registry, folders, "aed-1")
    registry.client.set_model_version_tag(done.name, "1", "review.status", "approved")
    (folders["model"] / "weights.safetensors").write_bytes(b"others")
    second = register(registry, folders, "aed-2")
    assert second.version == "2"
    assert second.run_id != done.run_id
    (folders["model"] / "weights.safetensors").write_bytes(b"weights")
    assert register(registry, folders, "aed-1") == done
    versions = registry.client.search_model_versions(f"name = '{done.name}'")
    assert sorted(int(version.version) for version in versions) == [1, 2]
    first = registry.client.get_model_version(done.name, "1")
    assert first.tags["review.status"] == "approved"
    # an old run that is repeated does not take the alias back
    at = registry.client.get_model_version_by_alias(done.name, "candidate")
    assert int(at.version) == 2


def test_a_run_does_not_register_other_bytes(registry, folders):
    register(registry, folders, "aed-1")
    (folders["model"] / "weights.safetensors").write_bytes(b"other")
    with pytest.raises(
        RegistryError, match=r"run 'aed-1' has already registered a different model, as .* 1;"
    ):
        register(registry, folders, "aed-1")


class Killed(BaseException):
    """Stands for a signal between two calls."""


class CountedClient:
    """A client that notes its calls, and after ``most`` of them is killed."""

    def __init__(self, client, calls: list[str], most: int = 1000) -> None:
        self._client, self._calls, self._most = client, calls, most

    def __getattr__(self, name: str):
        method = getattr(self._client, name)

        def called(*args, **options):
            try:
                return method(*args, **options)
            finally:
                self._calls.append(name)
                if len(self._calls) == self._most:
                    raise Killed

        return called


def test_the_same_bytes_and_verdicts_are_one_candidate_whichever_run_made_them(registry, folders):
    done = register(registry, folders, "aed-1")
    again = register(registry, folders, "aed-2")
    assert (again.version, again.model_uri) == (done.version, done.model_uri)
    judged_otherwise = [{**VERDICTS[0], "threshold": 0.5}, VERDICTS[1]]
    assert register(registry, folders, "aed-3", verdicts=judged_otherwise).version == "2"


def test_a_register_that_is_killed_anywhere_is_finished_by_the_next(registry, folders, monkeypatch):
    client, _ = registry.client, registry.experiment_id
    every = 3 if registry.uri.startswith("http") else 1  # a server is slower
    for most in range(1, 40, every):
        run, calls = f"aed-{most}", []
        (folders["model"] / "weights.safetensors").write_bytes(run.encode())
        monkeypatch.setitem(registry.__dict__, "client", CountedClient(client, calls, most))
        try:
            done = register(registry, folders, run)
        except Killed:
            finished = False
        else:
            finished = True
        monkeypatch.setitem(registry.__dict__, "client", client)
        done = register(registry, folders, run)
        found = client.search_model_versions(
            f"name = '{done.name}' and tags.`pipeline.run` = '{run}'"
        )
        assert [str(version.version) for version in found] == [done.version], calls
        at = client.get_model_version_by_alias(done.name, "candidate")
        assert str(at.version) == done.version
        of_run = client.search_runs([registry.experiment_id], f"tags.`soundgate.run` = '{run}'")
        assert [tracked.info.run_id for tracked in of_run] == [done.run_id], calls
        logged = client.search_logged_models(
            [registry.experiment_id], f"tags.`soundgate.run` = '{run}'"
        )
        assert [model.status for model in logged] == ["READY"], calls
        assert len(of_run[0].outputs.model_outputs) == 1, calls
        assert len(client.get_metric_history(done.run_id, "clip_accuracy")) == 1, calls
        if finished:
            break
    assert finished
    assert most > 10


@pytest.mark.parametrize(
    ("removed", "added", "message"),
    [
        ("model/model.json", None, r"model\.json is missing"),
        ("report/evaluation.json", None, r"evaluation\.json is missing"),
        (None, "model/net.pt", r"net\.pt may run code when it is read"),
    ],
)
def test_what_cannot_be_a_candidate_is_refused(folders, tmp_path, removed, added, message):
    if removed:
        (tmp_path / removed).unlink()
    if added:
        (tmp_path / added).touch()
    with pytest.raises(DataError, match=message):
        register(Registry("sqlite:///none.db"), folders, "aed-1")


def test_a_candidate_needs_its_run(folders):
    with pytest.raises(RegistryError, match="provenance must contain 'run'"):
        register(Registry("sqlite:///none.db"), folders, "")


def test_two_gates_on_one_metric_pass_together(registry, folders):
    high = {**VERDICTS[0], "bound": "at_least", "threshold": 0.9, "passed": False}
    done = register(registry, folders, "aed-1", verdicts=[high, VERDICTS[0]])
    version = registry.client.get_model_version(done.name, done.version)
    assert version.tags["gate.clip_accuracy"] == "fail"


def two_reports() -> list[dict]:
    names = ("evaluate-desed/report", "evaluate-maestro/report")
    return [
        {**VERDICTS[0], "report": name, "passed": passed, "value": 0.9 if passed else 0.1}
        for name, passed in zip(names, (True, False), strict=True)
    ]


def test_verdicts_on_two_reports_of_one_name_are_kept_apart(registry, folders):
    done = register(registry, folders, "aed-1", verdicts=two_reports())
    version = find(registry, done.name, done.version)
    metric = VERDICTS[0]["metric"]
    assert evidence.gates(version) == {
        f"{metric} of evaluate-desed/report": "pass",
        f"{metric} of evaluate-maestro/report": "fail",
    }
    assert evidence.verdicts(version) == [Verdict.from_json(told) for told in two_reports()]
    assert f"it missed its gates: {metric} of evaluate-maestro/report" in evidence.doubts(version)
    text = registry.client.get_model_version(done.name, done.version).description
    assert f"| {metric} of evaluate-maestro/report | 0.1 |" in text
    again = register(registry, folders, "aed-2", verdicts=two_reports())
    assert again.version == done.version


def test_verdicts_that_name_no_report_still_read_and_are_the_same_evidence(registry, folders):
    """As versions have them that were registered before 2026-12."""
    done = register(registry, folders, "aed-1", verdicts=VERDICTS)
    older = json.dumps(VERDICTS)
    registry.client.set_model_version_tag(done.name, done.version, "gates.verdicts", older)
    version = find(registry, done.name, done.version)
    assert [verdict.value for verdict in evidence.verdicts(version)] == [0.83, 0.6]
    assert evidence.gates(version) == {"clip_accuracy": "pass", "patch_accuracy": "fail"}
    told = [{**verdict, "report": "evaluate/report", "low": None} for verdict in VERDICTS]
    assert register(registry, folders, "aed-2", verdicts=told).version == done.version
    other = [told[0] | {"value": 0.5}, told[1]]
    assert register(registry, folders, "aed-3", verdicts=other).version == "2"


# Addresses and failures


def test_the_environment_decides_where(tmp_path, monkeypatch):
    assert tracking_uri(tmp_path) == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.chdir(tmp_path)
    assert tracking_uri(Path()) == f"sqlite:///{tmp_path}/mlflow.db"
    assert Registry(tracking_uri(Path())).artifact_location == f"file://{tmp_path}/mlartifacts"
    assert Registry("http://host", "s3://bucket/x").artifact_location == "s3://bucket/x"
    assert Registry("http://host", "files").artifact_location == f"file://{tmp_path}/files"
    assert Registry("http://host").artifact_location is None
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert tracking_uri(tmp_path) == "http://127.0.0.1:5000"


def test_registering_leaves_the_environment_as_it_was(registry, folders):
    register(registry, folders, "aed-1")
    assert "MLFLOW_TRACKING_URI" not in os.environ


def test_a_quote_in_a_run_is_refused(registry):
    with (
        pytest.raises(RegistryError, match="use a name without quotes"),
        tracked_run(registry, "it's"),
    ):
        pass
