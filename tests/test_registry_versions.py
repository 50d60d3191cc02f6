"""Versions of registered models: found, fetched whole and checked, loaded by MLflow alone."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import onnx
import pytest
from onnx import TensorProto, helper

from soundgate.errors import RegistryError
from soundgate.registry.candidates.registration import register_candidate
from soundgate.registry.candidates.signatures import signature_of, waveform_signature
from soundgate.registry.service.connection import Registry
from soundgate.registry.versions.lookup import all_versions, download, find, get

if TYPE_CHECKING:
    from pathlib import Path

pytest_plugins = ["review_fixtures"]
pytestmark = pytest.mark.usefixtures("own_environment")


def program() -> onnx.ModelProto:
    """A graph of the exported kind: the mean of a waveform and its negative are the scores."""
    nodes = [
        helper.make_node("ReduceMean", ["waveform", "axis"], ["mean"], keepdims=1),
        helper.make_node("Neg", ["mean"], ["negative"]),
        helper.make_node("Concat", ["mean", "negative"], ["scores"], axis=1),
        helper.make_node("Unsqueeze", ["scores", "axis"], ["patch_scores"]),
        helper.make_node("Cast", ["mean"], ["whole"], to=TensorProto.INT64),
        helper.make_node("Squeeze", ["whole", "axis"], ["patches"]),
    ]
    outputs = {"scores": ["b", 2], "patch_scores": ["b", "p", 2]}
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("waveform", TensorProto.FLOAT, ["b", "s"])],
        [
            *(helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs.items()),
            helper.make_tensor_value_info("patches", TensorProto.INT64, ["b"]),
        ],
        [helper.make_tensor("axis", TensorProto.INT64, [1], [1])],
    )
    opset = [helper.make_opsetid("", 18)]
    return helper.make_model(graph, opset_imports=opset, ir_version=10)


@pytest.fixture
def registry(embedded, tmp_path) -> Registry:
    """A registry with one candidate that carries an ONNX program."""
    model, exported, report = (tmp_path / name for name in ("m", "x", "r"))
    for folder in (model, exported / "board", report):
        folder.mkdir(parents=True)
    (model / "model.json").write_text("{}")
    (model / "weights.safetensors").write_bytes(b"w")
    (exported / "export.json").write_text("{}")
    (exported / "board" / "labels.txt").write_text("dog\nrain\n")
    onnx.save(program(), exported / "model.onnx")
    (report / "evaluation.json").write_text("{}")
    register_candidate(
        embedded.registry,
        model=model,
        exported=exported,
        report=report,
        name="aed",
        provenance={"run": "r1", "dataset": "5" * 64, "dataset.name": "rain and dogs"},
        verdicts=[],
        signature=replace(waveform_signature(2), classes=("dog", "rain"), rate_hz=8_000),
        metrics={},
    )
    return embedded.registry


def test_a_version_is_found_by_alias_and_number(registry):
    found = get(registry, "aed-candidates", "candidate")
    assert found == find(registry, "aed-candidates", "1")
    assert (found.version, found.aliases, found.uri) == (
        "1",
        ("candidate",),
        "models:/aed-candidates/1",
    )
    assert all_versions(registry, "aed-candidates") == [found]
    assert all_versions(registry, "aed") == []
    for name, which in (("aed", "champion"), ("aed-candidates", "champion"), ("aed", "1")):
        assert find(registry, name, which) is None


@pytest.mark.parametrize(
    ("name", "which", "said"),
    [
        ("aed-candidate", "1", "has no model 'aed-candidate'; did you mean 'aed-candidates'?"),
        ("aed-candidates", "candidat", "no alias 'candidat'; did you mean 'candidate'?"),
        ("aed-candidates", "9", "has no version 9; there are: 1"),
    ],
)
def test_what_is_not_there_is_named(registry, name, which, said):
    with pytest.raises(RegistryError) as error:
        get(registry, name, which)
    assert said in str(error.value)


def test_a_registry_that_does_not_exist_is_not_made(tmp_path):
    nowhere = Registry(f"sqlite:///{tmp_path}/none/mlflow.db")
    assert find(nowhere, "aed", "champion") is None
    assert all_versions(nowhere, "aed") == []
    with pytest.raises(RegistryError, match="no registry at"):
        get(nowhere, "aed", "champion")
    assert not (tmp_path / "none").exists()


def test_the_model_s_own_files_are_fetched(registry, tmp_path):
    (tmp_path / "out").mkdir()  # empty, as a step's output
    download(registry, get(registry, "aed-candidates", "1"), tmp_path / "out")
    found = {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.*")}
    assert found == {
        "model.json",
        "weights.safetensors",
        "export/export.json",
        "export/model.onnx",
        "export/board/labels.txt",
    }
    with pytest.raises(RegistryError, match="is not empty"):
        download(registry, get(registry, "aed-candidates", "1"), tmp_path / "out")


def change(folder: Path) -> None:
    (folder / "weights.safetensors").write_bytes(b"W")


def remove(folder: Path) -> None:
    (folder / "export" / "board" / "labels.txt").unlink()


def swap(folder: Path) -> None:
    (folder / "weights.safetensors").rename(folder / "export" / "weights.safetensors")


def lay_a_pickle(folder: Path) -> None:
    (folder / "export" / "extra.PKL").write_bytes(b"x")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (change, "its files differ from the registered ones"),
        (remove, "its files differ from the registered ones"),
        (swap, "its files differ from the registered ones"),
        (lay_a_pickle, "may run code when it is read"),
    ],
)
def test_other_files_are_never_handed_out(registry, tmp_path, damage, said):
    [folder] = (tmp_path / "mlartifacts" / "models").glob("*/artifacts")
    damage(folder)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(RegistryError, match=said):
        download(registry, get(registry, "aed-candidates", "1"), tmp_path / "out")
    assert sorted(tmp_path.iterdir()) == before


def test_a_version_without_a_digest_is_refused(registry, tmp_path):
    registry.client.delete_model_version_tag("aed-candidates", "1", "model.digest")
    with pytest.raises(RegistryError, match=r"has no tag model\.digest"):
        download(registry, get(registry, "aed-candidates", "1"), tmp_path / "out")


LOAD = """
import sys
import mlflow, numpy as np
mlflow.set_tracking_uri(sys.argv[1])
waveform = np.full((3, 500), 2.0, np.float32)
given = mlflow.pyfunc.load_model("models:/aed-candidates@candidate")
assert given.metadata.metadata == {"classes": ["dog", "rain"], "sample_rate_hz": 8000}
example = given.input_example
assert [(name, each.shape) for name, each in example.items()] == [("waveform", (1, 800))]
assert given.predict(example)["scores"].tolist() == [[0.0, 0.0]]
found = given.predict({"waveform": waveform})
assert list(given.metadata.get_output_schema().input_names()) == list(found)
assert [found["scores"].shape, found["patch_scores"].shape] == [(3, 2), (3, 1, 2)]
print(found["scores"][0].tolist(), found["patches"].tolist())
print(mlflow.onnx.load_model("models:/aed-candidates@candidate").graph.input[0].name)
assert not [name for name in sys.modules if name.split(".")[0] in ("soundgate", "torch")]
"""


def test_mlflow_alone_runs_the_exported_program(registry, tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", LOAD, registry.uri],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"},
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == ["[2.0, -2.0] [2, 2, 2]", "waveform"]
    assert "WARNING mlflow" not in ended.stderr, "nothing is missing on a machine without a GPU"


def test_mlflow_shows_the_data_set_as_an_input_of_the_run(registry):
    client = registry.client
    version = client.get_model_version_by_alias("aed-candidates", "candidate")
    [given] = client.get_run(version.run_id).inputs.dataset_inputs
    shown = given.dataset
    assert (shown.name, shown.digest, shown.source_type) == ("rain and dogs", "5" * 36, "soundgate")
    assert json.loads(shown.source) == {"dataset.digest": "5" * 64}
    assert [(tag.key, tag.value) for tag in given.tags] == [("mlflow.data.context", "training")]


def test_a_signature_knows_class_names_and_rate(tmp_path):
    fields = {"classes": ["dog", "rain"], "input": {"n_mels": 64}, "sample_rate_hz": 16_000}
    (tmp_path / "model.json").write_text(json.dumps(fields))
    for exported, name in ((None, "patches"), (tmp_path, "waveform")):
        found = signature_of(tmp_path, exported)
        assert (found.input.name, found.classes, found.rate_hz) == (name, ("dog", "rain"), 16_000)
