"""Predictions of a tagger: what evaluation says of the same clips, by its own thresholds."""

from __future__ import annotations

import json

import numpy as np
import pytest
from reading_tables import predict, rows, scores
from toy_tagger import (
    LABELS,
    LENGTHS_S,
    RATE_HZ,
    THRESHOLDS,
    write_clips,
    write_tagger,
    write_waveforms,
)

from soundgate.audio.classification.tagging import inference
from soundgate.audio.classification.tagging.evaluation import evaluate
from soundgate.audio.files import reading
from soundgate.audio.formats.reports.clip_results import PREDICTIONS, read_results
from soundgate.errors import DataError, ParameterError
from steps.predict import predict as predict_step


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Clips, waveforms and a tagger with drawn weights."""
    folder = tmp_path_factory.mktemp("tagger")
    write_clips(folder / "clips")
    write_waveforms(folder / "waveforms", folder / "clips")
    write_tagger(folder / "model", folder / "waveforms")
    return folder


def test_clips_are_scored_and_decided_as_in_evaluation(made, tmp_path):
    evaluate(made / "waveforms", made / "model", tmp_path / "report")
    expected = {row.path: row for row in read_results(tmp_path / "report" / PREDICTIONS)}
    found = predict(made / "model", made / "clips", tmp_path / "out", format="jsonl", workers=2)
    assert [row["path"] for row in found] == sorted(LENGTHS_S)
    tested = [row for row in found if row["path"] in expected]
    assert len(tested) == len(expected) == 3
    for row in tested:
        own = expected[row["path"]]
        assert [row[label] for label in LABELS] == pytest.approx(
            [own.scores[label] for label in LABELS], abs=1e-5
        )
        assert tuple(row["predicted"]) == own.predicted


def test_each_label_has_the_model_s_own_threshold(made, tmp_path):
    found = predict(made / "model", made / "clips", tmp_path / "out", format="jsonl")
    for row in found:
        given = [label for label in LABELS if row[label] >= THRESHOLDS[label]]
        assert row["predicted"] == given
    values = scores(found, LABELS)
    thresholds = np.array([THRESHOLDS[label] for label in LABELS])
    assert ((values >= thresholds) != (values >= 0.5)).any(), "thresholds of 0.5 would do the same"
    told = json.loads((tmp_path / "out" / "predictions.json").read_text("utf-8"))
    assert (told["classes"], told["multi_label"]) == (list(LABELS), True)


def test_chunks_are_rows_where_a_classifier_has_patches(made, tmp_path):
    clips = predict(made / "model", made / "clips", tmp_path / "out")
    found = rows(tmp_path / "out", "patches")
    spans = [[row["start_s"], row["end_s"]] for row in found if row["path"] == "c.wav"]
    np.testing.assert_allclose(spans, [[0, 1], [1, 2], [1.7, 2.7]])
    for clip in clips:
        own = [row for row in found if row["path"] == clip["path"]]
        assert scores(own, LABELS).max(0) == pytest.approx(scores([clip], LABELS)[0], abs=2e-6)


def test_long_files_are_cut_where_the_user_wants_it(made, tmp_path):
    found = predict(made / "model", made / "clips" / "c.wav", tmp_path / "out", segment_s=1.2)
    spans = [[row["start_s"], row["end_s"]] for row in found]
    np.testing.assert_allclose(spans, [[0, 1.2], [1.2, 2.4], [2.4, 2.7]])
    _, scorer = inference.load(made / "model")
    for row in found:
        samples = reading.load(
            made / "clips" / "c.wav",
            sample_rate_hz=RATE_HZ,
            start_s=row["start_s"],
            end_s=row["end_s"],
        )
        expected = inference.joined(scorer.chunk_scores([samples])[0], "max")
        assert scores([row], LABELS)[0] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"segment_s": 601}, ParameterError, "segment_s: 601 s exceeds 600 s"),
        ({"hop_s": 0.001}, ParameterError, "hop_s: 0.001 s is shorter than one frame"),
        ({"runtime": "onnx"}, DataError, "model.onnx: is missing: this version was registered"),
    ],
)
def test_what_cannot_be_done_is_one_line(made, tmp_path, settings, error, said):
    with pytest.raises(error) as found:
        predict(made / "model", made / "clips", tmp_path / "out", **settings)
    assert said in str(found.value)


def test_the_step_takes_a_tagger(made, tmp_path, capsys):
    predict_step(made / "model", made / "clips", tmp_path / "out")
    assert "5 clips, 8 patches, 0 failures" in capsys.readouterr().out


def test_an_unknown_format_is_named(made, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.json").write_text('{"format": "other/1"}')
    with pytest.raises(DataError, match="other/1"):
        predict(folder, made / "clips", tmp_path / "out")
