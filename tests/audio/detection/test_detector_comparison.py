"""Several detectors side by side: the steps evaluate and compare, as a pipeline runs them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from scored_tapes import Call, Tape, write_corpus, write_scores

from soundgate.audio.detection.tables.metrics import read_table
from soundgate.audio.formats.datasets.variant import (
    Region,
    VariantEntry,
    VariantIndex,
    VariantMeta,
    write_variant_index,
)
from soundgate.audio.formats.history import HISTORY
from soundgate.audio.formats.model import DESCRIPTION, WEIGHTS, digest
from soundgate.audio.formats.reports.comparison import read_comparison
from soundgate.audio.formats.reports.events import (
    calls_digest,
    read_event_report,
    read_events,
    write_events,
)
from soundgate.audio.formats.version import VersionCard, write_version
from soundgate.errors import DataError
from steps.spot.compare import compare
from steps.spot.evaluate import evaluate

if TYPE_CHECKING:
    from pathlib import Path

BENCHMARK = {
    "b1.wav": Tape((Call(2, 3.5), Call(10, 11.5)), tape="b1"),
    "b2.wav": Tape((Call(2, 3.5),), tape="b2"),
}
VALIDATION = {"v1.wav": Tape((Call(2, 3.5), Call(10, 11.5)), tape="v1"), "t1.wav": Tape(tape="t1")}


def without_second_call(tapes: dict[str, Tape]) -> dict[str, Tape]:
    """As a worse detector hears them."""
    return {path: replace(tape, calls=tape.calls[:1]) for path, tape in tapes.items()}


def write_dataset(folder: Path) -> None:
    entries = []
    for uid, (tape, split) in enumerate((("t1", "train"), ("v1", "val"), ("b1", "test"))):
        fn = f"target-Q1_{uid:06d}_2025_{tape}_0002000_0003500.wav"
        entries.append(
            VariantEntry(
                uid=uid,
                fn=fn,
                class_name="target",
                tape_key=tape,
                start_ms=2000,
                end_ms=3500,
                start_s=2.0,
                end_s=3.5,
                split=split,
                recording=f"{tape}.wav",
            )
        )
        folder.mkdir(exist_ok=True)
        (folder / fn).write_bytes(b"")
    meta = VariantMeta(
        n_total=3,
        n_target=3,
        n_noise=0,
        split_counts={"train": 1, "val": 1, "test": 1},
        validation_regions=(Region(path="v1.wav", start_s=0, end_s=30),),
    )
    write_variant_index(folder, VariantIndex(meta=meta, entries=tuple(entries)))


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """A good and a bad model, evaluated; the bad one is luckier on the benchmark."""
    write_corpus(tmp_path / "bench", BENCHMARK)
    write_corpus(tmp_path / "corpus", VALIDATION)
    write_dataset(tmp_path / "dataset")
    heard = {
        "good": (without_second_call(BENCHMARK), VALIDATION),
        "bad": (BENCHMARK, without_second_call(VALIDATION)),
    }
    for name, (bench, validation) in heard.items():
        model = tmp_path / "models" / name
        model.mkdir(parents=True)
        (model / DESCRIPTION).write_text(name, "utf-8")
        (model / WEIGHTS).write_bytes(b"")
        history = tmp_path / "histories" / name
        history.mkdir(parents=True)
        (history / HISTORY).write_text(f'{{"epoch": 1, "loss": {len(name)}}}\n', "utf-8")
        known = digest(model)
        write_scores(tmp_path / name / "scores", bench, digest=known)
        seen = {"v1.wav": validation["v1.wav"]}
        write_scores(tmp_path / name / "validation", seen, digest=known)
        evaluate(
            tmp_path / name / "scores",
            tmp_path / "bench",
            tmp_path / name / "validation",
            tmp_path / "dataset",
            tmp_path / "corpus",
            tmp_path / name / "report",
            variant=name,
            thresholds=[0.9],
        )
    write_version(tmp_path / "champion", VersionCard(name="spot", version=None))
    return tmp_path


def compared(world: Path, *, champion: str = "champion") -> Path:
    out = world / "out"
    compare(
        {f"{name}/len400_hop100": world / name / "report" for name in ("bad", "good")},
        {name: world / "models" / name for name in ("bad", "good")},
        {name: world / "histories" / name for name in ("bad", "good")},
        world / champion,
        *(out / name for name in ("report", "model", "metrics", "comparison")),
    )
    return out


def test_best_on_validation_is_passed_on_with_all_that_is_its(world):
    out = compared(world)
    report = read_event_report(out / "report")
    assert report.detector.variant == "good"
    assert [(row.variant, row.chosen) for row in report.leaderboard] == [
        ("good", True),
        ("bad", False),
    ]
    good, bad = report.leaderboard
    assert good.event_f1.value < bad.event_f1.value  # of what the benchmark says, nothing follows
    assert digest(out / "model") == report.detector.digest
    assert (out / "metrics" / HISTORY).read_text("utf-8") == '{"epoch": 1, "loss": 4}\n'
    assert sum(row.kind == "missed" for row in read_events(out / "report" / "events.jsonl")) == 1


def test_tables_have_the_rows_of_every_model(world):
    out = compared(world)
    rows = read_table(out / "report" / "metrics.csv")
    assert {(row["model"], row["chosen"]) for row in rows} == {
        (name, chosen) for name in ("good", "bad") for chosen in "01"
    }
    found = {(r["model"], r["tape"]) for r in read_table(out / "report" / "metrics_per_tape.csv")}
    assert found == {(name, tape) for name in ("good", "bad") for tape in ("b1", "b2")}
    indexes = sorted(p.relative_to(out).parts[2:4] for p in out.rglob("evaluation/index.json"))
    assert {variant for variant, _ in indexes} == {"good", "bad"}
    assert len(indexes) == 4


def test_figures_stand_beside_the_champions(world):
    assert not read_comparison(compared(world) / "comparison").compared
    card = VersionCard(name="spot", version="3", metrics={"event_f1": 0.5})
    write_version(world / "released", card)
    found = read_comparison(compared(world, champion="released") / "comparison")
    assert found.compared
    gain = found.metrics["event_f1"].difference
    assert gain is not None
    assert gain.value == pytest.approx(0.8 - 0.5)


def test_refuses_a_report_of_a_model_that_was_trained_again(world):
    (world / "models" / "good" / DESCRIPTION).write_text("again", "utf-8")
    with pytest.raises(DataError, match="model 'good' was trained again"):
        compared(world)


def test_refuses_validation_tapes_in_the_benchmark(world):
    tapes = {**BENCHMARK, "x.wav": Tape(tape="v1")}
    write_corpus(world / "bench", tapes)
    with pytest.raises(DataError, match=r"x\.wav: the tape 'v1' was trained with"):
        evaluate(
            world / "good" / "scores",
            world / "bench",
            world / "good" / "validation",
            world / "dataset",
            world / "corpus",
            world / "again",
            variant="good",
            thresholds=[],
        )


def test_equal_f1_is_ranked_by_how_well_detections_fit(world):
    """Both find all of the validation's calls; one of them hears them a little short."""
    shorter = {"v1.wav": Tape((Call(2, 3.1), Call(10, 11.1)), tape="v1")}
    write_scores(world / "good" / "validation", shorter, digest=digest(world / "models" / "good"))
    seen = {"v1.wav": VALIDATION["v1.wav"]}
    write_scores(world / "bad" / "validation", seen, digest=digest(world / "models" / "bad"))
    for name in ("good", "bad"):
        shutil.rmtree(world / name / "report")
        evaluate(
            world / name / "scores",
            world / "bench",
            world / name / "validation",
            world / "dataset",
            world / "corpus",
            world / name / "report",
            variant=name,
            thresholds=[],
        )
    first, second = read_event_report(compared(world) / "report").leaderboard
    assert (first.validation_f1.value, second.validation_f1.value) == (1.0, 1.0)
    assert first.variant == "bad"


def test_test_set_is_known_by_its_calls(world, tmp_path):
    folder = world / "good" / "report"
    report = read_event_report(folder)
    known = calls_digest(folder, report)
    assert len(known) == 64
    # what was detected is no part of it
    assert known == calls_digest(world / "bad" / "report", report)
    rows = [row for row in read_events(folder / "events.jsonl") if row.kind != "missed"]
    write_events(tmp_path / "events.jsonl", rows)
    assert calls_digest(tmp_path, report) != known
    assert calls_digest(folder, report.model_copy(update={"results": None})) == ""
