"""Predicting the clips of a test split gives the scores that evaluation gave, by every runtime."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import soundfile
from reading_tables import predict, rows, scores
from toy_model import sound

from soundgate.audio import export
from soundgate.audio.classification import evaluation, inference
from soundgate.audio.classification.fit import fit
from soundgate.audio.config import UserConfig
from soundgate.audio.datasets import prepare
from soundgate.audio.datasets.base import Source
from soundgate.audio.extraction.log_mel import extract
from soundgate.audio.formats.feature_set import read_features

pytestmark = pytest.mark.slow

EXACT = {"rtol": 0, "atol": 2e-6}  # six decimals are kept


@pytest.fixture(scope="module", params=[False, True], ids=["one class", "multi-label"])
def evaluated(request, tmp_path_factory):
    """A data set with silence, short clips and too long ones; a trained model; its evaluation."""
    root = tmp_path_factory.mktemp("evaluated")
    multi_label = request.param
    lines = ["filename,category"]
    for number in range(24):
        label = ("dog", "rain", "other")[number % 3]
        wave = sound((0.3, 1.0, 1.7, 2.6)[number % 4], seed=number) * (1 + number % 3)
        if number % 5 == 0:
            wave[wave.size // 3 : wave.size // 2] = 0.0
        rate_hz = (16_000, 22_050)[number % 2]
        (root / "raw").mkdir(exist_ok=True)
        soundfile.write(root / "raw" / f"{number:02d}.wav", wave, rate_hz)
        both = multi_label and number % 6 == 0
        lines.append(f"{number:02d}.wav,{'dog;rain' if both else label}")
    (root / "raw" / "labels.csv").write_text("\n".join(lines) + "\n")
    prepare("csv", [Source(root / "raw")], root / "clips")
    config = UserConfig.model_validate(
        {
            "dataset": {"n_folds": 2, "validation_split": 0, "multi_label": multi_label},
            "preprocessing": {"min_length": 0.5, "max_length": 2.0},
            "feature_extraction": {"n_mels": 16, "patch_length": 24},
            "training": {"epochs": 2, "precision": "float32", "model": {"width": 0.25}},
        }
    )
    extract(root / "clips", root / "features", config)
    fit(root / "features", root / "model", root / "metrics", config)
    evaluation.evaluate(root / "features", root / "model", root / "report")
    lines = (root / "report" / "predictions.jsonl").read_text().splitlines()
    return root, [json.loads(line) for line in lines]


def test_predicting_the_test_clips_gives_what_evaluation_gave(evaluated, tmp_path):
    root, expected = evaluated
    found = predict(root / "model", root / "clips", tmp_path / "out", format="jsonl")
    begins = {row["path"]: row for row in reversed(found)}  # a long clip's first segment stays
    assert len(expected) >= 8
    for clip in expected:
        row = begins[clip["path"]]
        assert row["start_s"] == 0.0
        given = row["predicted"] if isinstance(row["predicted"], list) else [row["predicted"]]
        assert given == clip["predicted"]
        for label, score in clip["scores"].items():
            assert row[label] == pytest.approx(score, abs=2e-6)
    patches = [row["path"] for row in rows(tmp_path / "out", "patches")]
    short = [clip for clip in expected if begins[clip["path"]]["end_s"] < 2]
    assert short
    assert all(patches.count(clip["path"]) == clip["patches"] for clip in short)


def test_patch_scores_are_evaluations(evaluated, tmp_path):
    root, _ = evaluated
    manifest = root / "clips" / "manifest.jsonl"
    predict(root / "model", root / "clips", tmp_path / "out", manifest=manifest)
    found = rows(tmp_path / "out", "patches")
    opened, classifier = read_features(root / "features"), inference.load(root / "model")
    for row in opened.rows:
        expected = classifier.patch_scores(opened.clip_frames(row))
        own = [patch for patch in found if patch["path"] == row.path][: len(expected)]
        np.testing.assert_allclose(scores(own, opened.info.classes), expected, **EXACT)


# -- exported programs ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def exported(evaluated, tmp_path_factory):
    """The model with its programs, as it comes out of a registry."""
    root, _ = evaluated
    folder = tmp_path_factory.mktemp("exported") / "model"
    shutil.copytree(root / "model", folder)
    config = UserConfig.model_validate({"dataset": {"quantization_split": None}})
    export.write(root / "features", root / "model", folder / "export", config)
    return folder


@pytest.mark.parametrize("evaluated", [False], indirect=True, ids=["one class"])
@pytest.mark.parametrize("alone", [True, False], ids=["network", "whole program"])
@pytest.mark.parametrize("runtime", ["onnx", "int8"])
def test_exported_programs_predict_what_the_network_predicts(
    evaluated, exported, tmp_path, alone, runtime
):
    root, _ = evaluated
    if not alone:
        exported = shutil.copytree(exported, tmp_path / "model")
        for path in (exported / "export").glob("network*"):
            path.unlink()
    audio = root / "clips"
    expected = predict(root / "model", audio, tmp_path / "torch", format="jsonl")
    found = predict(exported, audio, tmp_path / "out", format="jsonl", runtime=runtime)
    keys = ("path", "start_s", "end_s")
    classes = ("dog", "other", "rain")
    for name, wanted in (("clips", expected), ("patches", rows(tmp_path / "torch", "patches"))):
        got = found if name == "clips" else rows(tmp_path / "out", name)
        assert [[row[key] for key in keys] for row in got] == [
            [row[key] for key in keys] for row in wanted
        ]
        tolerance = 2e-4 if runtime == "onnx" else 0.15
        np.testing.assert_allclose(
            scores(got, classes), scores(wanted, classes), rtol=0, atol=tolerance
        )
    assert runtime == "onnx" or (scores(found, classes) != scores(expected, classes)).any()


@pytest.mark.parametrize("evaluated", [False], indirect=True, ids=["one class"])
def test_clips_of_one_length_share_a_batch_of_a_program(evaluated, exported, tmp_path, monkeypatch):
    root, _ = evaluated
    model = shutil.copytree(exported, tmp_path / "model")
    for path in (model / "export").glob("network*"):
        path.unlink()
    audio = root / "clips"
    manifest = audio / "manifest.jsonl"
    expected = predict(model, audio, tmp_path / "one", manifest=manifest, runtime="onnx")
    found = predict(
        model, audio, tmp_path / "out", manifest=manifest, runtime="onnx", batch_size=1, workers=2
    )
    assert [row["path"] for row in found] == [row["path"] for row in expected]
    classes = ("dog", "other", "rain")
    np.testing.assert_allclose(scores(found, classes), scores(expected, classes), atol=2e-5)
