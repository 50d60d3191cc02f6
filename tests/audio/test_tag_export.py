"""A tagger's report in the files that users of run_test.py know."""

from __future__ import annotations

import csv
import json

import matplotlib.image
import pytest
import yaml
from toy_tagger import LABELS, write_clips, write_tagger, write_waveforms

from soundgate import cli
from soundgate.audio.classification.tagging.evaluation import evaluate
from soundgate.audio.formats.reports.clip_results import PREDICTIONS, ClipResult, read_results
from soundgate.audio.formats.reports.tags import read_tag_report
from soundgate.audio.review.tag_export import counts, files


def clip(path, truth, predicted, judged=None, start_s=None):
    scores = dict.fromkeys("abc", 0.5)
    times = {} if start_s is None else {"start_s": start_s, "end_s": start_s + 1}
    return ClipResult(
        path, tuple(truth), tuple(predicted), scores, 1, 1, None, False, judged=judged, **times
    )


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tag_export")
    write_waveforms(folder / "waveforms", write_clips(folder / "clips"))
    write_tagger(folder / "model", folder / "waveforms")
    evaluate(folder / "waveforms", folder / "model", folder / "report")
    return folder / "report"


def test_pairs_are_counted_by_truth_and_decision():
    clips = [clip("1", "a", "b"), clip("2", "ab", "ab"), clip("3", "", "a"), clip("4", "c", "c")]
    clips.append(clip("5", "a", "a", judged=("a", "c")))
    found = {(first, second): matrix for first, second, matrix in counts.pairs(clips, "abc")}
    assert list(found) == [("a", "b"), ("a", "c"), ("b", "c")]
    assert found["a", "b"] == [[1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 1]]
    assert sum(map(sum, found["a", "c"])) == 5
    assert found["a", "c"][1] == [1, 2, 0, 0]


def test_figures_of_a_clip_leave_out_what_was_not_looked_for():
    found = counts.of_clip(clip("1", "ab", "bc"), "abc")
    assert found == {"f1": 0.5, "precision": 0.5, "recall": 0.5, "hamming_distance": 2 / 3}
    assert counts.of_clip(clip("1", "ab", "bc", judged=("a", "b")), "abc") == {
        "f1": 2 / 3,
        "precision": 1.0,
        "recall": 0.5,
        "hamming_distance": 0.5,
    }
    assert counts.of_clip(clip("1", "", ""), "abc") == {"hamming_distance": 0.0}


def test_clips_of_one_name_are_told_apart():
    clips = [clip("x/1.wav", "a", "a"), clip("y/1.wav", "", "b"), clip("2.wav", "", "")]
    clips += [clip("3.wav", "", "", start_s=0.0), clip("3.wav", "", "", start_s=1.0)]
    found = files.decided(clips, "ab")
    assert list(found) == ["x/1", "y/1", "2", "3 0.0 1.0", "3 1.0 2.0"]
    assert found["x/1"] == {"a": 1, "b": 0}


def test_everything_is_written_and_says_what_the_report_says(report, tmp_path, capsys):
    flags = ["metric-hist", "confusion", "instrument-metrics", "roc"]
    words = [f"--save-{flag}" for flag in flags]
    target = tmp_path / "out"
    assert cli.main(["export-tags", str(report), str(target), "--suffix", "t", *words]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told == [str(path) for path in map(target.joinpath, [
        "preds_t.json", "metrics_files_t.yaml", "metrics_hist_t.png", "metric_hist",
        "conf_matrix_t.csv", "conf_matrix", "roc",
    ])]  # fmt: skip
    figures, clips = read_tag_report(report), list(read_results(report / PREDICTIONS))
    decided = json.loads((target / "preds_t.json").read_text("utf-8"))
    assert decided == {
        each.path.removesuffix(".wav"): {name: int(name in each.predicted) for name in LABELS}
        for each in clips
    }
    metrics = yaml.safe_load((target / "metrics_files_t.yaml").read_text("utf-8"))
    assert metrics["f1"] == figures.metrics["macro_f1"].value
    assert metrics["accuracy"] == 1 - figures.metrics["hamming_distance"].value
    assert metrics["instruments/cello_recall"] == figures.labels["cello"].recall.value
    with (target / "conf_matrix_t.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 * 4
    assert len(list((target / "conf_matrix").iterdir())) == 3
    drawn = matplotlib.image.imread(target / "metrics_hist_t.png")
    assert drawn.shape[:2] == (400, 1600)
    assert drawn[..., :3].std() > 0.05


def test_without_flags_only_decisions_and_means_are_written(report, tmp_path):
    assert cli.main(["export-tags", str(report), str(tmp_path / "out")]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "metrics_files.yaml",
        "preds.json",
    ]
    assert "instruments/cello_f1" not in (tmp_path / "out/metrics_files.yaml").read_text("utf-8")


@pytest.mark.parametrize(
    ("words", "message"),
    [(["."], "the folder is not empty"), (["new", "--suffix", "../x"], "no part of a file's name")],
)
def test_wrong_targets_are_one_line(report, tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").touch()
    assert cli.main(["export-tags", str(report), *words]) == 2
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1
    assert message in told[0]
