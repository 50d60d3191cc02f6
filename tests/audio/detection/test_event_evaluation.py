"""The report of a detector: figures, the choice of the threshold, tables, refused benchmarks."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import scipy.stats
from scored_tapes import Call, Tape, write_corpus, write_scores

from soundgate.audio.clips.annotations.files import read_annotations
from soundgate.audio.detection.evaluation import sweep as sweeping
from soundgate.audio.detection.evaluation import tallies
from soundgate.audio.detection.evaluation.decoding import Decoding, decode
from soundgate.audio.detection.evaluation.evaluation import Asked, Folders, evaluate
from soundgate.audio.detection.evaluation.leakage import Used
from soundgate.audio.detection.evaluation.outcome import correlations
from soundgate.audio.detection.evaluation.sweep import Sweep, average_precision, choose
from soundgate.audio.detection.tables import metrics as tables
from soundgate.audio.detection.tables.prediction_index import (
    index_of_tables,
    on_recordings,
    read_index,
)
from soundgate.audio.formats.reports.events import read_event_report, read_events
from soundgate.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

TAPES = {
    "north/1.wav": Tape(
        calls=(Call(2, 3.5), Call(8, 9.5, heard=0.7, quality=2), Call(14, 15.5, heard=0.02)),
        tape="north1",
    ),
    "south/1.wav": Tape(
        calls=(Call(4, 5.5, heard=0.97, quality=3), Call(20, 21.5)),
        tape="south1",
        heard_nothing=(Call(11, 12.5, heard=0.6),),
    ),
    "quiet.wav": Tape(tape="quiet", heard_nothing=(Call(7, 8.5, heard=0.3),)),
}
"""Five calls: three are heard above 0.9, one at 0.7 and one not; two false alarms, 0.6 and 0.3."""
VALIDATION = {"val.wav": Tape((Call(3, 4.5), Call(9, 10.5, heard=0.8)), tape="val")}
USED = Used(frozenset({"val"}))
ASKED = Asked(variant="v3", thresholds=(0.5, 0.9))


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Folders:
    folder = tmp_path_factory.mktemp("world")
    return make_world(folder)


def make_world(folder: Path, tapes: object = None, validation: object = None) -> Folders:
    made = Folders(*(folder / name for name in ("scores", "bench", "valscores", "corpus")))
    tapes, validation = tapes or TAPES, validation or VALIDATION
    write_corpus(made.benchmark, tapes)
    write_scores(made.scores, tapes)
    write_corpus(made.corpus, validation)
    write_scores(made.validation, validation)
    return made


@pytest.fixture(scope="module")
def report(world, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    evaluate(world, USED, ASKED, folder)
    return folder


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_figures_are_those_of_the_made_scores(report):
    made = read_event_report(report)
    # both validation calls are heard at 0.8 and more, nothing else above 0.05
    assert 0.05 < made.operating_point.threshold <= 0.8
    at = {point.threshold: point for point in made.sweep}
    assert (at[0.9].detections, at[0.9].precision, at[0.9].recall) == (3, 1.0, 0.6)
    assert (at[0.65].detections, at[0.65].recall) == (4, 0.8)
    assert (at[0.5].detections, at[0.5].precision) == (5, 0.8)
    assert at[0.25].precision == pytest.approx(4 / 6, abs=1e-6)
    # recall 0.6 and 0.8 are reached with precision 1, recall 1 never
    assert made.metrics["average_precision"].value == pytest.approx(0.8)
    by_quality = {each.quality: each for each in made.qualities}
    assert (by_quality[1].calls, by_quality[1].found) == (3, 2)
    assert made.metrics["validation_event_f1"].value == 1.0


def test_tape_without_calls_has_its_false_alarms_and_no_recall(report):
    tape = {each.tape: each for each in read_event_report(report).tapes}["quiet"]
    assert (tape.calls, tape.hits, tape.recall) == (0, 0, None)


def test_every_call_and_false_alarm_has_a_row(report):
    kinds = [(row.kind, row.path) for row in read_events(report / "events.jsonl")]
    found = sum(kind != "false_alarm" for kind, _ in kinds)
    assert found == 5
    assert ("missed", "north/1.wav") in kinds
    made = read_event_report(report)
    assert sum(kind == "false_alarm" for kind, _ in kinds) == sum(
        tape.detections - tape.hits for tape in made.tapes
    )


def test_table_has_every_column_of_earlier_tools_in_their_order(report):
    rows = rows_of(report / "metrics.csv")
    expected = [
        *("n_gt", "n_pred", "tp", "fp", "fn", "precision", "recall", "f1"),
        *("mean_dstart_ms", "mean_dend_ms"),
        *("recall_q1", "f1_q1", "recall_q2", "f1_q2", "recall_q3", "f1_q3"),
        *("pearson_calls", "spearman_calls", "model", "variant", "layer"),
    ]
    assert list(rows[0])[: len(expected)] == expected
    at = {row["variant"]: row for row in rows}
    row = at["len400_hop100_th90"]
    assert [row[name] for name in ("n_gt", "n_pred", "tp", "fp", "fn")] == ["5", "3", "3", "0", "2"]
    assert (row["precision"], row["recall"], row["f1"]) == ("1.0", "0.6", "0.75")
    assert (row["recall_q1"], row["recall_q2"], row["recall_q3"]) == ("0.666667", "0.0", "1.0")
    assert (row["f1_q1"], row["f1_q2"]) == ("0.8", "0.0")
    assert (row["model"], row["layer"], row["chosen"]) == ("v3", "evaluation", "0")
    assert sum(int(row["chosen"]) for row in rows) == 1
    # windows whose middles lie in a call reach up to half a window beyond it
    assert 100 <= float(row["mean_dstart_ms"]) <= 200
    per_tape = rows_of(report / "metrics_per_tape.csv")
    assert "pearson_calls" not in per_tape[0]
    north = next(r for r in per_tape if r["tape"] == "north1" and r["variant"].endswith("th90"))
    assert [north[name] for name in ("n_gt", "tp", "fn", "f1")] == ["3", "1", "2", "0.5"]
    quiet = next(r for r in per_tape if r["tape"] == "quiet" and r["variant"].endswith("th90"))
    assert (quiet["recall"], quiet["f1"]) == ("", "")


def test_index_and_tables_of_clips_of_one_name_do_not_collide(report):
    run = report / "runs" / "v3" / "len400_hop100_th50"
    index = read_index(run / "evaluation" / "index.json")
    assert index.meta.n_preds == len(index.entries) == 5
    assert {entry.tape for entry in index.entries} == {"north/1.wav", "south/1.wav"}
    for entry in index.entries:
        selections = read_annotations(run / entry.pred_path)
        assert (entry.start_s, entry.end_s) in [(each.start_s, each.end_s) for each in selections]
        assert entry.dur_s == pytest.approx(entry.end_s - entry.start_s)
    raw = json.loads((run / "evaluation" / "index.json").read_text("utf-8"))
    assert list(raw["entries"][0])[:6] == ["uid", "pred_path", "tape", "start_s", "end_s", "dur_s"]


def test_selection_tables_have_ravens_names_and_scores(report):
    table = report / "runs/v3/len400_hop100_th50/evaluation/tables/south/1.wav.txt"
    header = table.read_text("utf-8").split("\n")[0].split("\t")
    assert header[:5] == ["Selection", "View", "Channel", "Begin Time (s)", "End Time (s)"]
    assert header[-2:] == ["Score", "CNN logit (mean)"]
    events = read_annotations(table)
    assert [round(event.score or 0, 2) for event in events] == [0.97, 0.6, 0.95]
    # windows that hear nothing overlap its ends: the mean is below log(0.97 / 0.03)
    assert 0 < float(dict(events[0].columns)["CNN logit (mean)"]) < 3.476


def test_index_of_tables_is_the_index_that_was_written(report):
    run = report / "runs" / "v3" / "len400_hop100_th50"
    written = read_index(run / "evaluation" / "index.json")
    made = index_of_tables(run)
    assert {(e.tape, e.start_s, e.end_s, e.label) for e in made.entries} == {
        (e.tape, e.start_s, e.end_s, e.label) for e in written.entries
    }


def test_an_ambiguous_name_of_a_recording_is_refused_not_guessed(report):
    entry = read_index(report / "runs/v3/len400_hop100_th50/evaluation/index.json").entries[0]
    bare = entry.model_copy(update={"tape": "1.wav"})
    with pytest.raises(DataError, match=r"could be north/1\.wav, south/1\.wav"):
        on_recordings([bare], list(TAPES))


def test_same_scores_give_the_same_bytes(world, report, tmp_path):
    evaluate(world, USED, ASKED, tmp_path)
    files = sorted(path.relative_to(report) for path in report.rglob("*") if path.is_file())
    again = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    assert files == again
    assert len(files) > 8
    for path in files:
        assert (report / path).read_bytes() == (tmp_path / path).read_bytes()


def test_benchmark_does_not_choose_the_threshold(tmp_path):
    """A benchmark on which another threshold is better changes nothing of the choice."""
    other = {
        path: replace(tape, heard_nothing=(*tape.heard_nothing, Call(25, 26.5, heard=0.85)))
        for path, tape in TAPES.items()
    }
    chosen = []
    for name, tapes in (("a", TAPES), ("b", other)):
        world = make_world(tmp_path / name, tapes)
        chosen.append(evaluate(world, USED, ASKED, tmp_path / name / "report").operating_point)
    assert chosen[0] == chosen[1]


def test_refuses_a_benchmark_with_a_tape_of_the_training(tmp_path):
    world = make_world(tmp_path, {**TAPES, "x/Val.wav": Tape(tape="val")})
    with pytest.raises(DataError, match=r"x/Val\.wav: the tape 'val' was trained with"):
        evaluate(world, USED, ASKED, tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_refuses_a_recording_of_the_training_under_another_name(tmp_path):
    world = make_world(tmp_path)
    (world.benchmark / "quiet.wav").write_bytes((world.corpus / "val.wav").read_bytes())
    with pytest.raises(DataError, match=r"quiet\.wav: is the same recording as val\.wav"):
        evaluate(world, USED, ASKED, tmp_path / "report")


def test_tapes_that_were_held_out_may_be_the_benchmark(tmp_path):
    world = make_world(tmp_path, validation={**VALIDATION, "t.wav": Tape(tape="north1")})
    evaluate(world, USED, ASKED, tmp_path / "report")


def test_refuses_scores_that_lack_a_recording(tmp_path):
    world = make_world(tmp_path)
    write_scores(world.scores, {"quiet.wav": TAPES["quiet.wav"]})
    with pytest.raises(DataError, match=r"north/1\.wav and 1 more of the corpus has no scores"):
        evaluate(world, USED, ASKED, tmp_path / "report")


def test_refuses_scores_of_two_models(tmp_path):
    world = make_world(tmp_path)
    write_scores(world.validation, VALIDATION, digest="1" * 64)
    with pytest.raises(DataError, match="predict both with one model"):
        evaluate(world, USED, ASKED, tmp_path / "report")


def test_refuses_labels_that_the_detector_does_not_know(tmp_path):
    world = make_world(tmp_path)
    write_scores(world.scores, TAPES, classes=("hum", "cough"))
    write_scores(world.validation, VALIDATION, classes=("hum", "cough"))
    with pytest.raises(DataError, match="the calls are target, but the detector knows hum, cough"):
        evaluate(world, USED, ASKED, tmp_path / "report")


def test_calls_outside_of_a_validation_region_are_not_missed(tmp_path):
    tapes = {"val.wav": Tape((Call(3, 4.5), Call(20, 21.5, heard=0.02)), tape="val")}
    world = make_world(tmp_path, validation=tapes)
    write_scores(world.validation, tapes, regions={"val.wav": (0.0, 10.0)})
    made = evaluate(world, USED, ASKED, tmp_path / "report")
    assert made.metrics["validation_event_f1"].value == 1.0


def test_several_classes_are_matched_each_for_itself(tmp_path):
    tapes = {
        "a.wav": Tape((Call(2, 3.5, label="hum"), Call(8, 9.5, label="cough")), tape="a"),
        "b.wav": Tape(
            (Call(2, 3.5, label="hum", heard=0.03),),
            tape="b",
            heard_nothing=(Call(2, 3.5, label="cough"),),
        ),
    }
    world = make_world(tmp_path, tapes, {"val.wav": tapes["a.wav"]})
    for folder, of in ((world.scores, tapes), (world.validation, {"val.wav": tapes["a.wav"]})):
        write_scores(folder, of, classes=("hum", "cough"))
    made = evaluate(world, Used(frozenset()), ASKED, tmp_path / "report")
    hum, cough = made.per_class
    assert (hum.precision, hum.recall) == (1.0, 0.5)
    assert (cough.precision, cough.recall) == (0.5, 1.0)


def test_trim_is_that_of_the_boundaries(world):
    """Windows whose middle is in a call begin 0.1 or 0.2 s before it, on their grid."""
    windows, truth = _validation(world)
    chosen = choose(windows, truth, 0.4).decoding
    assert chosen.trim_share == 0.25
    untrimmed = decode(windows, Decoding(chosen.threshold))
    assert decode(windows, chosen).start_s.tolist() == pytest.approx([2.9, 9.0])
    assert untrimmed.start_s.tolist() == pytest.approx([2.8, 8.9])


def test_detections_too_short_for_a_hit_are_left_out_where_that_helps(tmp_path):
    blips = tuple(Call(k, k + 0.11) for k in (15.0, 18.0, 21.0, 24.0))
    tapes = {"val.wav": Tape((Call(3, 4.5), Call(9, 10.5)), tape="val", heard_nothing=blips)}
    world = make_world(tmp_path, validation=tapes)
    chosen = choose(*_validation(world), 0.4)
    assert chosen.decoding.least_s == 0.6  # 0.4 of 1.5 s
    assert chosen.f1.value == 1.0


def test_equally_good_thresholds_give_their_middle(world):
    windows, truth = _validation(world)
    chosen = choose(windows, truth, 0.4)
    assert chosen.is_chosen
    assert 0.3 < chosen.decoding.threshold < 0.55  # of 0.06 to 0.8, all with F1 1


def test_without_validation_calls_the_threshold_is_a_half_and_said(tmp_path):
    world = make_world(tmp_path, validation={"val.wav": Tape(tape="val")})
    made = evaluate(world, USED, ASKED, tmp_path / "report")
    assert made.operating_point.threshold == 0.5
    assert not made.operating_point.chosen_on_validation
    assert "No call of the validation recordings" in made.notes[0]


def _validation(world: Folders):
    from soundgate.audio.detection.evaluation.scored import read_scored

    scored = read_scored(world.validation, world.corpus, complete=False)
    return scored.windows, scored.truth


def test_interval_draws_whole_tapes():
    # two tapes found whole and two missed whole: F1 varies between draws as the tapes do
    counts = np.array([[5, 5, 5], [5, 5, 5], [0, 5, 0], [0, 5, 0]])
    found = tallies.intervals(counts, 0.95)["event_recall"]
    assert found.value == 0.5
    assert (found.low, found.high) == (0.0, 1.0)
    alike = np.array([[5, 10, 5]] * 4)
    assert tallies.intervals(alike, 0.95)["event_recall"].low == 0.5


def test_one_tape_has_no_interval():
    found = tallies.intervals(np.array([[1, 2, 3]]), 0.95)["event_f1"]
    assert found.value == pytest.approx(0.4)
    assert np.isnan([found.low, found.high]).all()


def test_average_precision_is_the_area_below_the_envelope():
    counts = np.array([[[6, 10, 12]], [[5, 10, 5]], [[2, 10, 4]], [[1, 10, 1]]])
    swept = Sweep(Decoding(0.1), np.array([0.1, 0.2, 0.3, 0.4]), counts, (), np.zeros(4))
    # precision 0.5, 1, 0.5, 1 at recall 0.6, 0.5, 0.2, 0.1: the envelope is 1 up to 0.5, then 0.5
    assert average_precision(swept, 0.95).value == pytest.approx(0.55)


def test_correlations_are_scipys():
    rng = np.random.default_rng(3)
    counts = np.stack([np.zeros(12), rng.integers(0, 5, 12), rng.integers(0, 5, 12)], 1)
    pearson, spearman = correlations(counts.astype(np.int64))
    assert pearson == pytest.approx(scipy.stats.pearsonr(counts[:, 1], counts[:, 2])[0])
    assert spearman == pytest.approx(scipy.stats.spearmanr(counts[:, 1], counts[:, 2])[0])
    assert np.isnan(correlations(np.ones((3, 3), np.int64))).all()


def test_columns_of_some_rows_stand_where_these_rows_have_them(tmp_path):
    rows: list[tables.Row] = [
        {"a": 1, "recall_q1": 0.5, "z": "x"},
        {"a": 2, "recall_q1": 1.0, "recall_q7": 0.25, "z": "y"},
    ]
    assert tables.columns_of(rows) == ["a", "recall_q1", "recall_q7", "z"]
    tables.write_table(tmp_path / "t.csv", rows)
    assert tables.read_table(tmp_path / "t.csv")[0]["recall_q7"] == ""


def test_a_sweep_sees_what_each_threshold_alone_sees(world):
    windows, truth = _validation(world)
    whole = sweeping.sweep(windows, truth, Decoding(0.5), 0.4, (0.85, 0.5))
    for k, threshold in enumerate((0.5, 0.85)):
        alone = sweeping.sweep(windows, truth, Decoding(0.5), 0.4, (threshold,))
        assert whole.counts[k].tolist() == alone.counts[0].tolist()
    assert whole.totals[:, tallies.HITS].tolist() == [2, 1]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"iou": 0.0}, "iou must be"),
        ({"thresholds": (1.5,)}, "thresholds must be"),
        ({"collar_s": -1.0}, "collar_s must be"),
    ],
)
def test_refuses_impossible_criteria(wrong, said):
    with pytest.raises(DataError, match=said):
        Asked(variant="v", **wrong)
