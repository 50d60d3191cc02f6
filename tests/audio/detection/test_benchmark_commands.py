"""``evaluate-benchmark`` and ``build-pred-index``, on folders of ours and of earlier tools."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scored_tapes import Call, Tape, write_corpus

from soundgate.audio.detection.tables.metrics import read_table
from soundgate.audio.files.reading import write
from soundgate.audio.formats.datasets.corpus import write_corpus_index
from soundgate.cli import main

if TYPE_CHECKING:
    from pathlib import Path

CLIPS = ("labelled/X_20250204_cut.wav_0_900.wav", "labelled/X_20250204_cut.wav_900_1800.wav")
SUFFIX = "_predict_output.log.annotation.result.txt"
HEADER = (
    "Selection\tView\tChannel\tBegin time (s)\tEnd time (s)\tLow Freq (Hz)\tHigh Freq (Hz)"
    "\tSound type\tComments\tCNN logit (mean)\n"
)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Two clips of one tape, a call each; both at 2 s, so that a mixed-up clip would be seen."""
    tapes = {CLIPS[0]: Tape((Call(2, 3),)), CLIPS[1]: Tape((Call(12, 13, quality=2),))}
    write_corpus(tmp_path / "corpus", tapes)
    return tmp_path / "corpus"


def write_run(run: Path, tables: dict[str, list[tuple[float, float]]]) -> None:
    """Tables of detections as earlier tools write them, with their lower-case header."""
    (run / "evaluation").mkdir(parents=True)
    for name, spans in tables.items():
        rows = [
            f"{k}\tSpectrogram_1\t1\t{start}\t{end}\t200\t4000\ttarget\t\t1.5\n"
            for k, (start, end) in enumerate(spans, 1)
        ]
        (run / "evaluation" / name).write_text(HEADER + "".join(rows), "utf-8")


def run_command(*words: object) -> int:
    return main([str(word) for word in words])


def test_runs_of_earlier_tools_get_an_index_and_a_row(tmp_path, corpus, capsys):
    runs = tmp_path / "runs"
    names = [f"{clip.rpartition('/')[2].removesuffix('.wav')}{SUFFIX}" for clip in CLIPS]
    tables = {names[0]: [(2.1, 3.1), (20.0, 21.0)], names[1]: [(2.0, 3.0)]}
    write_run(runs / "v1" / "len400_hop050_th90", tables)
    write_run(runs / "v2" / "len400_hop050_th90", {name: [] for name in tables})
    for model in ("v1", "v2"):
        assert run_command("build-pred-index", runs / model / "len400_hop050_th90") == 0
    index = json.loads((runs / "v1/len400_hop050_th90/evaluation/index.json").read_text("utf-8"))
    assert index["meta"]["n_preds"] == 3
    out, per_tape = tmp_path / "m.csv", tmp_path / "t.csv"
    words = ["evaluate-benchmark", "--gt", corpus / "corpus_index.json", "--runs", runs]
    assert run_command(*words, "--out", out, "--per-tape-out", per_tape) == 0
    assert capsys.readouterr().out.endswith(f"2 runs: {out}, {per_tape}\n")
    first, second = read_table(out)
    # the detection at 2 s of the second clip is false: the call at 2 s is in the first
    assert [first[name] for name in ("model", "n_gt", "n_pred", "tp", "fp", "fn")] == [
        *("v1", "2", "3", "1", "2", "1"),
    ]
    assert (first["mean_dstart_ms"], first["recall_q1"], first["recall_q2"]) == (
        "100.0",
        "1.0",
        "0.0",
    )
    assert [second[name] for name in ("model", "n_pred", "precision", "f1")] == [
        "v2",
        "0",
        "0.0",
        "0.0",
    ]


def test_layers_without_runs_and_unknown_recordings_are_refused(tmp_path, corpus, capsys):
    write_run(tmp_path / "runs/v1/a", {"elsewhere.txt": [(0, 1)]})
    assert run_command("build-pred-index", tmp_path / "runs/v1/a") == 0
    words = ["evaluate-benchmark", "--gt", corpus, "--runs", tmp_path / "runs"]
    assert run_command(*words) == 2
    assert (
        "annotations name the recording 'elsewhere', which is not there" in capsys.readouterr().err
    )
    assert run_command(*words, "--layer", "postrf") == 2
    assert "has no <model>/<variant>/postrf/index.json" in capsys.readouterr().err
    assert run_command("build-pred-index", tmp_path) == 2
    assert "has no tables (*.txt) of detections" in capsys.readouterr().err


def test_index_of_earlier_tools_is_the_truth(tmp_path):
    """Without a list of recordings: those without calls are found beside the others."""
    corpus = tmp_path / "corpus"
    for clip in CLIPS:
        (corpus / clip).parent.mkdir(parents=True, exist_ok=True)
        write(corpus / clip, np.zeros(8000 * 30, "float32"), 8000)
    entry = {
        "uid": 1,
        "hum_path": "segmented/x.wav",
        "clip_path": CLIPS[1],
        "raw_path": "raw/X_20250204_cut.wav",
        "quality": 1,
        "dur_s": 1.0,
        "clip_start_s": 2.0,
        "clip_end_s": 3.0,
        "raw_start_s": 902.0,
        "raw_end_s": 903.0,
        "clip_uid": 2,
        "raw_uid": 3,
    }
    meta = {"corpus_name": "x", "n_raw_recordings": 1, "n_labelled_clips": 2, "n_hums": 1}
    calls = {"n_hums": 1, "qualities": {"1": 1}}
    about = {"meta": meta, "distribution": {"per_clip": {"2": calls}, "per_raw": {"3": calls}}}
    (corpus / "corpus_index.json").write_text(json.dumps({**about, "entries": [entry]}), "utf-8")
    run = tmp_path / "runs/v1/len400_hop050_th90"
    write_run(run, {"X_20250204_cut.wav_900_1800.wav.txt": [(2.0, 3.0)]})
    assert run_command("build-pred-index", run) == 0
    words = ["--out", tmp_path / "m.csv", "--per-tape-out", tmp_path / "t.csv"]
    assert (
        run_command("evaluate-benchmark", "--gt", corpus, "--runs", tmp_path / "runs", *words) == 0
    )
    [row] = read_table(tmp_path / "m.csv")
    # times are on the clip's own axis, wherever on its tape it begins
    assert (row["tp"], row["fp"], row["fn"], row["mean_dstart_ms"]) == ("1", "0", "0", "0.0")


def test_detections_of_a_whole_tape_are_moved_to_its_annotated_clips(tmp_path):
    """Earlier tools predicted tapes; calls are annotated in clips of them."""
    corpus = tmp_path / "corpus"
    tapes = {CLIPS[0]: Tape((Call(2, 3),)), CLIPS[1]: Tape((Call(12, 13),))}
    index = write_corpus(corpus, tapes)
    recordings = tuple(
        each.model_copy(update={"tape": "X_20250204_cut", "raw_start_s": start_s})
        for each, start_s in zip(index.recordings, (0.0, 900.0), strict=True)
    )
    write_corpus_index(corpus, index.model_copy(update={"recordings": recordings}))
    run = tmp_path / "runs/v1/len400_hop050_th90"
    # two calls, a false alarm in the first clip, and something between the clips
    spans = [(2.0, 3.0), (20.0, 21.0), (500.0, 501.0), (912.0, 913.0)]
    write_run(run, {f"X_20250204_cut{SUFFIX}": spans})
    assert run_command("build-pred-index", run) == 0
    words = ["evaluate-benchmark", "--gt", corpus, "--runs", tmp_path / "runs"]
    words += ["--out", tmp_path / "m.csv", "--per-tape-out", tmp_path / "t.csv"]
    assert run_command(*words) == 0
    [row] = read_table(tmp_path / "m.csv")
    cells = [row[name] for name in ("n_pred", "tp", "fp", "fn", "mean_dstart_ms")]
    assert cells == ["3", "2", "1", "0", "0.0"]
