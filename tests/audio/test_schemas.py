"""``docs/schemas/`` is current, and what the programs write is what it says."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import torch
from reading_tables import predict
from toy_features import config, write_features
from toy_model import write_model, write_sound

from soundgate.audio.classification.evaluation import evaluate
from soundgate.audio.classification.fit import fit
from soundgate.audio.clips.manifest import Clip, Event, write_manifest
from soundgate.audio.formats.datasets.card import DatasetCard, write_card
from soundgate.audio.formats.reports.comparison import (
    Champion,
    compare_reports,
    write_comparison,
)
from soundgate.audio.formats.reports.report import read_report
from soundgate.audio.formats.schemas import FORMATS, write_schemas
from soundgate.audio.formats.version import VersionCard, write_version

SCHEMAS = Path(__file__).resolve().parents[2] / "docs" / "schemas"


def test_the_schemas_are_those_of_the_records(tmp_path, update_golden):
    write_schemas(tmp_path)
    if update_golden:
        write_schemas(SCHEMAS)
    assert len(list(tmp_path.iterdir())) == len(FORMATS)
    for made in tmp_path.iterdir():
        assert (SCHEMAS / made.name).read_text("utf-8") == made.read_text("utf-8"), made.name


def check(name, record):
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(record, schema)


def check_file(name, path):
    check(name, json.loads(path.read_text("utf-8")))


def check_rows(name, path):
    rows = path.read_text("utf-8").splitlines()
    assert rows
    for row in rows:
        check(name, json.loads(row))


@pytest.fixture(scope="module", params=[False, True], ids=["single", "multi-label"])
def trained(request, tmp_path_factory):
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("trained")
    features = write_features(folder / "features", multi_label=request.param)
    settings = config(training={"epochs": 1}, data_augmentation={"gain": {}})
    fit(features, folder / "model", folder / "metrics", settings)
    evaluate(features, folder / "model", folder / "report")
    return folder


def test_a_training_and_its_evaluation_fit_the_schemas(trained):
    check_rows("features_row", trained / "features" / "clips.jsonl")
    check_file("model", trained / "model" / "model.json")
    check_rows("split_row", trained / "model" / "split.jsonl")
    check_file("report", trained / "report" / "evaluation.json")
    check_rows("clip_result_row", trained / "report" / "predictions.jsonl")


def test_a_comparison_fits_its_schema(trained, tmp_path):
    report = read_report(trained / "report")
    champion = Champion(name="aed", version="3")
    write_comparison(tmp_path, compare_reports(report, champion, {"clip_accuracy": 0.5}))
    check_file("comparison", tmp_path / "comparison.json")
    write_comparison(tmp_path, compare_reports(report, None, {}))
    check_file("comparison", tmp_path / "comparison.json")


@pytest.mark.parametrize("multi_label", [False, True])
def test_predictions_fit_their_schemas(tmp_path, multi_label):
    model = write_model(tmp_path / "model", multi_label=multi_label)
    write_sound(tmp_path / "audio" / "a.wav", 3.1)
    (tmp_path / "audio" / "b.wav").write_text("no sound")
    predict(model, tmp_path / "audio", tmp_path / "out", format="jsonl")
    check_file("predictions", tmp_path / "out" / "predictions.json")
    check_rows("predicted_clip_row", tmp_path / "out" / "clips.jsonl")
    check_rows("predicted_patch_row", tmp_path / "out" / "patches.jsonl")
    check_rows("failure_row", tmp_path / "out" / "failures.jsonl")


def test_cards_and_manifests_fit_their_schemas(tmp_path):
    write_card(tmp_path, DatasetCard(name="tapes", clips=1, classes=("dog",)).with_fields(rooms=2))
    check_file("dataset", tmp_path / "dataset.json")
    write_version(tmp_path, VersionCard(name="aed", version=None))
    check_file("version", tmp_path / "version.json")
    whole = Clip("a.wav", ("dog",), 1, "test", source="a", events=(Event(0.5, 1.0, "dog"),))
    write_manifest(tmp_path / "manifest.jsonl", [whole, Clip("b.wav", ("dog",), 2, None, 0.5, 1.0)])
    check_rows("manifest_row", tmp_path / "manifest.jsonl")


def test_the_schemas_refuse_what_readers_refuse(trained):
    report = json.loads((trained / "report" / "evaluation.json").read_text("utf-8"))
    wrong = [
        ("report", {key: report[key] for key in report if key != "format"}),
        ("report", report | {"format": "soundgate.report/9"}),
        ("report", report | {"metrics": {"clip accuracy": {"value": 1}}}),
        ("failure_row", {"path": "a.wav", "start_s": None, "end_s": None}),
        ("version", {"format": "soundgate.version/2", "name": "a", "version": "1", "more": 1}),
    ]
    for name, record in wrong:
        with pytest.raises(jsonschema.ValidationError):
            check(name, record)
