"""The definition: what is sent, compared whole; each rule by an example; what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline_parameters import AedParameters
from pipelines import aed
from soundgate.executors.kubeflow.compile import render
from soundgate.executors.kubeflow.profile import Profile
from soundgate.parameters import load

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden" / "aed.kubeflow.yaml"
SITE = Profile(
    image=f"registry.example/soundgate@sha256:{'0' * 64}",
    files="s3://pipelines/files",
    pipeline_root="s3://pipelines/artifacts",
    mlflow_tracking_uri="http://mlflow.mlflow:5000",
)


@pytest.fixture(scope="module")
def declared():
    config = ROOT / "tests" / "golden" / "user_config.yaml"
    assignments = ("training.epochs=40", "dataset_path=data/ESC 10")
    return aed.get_pipeline(load(AedParameters, config=config, assignments=assignments))


def test_the_definition_is_what_it_was(declared, update_golden):
    text = str(render(declared, SITE))
    assert text == str(render(declared, SITE)), "rendering is not deterministic"
    # a patch release of kfp changes its name, and nothing else
    steady = re.sub(r"^sdkVersion: kfp-.*$", "sdkVersion: kfp", text, flags=re.MULTILINE)
    if update_golden:
        GOLDEN.write_text(steady, "utf-8")
    assert steady == GOLDEN.read_text("utf-8"), (
        "the definition changed; if on purpose: --update-golden"
    )
