"""Post-processing: boxes and filters of real clips, tuning, and files on the way."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from soundgate import cli
from soundgate.audio.clips.annotations.dcase import (
    ScoreTable,
    read_durations,
    read_scores,
    read_strong,
    write_scores,
    write_strong,
)
from soundgate.audio.clips.annotations.event import Event
from soundgate.audio.clips.annotations.files import read_annotations
from soundgate.audio.detection.postprocessing.applying import apply, median_frames
from soundgate.audio.detection.postprocessing.boxes import candidates
from soundgate.audio.detection.postprocessing.files import detections
from soundgate.audio.detection.postprocessing.tuning import Grid, tune
from soundgate.audio.detection.sound_events.judging import Rules, judge
from soundgate.audio.detection.sound_events.systems import Frames, read_system
from soundgate.audio.detection.sound_events.truth import Reading, truth_of
from soundgate.audio.formats.detections.postprocessing import (
    ClassPostProcessing,
    PostProcessing,
    read,
)
from soundgate.errors import DataError

FRAME_S = 0.064


@pytest.fixture(scope="module")
def real(real_data):
    """Scores and events of 20 real clips, and what published post-processing makes of them."""
    folder = real_data("golden/sed/04_dcase23_scores20")
    frames = read_system(folder / "baseline2_run1_scores")
    durations = read_durations(folder / "metadata/audio_durations.tsv")
    listed = read_strong(folder / "metadata/ground_truth.tsv")
    seconds = {clip: durations[clip] for clip in frames.tables}
    truth = truth_of(listed, seconds, frames.classes, Reading())
    expected = json.loads((folder / "expected.json").read_text())["results"]
    boxes = json.loads((folder / "expected_boxes.json").read_text())
    return folder, truth, frames, expected, boxes


def limits(key: str) -> tuple[float, float, float]:
    step_s, fall, ratio = (float(part.split("=")[1]) for part in key.split(","))
    return step_s, fall, ratio


def test_boxes_of_real_clips_equal_the_published_ones(real):
    _, _, frames, _, published = real
    assert len(published) == 5
    for key, by_clip in published.items():
        step_s, fall, ratio = limits(key)
        for clip, expected in by_clip.items():
            table = frames.tables[clip]
            found = candidates(table.scores.T, table.edges_s, step_s).merged(fall, ratio)
            got = sorted(zip(found.row, found.start_s, found.end_s, found.confidence, strict=True))
            want = sorted((frames.classes.index(b[2]), b[0], b[1], b[3]) for b in expected)
            assert len(got) == len(want), (key, clip)
            got, want = np.array(got), np.array(want)
            assert got[:, :3] == pytest.approx(want[:, :3], abs=1e-5), (key, clip)
            assert got[:, 3] == pytest.approx(want[:, 3], abs=1e-4), (key, clip)


def same_for_all(classes, **how):
    return PostProcessing(classes=dict.fromkeys(classes, ClassPostProcessing(**how)))


def applied(frames, record):
    tables = {clip: apply(clip, table, record) for clip, table in frames.tables.items()}
    return Frames(tuple(record.classes), tables)


def finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def test_psds_of_post_processed_real_clips(real):
    _, truth, frames, expected, published = real
    hows = {
        f"csebbs {key}": {
            "method": "csebbs",
            "step_s": limits(key)[0],
            "most_fall": finite(limits(key)[1]),
            "most_ratio": finite(limits(key)[2]),
        }
        for key in published
    } | {
        f"scipy median {n} frames": {"method": "median", "median_s": n * FRAME_S}
        for n in (3, 7, 15)
    }
    for name, how in hows.items():
        found = judge(truth, applied(frames, same_for_all(frames.classes, **how)), Rules())
        for figure, reference in expected[name].items():
            if figure.startswith("psds"):
                value = found.figures()[figure].value
                assert value == pytest.approx(reference[0], abs=1e-12), (name, figure)


@pytest.mark.parametrize(
    ("name", "grid"),
    [
        (
            "csebbs tuned small grid",
            Grid(False, (), (0.32, 0.48, 0.64), (0.15, 0.2, 0.3), (1.5, 2.0, 3.0)),
        ),
        ("csebbs tuned CPJKU grid", Grid(none=False, medians_s=())),
    ],
)
def test_tuned_boxes_equal_the_published_tuning(real, name, grid):
    _, truth, frames, expected, _ = real
    record, reference = tune(truth, frames, grid), expected[name]
    for label, how in record.classes.items():
        best = reference["best_psds1_by_class"][label]
        assert how.score == pytest.approx(best, abs=1e-12), label
        assert how.step_s == reference["step_filter_length"][label], label
        assert (how.most_fall or "inf") == reference["merge_abs"][label], label
        assert (how.most_ratio or "inf") == reference["merge_rel"][label], label
    value = judge(truth, applied(frames, record), Rules()).figures()["psds1"].value
    assert value == pytest.approx(reference["psds1"][0], abs=1e-12)


def test_each_class_takes_the_best_of_all_methods(real):
    _, truth, frames, _, _ = real
    medians, steps = (0.4, 0.6), (0.48, 0.66)
    record = tune(truth, frames, Grid(medians_s=medians, steps_s=steps))
    one_each = [
        tune(truth, frames, Grid(medians_s=m, steps_s=s))
        for m, s in ((medians, ()), ((), steps), ((), ()))
    ]
    for label, how in record.classes.items():
        others = [each.classes[label].score for each in one_each]
        assert how.score == pytest.approx(max(others), abs=1e-12), label
        assert how.raw_score == pytest.approx(others[2], abs=1e-12), label
    assert {how.method for how in record.classes.values()} == {"none", "median", "csebbs"}
    # What was tuned is what is applied.
    found = judge(truth, applied(frames, record), Rules()).figures()["psds1"]
    scores = [record.classes[label].score for label in truth.classes]
    assert found.by_class == pytest.approx(np.array(scores), abs=1e-12)


def test_real_clips_through_files_and_back(real, tmp_path, capsys):
    """Tuned on ten clips, applied to ten others: the same PSDS from tables as in memory."""
    folder, truth, frames, _, _ = real
    sides = {"tune": truth.clips[::2], "test": truth.clips[1::2]}
    for side, clips in sides.items():
        for clip in clips:
            write_scores(tmp_path / side / f"{clip}.tsv", frames.tables[clip])
    paths = {
        "--truth": folder / "metadata/ground_truth.tsv",
        "--audio-durations": folder / "metadata/audio_durations.tsv",
    }
    common = [str(word) for pair in paths.items() for word in pair]
    record = tmp_path / "postprocessing.json"
    tuning = ["--scores", str(tmp_path / "tune"), "--out", str(record)]
    assert cli.main(["tune-events", *common, *tuning]) == 0
    assert set(read(record).clips) == set(sides["tune"])
    told = capsys.readouterr().out.splitlines()
    assert len(told) == len(frames.classes)

    post = ["postprocess-events", "--postprocessing", str(record), "--scores"]
    ours = tmp_path / "ours"
    assert cli.main([*post, str(tmp_path / "tune"), "--out", str(ours)]) == 2
    assert "was tuned on 10 of these clips" in capsys.readouterr().err
    assert not ours.exists()
    assert cli.main([*post, str(tmp_path / "test"), "--out", str(ours)]) == 0
    capsys.readouterr()

    seconds = {c: s for c, s in zip(truth.clips, truth.clips_s, strict=True) if c in sides["test"]}
    listed = read_strong(folder / "metadata/ground_truth.tsv")
    here = truth_of(listed, seconds, frames.classes, Reading())
    kept = Frames(frames.classes, {clip: frames.tables[clip] for clip in sides["test"]})
    in_memory = judge(here, applied(kept, read(record)), Rules()).figures()
    from_files = judge(here, read_system(ours), Rules()).figures()
    raw = judge(here, kept, Rules()).figures()
    for name in ("psds1", "psds2"):
        assert from_files[name].value == in_memory[name].value, name
        assert from_files[name].value != raw[name].value, name

    scored = tmp_path / "scores.json"
    judging = ["--scores", str(ours), "--draws", "0", "--json", str(scored)]
    assert cli.main(["score-events", *common, *judging]) == 0
    value = json.loads(scored.read_text())["figures"]["psds1"]["ours"]["value"]
    assert value == in_memory["psds1"].value
    assert "oracle" not in capsys.readouterr().out

    oracle = tmp_path / "oracle"
    assert cli.main([*post, str(tmp_path / "tune"), "--out", str(oracle), "--oracle"]) == 0
    assert cli.main(["score-events", *common, "--scores", str(oracle), "--draws", "0"]) == 0
    assert "oracle: the post-processing was tuned on 10 of" in capsys.readouterr().out


@pytest.mark.parametrize(("kind", "target"), [("dcase", "e.tsv"), ("raven", "e.txt")])
def test_detections_are_exported(real, tmp_path, kind, target):
    _, _, frames, _, _ = real
    clips = dict(itertools.islice(frames.tables.items(), 3))
    for clip, table in clips.items():
        write_scores(tmp_path / "scores" / f"{clip}.tsv", table)
    record = same_for_all(frames.classes, method="csebbs", step_s=0.48, most_fall=0.2)
    (tmp_path / "p.json").write_text(json.dumps(record.as_json()))
    words = ["--scores", tmp_path / "scores", "--postprocessing", tmp_path / "p.json"]
    words += ["--out", tmp_path / "out", "--events", tmp_path / target, "--to", kind]
    assert cli.main(["postprocess-events", *map(str, words)]) == 0
    expected = [
        event
        for clip, table in sorted(clips.items())
        for event in detections(clip, apply(clip, table, record), 0.5)
    ]
    assert len(expected) > 3
    found = read_annotations(tmp_path / target)
    assert [e.label for e in found] == [e.label for e in expected]
    for name in ("start_s", "end_s", "score"):
        values = [getattr(e, name) for e in found]
        assert values == pytest.approx([getattr(e, name) for e in expected], abs=1e-6), name


# Small cases that can be seen


def boxes_of(scores, step_s=2.0, fall=0.0, ratio=np.inf):
    edges = np.arange(len(scores) + 1.0)
    found = candidates(np.array([scores], np.float64), edges, step_s).merged(fall, ratio)
    values = zip(found.start_s, found.end_s, np.round(found.confidence, 6), strict=True)
    return [(a, b, c) for a, b, c in values if c > 0]  # silence is a box, too, of confidence 0


def test_a_plain_event_is_one_box():
    assert boxes_of([0, 0, 0, 1, 1, 1, 0, 0, 0]) == [(3.0, 6.0, 1.0)]
    assert boxes_of([1, 1, 0, 0]) == [(0.0, 2.0, 1.0)]
    assert boxes_of([0, 0, 1, 1]) == [(2.0, 4.0, 1.0)]


def test_a_dip_parts_an_event_unless_it_is_shallow():
    dip = [0, 0, 1, 1, 0.75, 0.75, 1, 1, 0, 0]
    assert boxes_of(dip) == [(2.0, 4.0, 1.0), (6.0, 8.0, 1.0)]
    assert boxes_of(dip, fall=0.3) == [(2.0, 8.0, round(5.5 / 6, 6))]
    assert len(boxes_of(dip, fall=0.25)) == 2  # as much as the limit is too much
    assert len(boxes_of(dip, fall=np.inf, ratio=1.4)) == 1
    assert len(boxes_of(dip, fall=np.inf, ratio=1.3)) == 2


def test_boxes_of_a_row_do_not_depend_on_other_rows():
    rng = np.random.default_rng(0)
    rows, edges = rng.random((7, 50)), np.arange(51) * 0.1
    together = candidates(rows, edges, 0.5).merged(0.4, np.inf)
    for row in range(7):
        alone = candidates(rows[[row]], edges, 0.5).merged(0.4, np.inf)
        here = together.row == row
        assert together.start_s[here] == pytest.approx(alone.start_s)
        assert together.end_s[here] == pytest.approx(alone.end_s)
        assert together.confidence[here] == pytest.approx(alone.confidence)
        inside = (together.start_s[here][1:] > together.end_s[here][:-1]).all()
        assert inside  # so that a table can hold them


def test_tables_hold_boxes_beside_filtered_frames():
    table = ScoreTable(
        ("a", "b"), np.arange(10.0), np.array([[0, 0, 0, 1, 1, 1, 0, 0, 0], [0.5] * 9]).T
    )
    record = PostProcessing(
        classes={
            "b": ClassPostProcessing(method="none"),
            "a": ClassPostProcessing(method="csebbs", step_s=2.0, most_fall=0.1),
        }
    )
    found = apply("clip", table, record)
    assert found.classes == ("b", "a")
    assert found.edges_s.tolist() == list(range(10))
    assert (found.scores[:, 0] == 0.5).all()
    assert found.scores[3:6, 1].tolist() == [1, 1, 1]
    assert (found.scores[[0, 1, 2, 6, 7, 8], 1] <= 0).all()
    assert np.isneginf(found.scores[[2, 6], 1]).all()
    events = detections("clip", found, 0.9)
    assert [(e.label, e.start_s, e.end_s, e.score) for e in events] == [("a", 3.0, 6.0, 1.0)]


@pytest.mark.parametrize(
    ("length_s", "frames"), [(0.01, 1), (0.064, 1), (0.192, 3), (0.25, 3), (0.26, 5), (0.96, 15)]
)
def test_median_filters_have_an_odd_number_of_frames(length_s, frames):
    assert median_frames(length_s, FRAME_S) == frames


def test_infinite_scores_have_no_boxes():
    table = ScoreTable(("a",), np.arange(3.0), np.array([[0.0], [-np.inf]]))
    record = same_for_all(("a",), method="csebbs", step_s=1.0)
    with pytest.raises(DataError, match="clip: has infinite scores"):
        apply("clip", table, record)
    assert apply("clip", table, same_for_all(("a",), method="none")).scores[1, 0] == -np.inf
    with pytest.raises(DataError, match="has no scores of 'b'"):
        apply("clip", table, same_for_all(("b",), method="none"))


def test_a_class_without_events_is_left_alone(tmp_path):
    rng = np.random.default_rng(0)
    tables = {
        f"c{k}": ScoreTable(("a", "b"), np.arange(21.0) / 2, rng.random((20, 2))) for k in range(4)
    }
    events = [Event(file=f"c{k}", start_s=1.0, end_s=4.0, label="a") for k in range(4)]
    write_strong(tmp_path / "truth.tsv", events, tuple(tables))
    listed = read_strong(tmp_path / "truth.tsv")
    truth = truth_of(listed, dict.fromkeys(tables, 10.0), ("a", "b"), Reading())
    record = tune(truth, Frames(("a", "b"), tables), Grid(none=False))
    assert record.classes["b"].method == "none"
    assert record.classes["b"].score is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"classes": {}}', "format None is not"),
        (
            '{"format": "soundgate.postprocessing/1", "classes": {"a": {"method": "median"}}}',
            "method 'median' takes median_s",
        ),
        (
            '{"format": "soundgate.postprocessing/1", "classes": {"a": {"method": "mean"}}}',
            "classes.a.method",
        ),
    ],
)
def test_a_damaged_record_is_refused(tmp_path, text, told):
    (tmp_path / "postprocessing.json").write_text(text)
    with pytest.raises(DataError, match=told):
        read(tmp_path)


def test_written_scores_read_back(tmp_path):
    table = ScoreTable(("a",), np.array([0, 0.1234567891, 3.5]), np.array([[0.1], [-np.inf]]))
    write_scores(tmp_path / "a.tsv", table)
    found = read_scores(tmp_path / "a.tsv")
    assert found.edges_s.tolist() == table.edges_s.tolist()
    assert found.scores.tolist() == table.scores.tolist()
