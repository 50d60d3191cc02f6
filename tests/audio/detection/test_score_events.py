"""``score-events``: figures of DCASE tables against reference values, and what it refuses."""

from __future__ import annotations

import json

import numpy as np
import pytest

from soundgate import cli
from soundgate.audio.clips.annotations.dcase import (
    ScoreTable,
    StrongList,
    read_durations,
    read_scores,
    read_strong,
    read_weak,
    write_scores,
    write_strong,
)
from soundgate.audio.clips.annotations.event import Event
from soundgate.audio.detection.sound_events.judging import Rules, judge
from soundgate.audio.detection.sound_events.report import lines, record_of
from soundgate.audio.detection.sound_events.scoring import Question, answer
from soundgate.audio.detection.sound_events.systems import (
    Boxes,
    Frames,
    OperatingPoints,
    read_system,
)
from soundgate.audio.detection.sound_events.truth import Reading, truth_of
from soundgate.audio.metrics.events.samples import draw
from soundgate.audio.metrics.ranking import best_f1, rank
from soundgate.errors import UserError


@pytest.fixture(scope="module")
def golden(real_data):
    return real_data("golden/sed")


SCORES = "04_dcase23_scores20/baseline2_run1_scores"


def real_clips(golden, **options):
    folder = golden / "04_dcase23_scores20"
    return Question(
        folder / "metadata/ground_truth.tsv",
        golden / SCORES,
        durations=folder / "metadata/audio_durations.tsv",
        **options,
    )


def test_scores_of_real_clips_equal_published_evaluators(golden):
    found = answer(real_clips(golden, draws=0))
    reference = json.loads((golden / "04_dcase23_scores20/expected.json").read_text())["results"]
    raw, segments = reference["raw"], reference["segment_auroc_stable"]
    for name in ("psds1", "psds2"):
        figure = found.figures[name]
        assert figure.value == pytest.approx(raw[name][0], abs=1e-12)
        for label, value in zip(found.truth.classes, figure.by_class, strict=True):
            assert value == pytest.approx(raw[name][1][label], abs=1e-12), label
    for ours, theirs in (
        ("collar_f1", "collar_f1@0.5"),
        ("intersection_f1", "intersection_f1@0.5"),
        ("segment_f1", "segment_f1@0.5"),
    ):
        assert found.figures[ours].value == pytest.approx(raw[theirs]["macro_average"], abs=1e-12)
        micro = found.figures[f"{ours}_micro"].value
        assert micro == pytest.approx(raw[theirs]["micro_average"], abs=1e-12)
    for ours, mean, of_class in (("auroc", "auroc", "auroc"), ("mpauc", "mpauc", "pauc_norm")):
        figure = found.figures[ours]
        assert figure.value == pytest.approx(segments["mean"][mean], abs=1e-12)
        for label, value in zip(found.truth.classes, figure.by_class, strict=True):
            assert value == pytest.approx(segments[label][of_class], abs=1e-12), label
    of_segments = judge(found.truth, read_system(golden / SCORES), Rules()).segments
    for at, label in enumerate(found.truth.classes):
        best = best_f1(rank(of_segments.truth[:, at], of_segments.scores[:, at]))
        assert best == pytest.approx(raw["segment_best_f1"][label], abs=1e-12), label
    assert found.truth.clips_left_out == 672
    assert found.truth.silent == ()


def test_windows_of_recordings_are_judged_by_segments(golden):
    """Soft labels above a half, merged across windows; scores are means of frames and windows."""
    folder = golden / "06_maestro_segments"
    expected = json.loads((folder / "expected.json").read_text())
    stored = np.load(folder / "frame_scores.npz")
    classes = tuple(map(str, stored["classes"]))
    edges = np.arange(stored["scores"].shape[1] + 1) * float(stored["frame_seconds"])
    windows = Frames(
        classes,
        {
            str(clip): ScoreTable(classes, edges, scores.astype(np.float64))
            for clip, scores in zip(stored["clip_ids"], stored["scores"], strict=True)
        },
    )
    truth = truth_of(
        read_strong(folder / "ground_truth_soft.tsv"),
        read_durations(folder / "durations.tsv"),
        classes,
        Reading(windows=True),
    )
    judged = judge(truth, windows, Rules(), windows=True)
    segments = judged.segments
    for at, clip in enumerate(truth.clips):
        rows = segments.clip == at
        scores = np.maximum(segments.scores[rows], 0)  # no window covers the last of one
        assert scores == pytest.approx(np.array(expected["segment_scores"][clip]), abs=1e-7)
        here = truth.events.where(truth.events.clip == at)
        merged = zip(here.start_s, here.end_s, (classes[k] for k in here.label), strict=True)
        assert sorted(merged) == sorted(map(tuple, expected["merged_ground_truth"][clip]))
    figures = judged.figures()
    assert set(figures) == {"auroc", "mpauc"}
    assert figures["auroc"].value == pytest.approx(expected["auroc"]["mean"]["auroc"], abs=1e-12)
    assert figures["mpauc"].value == pytest.approx(expected["auroc"]["mean"]["mpauc"], abs=1e-12)
    for at, label in enumerate(classes):
        of_class = expected["auroc"][label]
        assert segments.truth[:, at].sum() == of_class["pos"]
        assert figures["mpauc"].by_class[at] == pytest.approx(of_class["pauc_norm"], abs=1e-12)
        best = best_f1(rank(segments.truth[:, at], segments.scores[:, at]))
        assert best == pytest.approx(expected["segment_best_f1"][label], abs=1e-12)


def test_detections_of_1168_real_clips_through_the_command(golden, tmp_path, capsys):
    folder = golden / "02_desed_validation_oppoints"
    written = tmp_path / "scores.json"
    options = {
        "--truth": folder / "validation.tsv",
        "--scores": folder / "student/predictions0.5.csv",
        "--audio-durations": folder / "validation_durations.tsv",
        "--draws": 0,
        "--json": written,
    }
    words = [str(word) for pair in options.items() for word in pair]
    assert cli.main(["score-events", *words]) == 0
    printed = capsys.readouterr().out
    assert "1168 clips, 11574.2 s, 4224 events of 10 classes" in printed
    assert "16 events end after their clip; they count as they are" in printed
    figures = json.loads(written.read_text())["figures"]
    expected = json.loads((folder / "expected_p053.json").read_text())["results"]["student"]
    value = figures["intersection_f1"]["ours"]["value"]
    assert value == pytest.approx(expected["intersection_macro_f1@0.5"], abs=1e-12)
    assert figures["intersection_f1"]["ours"]["standard_error"] is None
    expected = json.loads((folder / "expected_sed_eval.json").read_text())["results"]["student"]
    value = figures["segment_f1"]["ours"]["value"]
    assert value == pytest.approx(expected["segment_based"]["macro"]["f_measure"], abs=2e-4)


# Small made-up systems


LABELS = ("cat", "dog", "rain")


def made(seed: int, clips: int = 6, frames: int = 40):
    """Scores that know the events a little, as a system and its ground truth."""
    rng = np.random.default_rng(seed)
    edges = np.round(np.arange(frames + 1) * 0.25, 6)
    events, tables = [], {}
    for clip in range(clips):
        scores = np.round(0.9 * rng.random((frames, len(LABELS))), 2)
        for at, label in enumerate(LABELS[:2]):
            for begin in (2, 22):
                if rng.random() < 0.6:
                    end = begin + int(rng.integers(3, 14))
                    events.append(
                        Event(
                            file=f"c{clip}",
                            start_s=float(edges[begin]),
                            end_s=float(edges[end]),
                            label=label,
                        )
                    )
                    scores[begin:end, at] = np.round(rng.uniform(0.7, 1, end - begin), 2)
        tables[f"c{clip}"] = ScoreTable(LABELS, edges, scores)
    listed = StrongList(tuple(tables), tuple(events), (), has_confidence=False)
    return listed, Frames(LABELS, tables)


def judged(listed, frames, samples=None):
    seconds = {clip: float(table.edges_s[-1]) for clip, table in frames.tables.items()}
    truth = truth_of(listed, seconds, LABELS, Reading())
    return judge(truth, frames, Rules(), samples=samples)


@pytest.mark.parametrize("seed", range(6))
def test_weighted_clips_equal_repeated_clips(seed):
    """Every figure of a sample is that of a data set in which its clips really stand so often."""
    listed, frames = made(seed)
    weights = draw(6, draws=3, seed=seed)[-1]
    names = [f"c{k}" for k in range(6)]
    copies = {f"c{k}": [f"c{k}_{n}" for n in range(weights[k])] for k in range(6)}
    events = [
        Event(file=copy, start_s=e.start_s, end_s=e.end_s, label=e.label)
        for e in listed.events
        for copy in copies[e.file]
    ]
    tables = {copy: frames.tables[name] for name in names for copy in copies[name]}
    repeated = StrongList(tuple(tables), tuple(events), (), has_confidence=False)
    expected = judged(repeated, Frames(LABELS, tables)).figures()
    found = judged(listed, frames, samples=weights[None]).figures(weights)
    for name, figure in expected.items():
        assert found[name].value == pytest.approx(figure.value, abs=1e-12, nan_ok=True), name
        assert found[name].by_class == pytest.approx(figure.by_class, abs=1e-12, nan_ok=True), name


def test_levels_that_no_curve_reaches_are_left_out_without_a_trace():
    """With 30 clips of 10 s, 9 false alarms end the curve."""
    listed, frames = made(3, clips=30)
    found = judged(listed, frames)
    unpruned = judged(listed, frames, samples=np.eye(30, dtype=np.int64))
    kept, every = (len(each.evaluations["psds1"].changes.clip) for each in (found, unpruned))
    assert kept < 0.7 * every
    for name, figure in unpruned.figures().items():
        assert found.figures()[name].value == figure.value, name


def test_a_class_without_events_is_named_and_in_no_mean():
    listed, frames = made(1)
    result = judged(listed, frames)
    assert result.truth.silent == ("rain",)
    for name, figure in result.figures().items():
        if len(figure.by_class):
            assert np.isnan(figure.by_class[2]), name
            assert not np.isnan(figure.by_class[:2]).any(), name
            assert not np.isnan(figure.value), name


def write_case(folder, listed, frames):
    write_strong(folder / "truth.tsv", listed.events, listed.clips)
    for clip, table in frames.tables.items():
        write_scores(folder / "scores" / f"{clip}.tsv", table)


def test_paired_differences_of_equal_and_of_worse_systems(tmp_path):
    listed, frames = made(5, clips=12)
    write_case(tmp_path, listed, frames)
    rng = np.random.default_rng(0)
    for clip, table in frames.tables.items():
        shuffled = ScoreTable(LABELS, table.edges_s, rng.permutation(table.scores))
        write_scores(tmp_path / "shuffled" / f"{clip}.tsv", shuffled)
    same = answer(
        Question(tmp_path / "truth.tsv", tmp_path / "scores", tmp_path / "scores", draws=20)
    )
    assert same.differences["mpauc"].standard_error[0] == 0.0
    assert same.differences["mpauc"].high[0] == 0.0
    assert same.spreads["mpauc"].standard_error[0] > 0.0
    found = answer(
        Question(tmp_path / "truth.tsv", tmp_path / "scores", tmp_path / "shuffled", draws=40)
    )
    lost = found.figures["mpauc"].value - found.other["mpauc"].value
    assert lost > 0.05
    spread = found.differences["mpauc"]
    assert spread.low[0] < lost < spread.high[0]
    assert spread.low[0] > 0
    record = record_of(found)
    assert record.figures["mpauc"].difference.value == pytest.approx(lost)
    text = "\n".join(lines(record))
    assert "without events, and in no mean: rain" in text
    assert "difference" in text


def test_score_tables_and_lists_read_back_as_they_were_written(tmp_path):
    listed, frames = made(2)
    table = frames.tables["c0"]
    table.scores[3, 1] = -np.inf
    write_scores(tmp_path / "c0.tsv", table)
    read = read_scores(tmp_path / "c0.tsv")
    assert read.classes == LABELS
    assert (read.edges_s == table.edges_s).all()
    assert (read.scores == table.scores).all()
    write_strong(tmp_path / "truth.tsv", listed.events[:1], ("c0", "c4"))
    again = read_strong(tmp_path / "truth.tsv")
    assert again.events == listed.events[:1]
    assert set(again.clips) == {"c0", "c4"}


def test_boxes_and_one_threshold_are_judged_alike(tmp_path):
    """A detection that is the event: everything is 1; its F1 only from its confidence on."""
    listed, _ = made(7)
    boxes = [
        Event(file=e.file, start_s=e.start_s, end_s=e.end_s, label=e.label, score=0.4)
        for e in listed.events
    ]
    seconds = dict.fromkeys(listed.clips, 10.0)
    truth = truth_of(listed, seconds, LABELS, Reading())
    figures = judge(truth, Boxes(tuple(boxes)), Rules()).figures()
    assert (figures["psds1"].value, figures["collar_f1"].value) == (1.0, 0.0)
    figures = judge(truth, Boxes(tuple(boxes)), Rules(threshold=0.4)).figures()
    assert (figures["psds2"].value, figures["collar_f1"].value) == (1.0, 1.0)
    figures = judge(truth, OperatingPoints((tuple(boxes),)), Rules()).figures()
    assert (figures["psds1"].value, figures["segment_f1_micro"].value) == (1.0, 1.0)
    assert "auroc" not in figures


def test_weak_lists(real_data):
    folder = real_data("datasets/sed/desed_layout/metadata")
    weak = read_weak(folder / "train/weak_first400.tsv")
    assert len(weak) == 400
    assert weak["YKK227gPpRn4_30.000_40.000"] == ("Alarm_bell_ringing", "Speech")


# What is refused, in one line


TRUTH = "filename\tonset\toffset\tevent_label\na.wav\t1\t2\tcat\n"
FRAMES = "onset\toffset\tcat\n0\t5\t0.2\n5\t10\t0.8\n"


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"truth.tsv": ""}, "truth.tsv: is empty"),
        ({"truth.tsv": TRUTH.replace("event_label", "event")}, "no column 'event_label'"),
        ({"truth.tsv": TRUTH + "a.wav\t3\tsoon\tcat\n"}, "truth.tsv:3: 'soon' in column 'offset'"),
        ({"truth.tsv": TRUTH + "a.wav\t3\t2\tcat\n"}, "truth.tsv:3: ends at 2 s"),
        (
            {"truth.tsv": TRUTH + "a.wav\t11\t12\tcat\n"},
            "an event starts at 11 s, but the clip ends at 10 s",
        ),
        ({"truth.tsv": TRUTH + "a.wav\t3\t4\tcatt\n"}, "class 'catt', the scores do not"),
        ({"truth.tsv": TRUTH + "a.wav\t3\t4\t\n"}, "truth.tsv:3: names no class"),
        ({"truth.tsv": TRUTH.replace("a.wav", "b.wav")}, "no event of the clips and classes"),
        ({"scores/a.tsv": FRAMES + "10\t15\n"}, "a.tsv:4: has 2 cells, the header 3"),
        ({"scores/a.tsv": FRAMES + "10\t15\tx\n"}, "a.tsv:4: 'x' is not a number"),
        ({"scores/a.tsv": FRAMES + "10\t15\tnan\n"}, "a.tsv:4: a time or score is not a number"),
        ({"scores/a.tsv": FRAMES + "11\t15\t1\n"}, "frames do not follow one another"),
        ({"scores/a.tsv": "onset\toffset\tcat\n"}, "a.tsv: has no frames"),
        ({"scores/b.tsv": FRAMES.replace("cat", "dog")}, "differ from it in the class 'cat'"),
        ({"durations.tsv": "filename\tduration\nb.wav\t10\n"}, "no duration of clip 'a'"),
        ({"durations.tsv": "filename\tduration\na.wav\t0\n"}, "durations.tsv:2: a.wav lasts 0 s"),
        ({"durations.tsv": "filename\tlength\na.wav\t10\n"}, "no column 'duration'"),
    ],
)
def test_one_line_names_what_is_wrong(tmp_path, changed, told, capsys):
    files = {"truth.tsv": TRUTH, "scores/a.tsv": FRAMES} | changed
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    options = ["--truth", str(tmp_path / "truth.tsv"), "--scores", str(tmp_path / "scores")]
    if "durations.tsv" in files:
        options += ["--audio-durations", str(tmp_path / "durations.tsv")]
    assert cli.main(["score-events", *options]) == 2
    answered = capsys.readouterr().err
    assert answered.count("\n") == 1
    assert told in answered


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--classes", "catt"], "did you mean 'cat'?"),
        (["--max-fpr", "0"], "--max-fpr: expected above 0 and at most 1, got 0"),
        (["--psds", "mine:0.5,2,0.3,0,1,100"], "--psds mine: expected shares above 0"),
        (["--windows"], "windows do not tell how long recordings are"),
    ],
)
def test_options_that_are_refused(tmp_path, options, told, capsys):
    (tmp_path / "scores").mkdir()
    (tmp_path / "truth.tsv").write_text(TRUTH)
    (tmp_path / "scores/a.tsv").write_text(FRAMES)
    paths = ["--truth", str(tmp_path / "truth.tsv"), "--scores", str(tmp_path / "scores")]
    assert cli.main(["score-events", *paths, *options]) == 2
    assert told in capsys.readouterr().err


def test_boxes_have_a_confidence_each(tmp_path):
    head = TRUTH.splitlines()[0]
    (tmp_path / "boxes.tsv").write_text(f"{head}\tconfidence\na\t1\t2\tcat\t\n")
    with pytest.raises(UserError, match=r"boxes\.tsv: a detection has no confidence"):
        read_system(tmp_path / "boxes.tsv")


def test_detections_need_durations(tmp_path):
    (tmp_path / "truth.tsv").write_text(TRUTH)
    with pytest.raises(UserError, match="--audio-durations"):
        answer(Question(tmp_path / "truth.tsv", tmp_path / "truth.tsv"))
