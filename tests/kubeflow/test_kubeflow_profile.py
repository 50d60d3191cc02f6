"""A site's profile: what is refused, and what comes along."""

from __future__ import annotations

import ast
import inspect
import itertools
from pathlib import Path

import pytest
import yaml

from soundgate.errors import ConfigError
from soundgate.executors import load as load_executor
from soundgate.executors.base import Options
from soundgate.executors.kubeflow.profile import Profile, load

ROOT = Path(__file__).resolve().parents[2]
SECTIONS = {
    "Profile": "The profile",
    "Pool": "`cpu`, `gpu`",
    "Toleration": "`tolerations`",
    "Secret": "`secrets`",
    "Volume": "`volumes`",
}


def tables() -> str:
    """Every field of a profile with what its docstring says, as Markdown."""
    tree = ast.parse(Path(inspect.getfile(Profile)).read_text("utf-8"))
    classes = {node.name: node.body for node in tree.body if isinstance(node, ast.ClassDef)}
    found = []
    for name, title in SECTIONS.items():
        rows = ["| field | meaning |", "| --- | --- |"]
        for field, text in itertools.pairwise(classes[name]):
            if isinstance(field, ast.AnnAssign):
                about = " ".join(text.value.value.split()).replace("``", "`")
                rows.append(f"| `{field.target.id}` | {about} |")
        found.append("\n".join([f"### {title}", "", *rows]))
    return "\n\n".join(found) + "\n"


def test_every_field_is_documented():
    assert (ROOT / "docs" / "kubeflow.md").read_text("utf-8").endswith(tables())


@pytest.mark.parametrize("path", sorted((ROOT / "infra" / "kubeflow").glob("*.yaml")), ids=str)
def test_the_profiles_that_come_along_are_valid(path):
    assert load(str(path)) != Profile()


def test_without_a_profile_there_is_no_image_to_submit_with():
    assert "CHANGE_ME" in load("").image


def test_defaults_of_parameters_are_the_executor_s(tmp_path):
    path = tmp_path / "site.yaml"
    path.write_text("parameters: {store: s3://b/store}\n")
    executor = load_executor("kubeflow", Options(profile=str(path)))
    assert executor.parameter_defaults == {"store": "s3://b/store"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("image: [a", "is not YAML"),
        ("- image", "expected fields with values"),
        ("imag: x", "unknown field imag; did you mean 'image'?"),
        ("gpu: {node_selectors: {}}", "gpu.node_selectors; did you mean 'node_selector'?"),
        ("gpu: {tolerations: [{keys: a}]}", "gpu.tolerations.0.keys; did you mean 'key'?"),
        ("secrets: [{name: a, keys: {}}]", "secrets.0.keys: Dictionary should have at least 1"),
        ("pipeline_root: /data", "pipeline_root: expected s3://..., minio://"),
        ("files: store", "files: expected s3://bucket/prefix or an absolute folder, got 'store'"),
        ("files: /data/in", "files: /data/in is on none of the volumes"),
        ("{files: /data/in, volumes: [{claim: c, at: /da}]}", "is on none of the volumes"),
        ("checkpoints: /data/c", "checkpoints: /data/c is on none of the volumes"),
        ("host: kubeflow.example", "host: expected http://... or https://..., got 'kubeflow.ex"),
        ("host: ''", "host: expected http://... or https://..., got ''"),
        ("volumes: [{claim: c, at: data}]", "volumes.0.at: expected an absolute path, got 'data'"),
        ("image: ''", "image: String should have at least 1 character"),
        ("poll_s: .inf", "poll_s: Input should be a finite number, got inf"),
        ("retry_wait_s: -1", "retry_wait_s: Input should be greater than or equal to 0, got -1"),
    ],
)
def test_a_mistake_is_one_line_with_the_field(tmp_path, text, told):
    path = tmp_path / "site.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(str(path))
    assert str(caught.value).startswith(f"--profile {path}: ")
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_profile_that_is_not_there_is_said():
    with pytest.raises(ConfigError, match=r"--profile none\.yaml: cannot be read: No such file"):
        load("none.yaml")


def test_folders_on_a_volume_are_taken(tmp_path):
    path = tmp_path / "site.yaml"
    fields = {
        "files": "/shared/in",
        "checkpoints": "/shared/checkpoints",
        "volumes": [{"claim": "team", "at": "/shared"}],
    }
    path.write_text(yaml.safe_dump(fields))
    assert load(str(path)).volumes[0].claim == "team"
