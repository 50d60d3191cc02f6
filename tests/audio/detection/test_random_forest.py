"""The random forest behind a detector: what it hears, and the false alarms that it takes away."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scored_tapes import Call, Tape, write_corpus, write_scores
from uncompiled_librosa import librosa

from soundgate.audio.detection.evaluation.evaluation import Asked, Folders, evaluate
from soundgate.audio.detection.evaluation.leakage import Used
from soundgate.audio.detection.forest.features import HOP, N_FFT, NAMES, of_sound
from soundgate.audio.detection.tables.benchmark import evaluate_runs
from soundgate.audio.files.reading import write as write_audio
from soundgate.audio.formats.record import read_object

if TYPE_CHECKING:
    from pathlib import Path

RATE_HZ = 8000
pytestmark = pytest.mark.slow


def tape(name: str, seed: int, *, calls: int, others: int) -> Tape:
    """Calls and things that the detector takes for calls, in turn."""
    rng = np.random.default_rng(seed)
    starts = 1.0 + 3.0 * np.arange(calls + others) + rng.uniform(0, 1, calls + others)
    made = [Call(float(s), float(s) + 1.0, heard=float(rng.uniform(0.7, 0.99))) for s in starts]
    which = rng.permutation(calls + others)
    return Tape(
        tuple(made[k] for k in sorted(which[:calls])),
        tape=name,
        duration_s=3.0 * (calls + others) + 3,
        heard_nothing=tuple(made[k] for k in which[calls:]),
    )


def write_sounds(folder: Path, tapes: dict[str, Tape]) -> None:
    """Calls are tones, other things are hisses."""
    write_corpus(folder, tapes)
    for seed, (path, of) in enumerate(tapes.items()):
        rng = np.random.default_rng(seed)
        time_s = np.arange(int(of.duration_s * RATE_HZ)) / RATE_HZ
        wave = 0.01 * rng.standard_normal(len(time_s))
        for call in of.calls:
            inside = (time_s >= call.start_s) & (time_s < call.end_s)
            wave += 0.3 * inside * np.sin(2 * np.pi * rng.uniform(700, 900) * time_s)
        for other in of.heard_nothing:
            inside = (time_s >= other.start_s) & (time_s < other.end_s)
            wave += 0.2 * inside * rng.standard_normal(len(time_s))
        write_audio(folder / path, np.clip(wave, -1, 1).astype("float32"), RATE_HZ)


def make_world(folder: Path, validation: Tape) -> Folders:
    made = Folders(*(folder / name for name in ("scores", "bench", "valscores", "corpus")))
    tapes = {f"{k}.wav": tape(str(k), k, calls=6, others=4) for k in (1, 2)}
    for corpus, scores, of in (
        (made.benchmark, made.scores, tapes),
        (made.corpus, made.validation, {"val.wav": validation}),
    ):
        write_sounds(corpus, of)
        write_scores(scores, of)
    return made


def test_forest_takes_away_what_does_not_sound_like_a_call(tmp_path):
    world = make_world(tmp_path, tape("val", 9, calls=10, others=8))
    asked = Asked(variant="v1", thresholds=(0.6,), postrf=True)
    made = evaluate(world, Used(frozenset({"val"})), asked, tmp_path / "report")
    # every hiss is a false alarm of the network; no tone is lost
    assert made.metrics["event_f1"].value == pytest.approx(2 * 12 / (12 + 20), abs=1e-6)
    assert made.metrics["postrf_event_f1"].value == 1.0
    assert made.headline[0].variants == {"random forest": "postrf_event_f1"}
    run = tmp_path / "report" / "runs" / "v1" / "len400_hop100_th60"
    index = read_object(run / "postrf" / "index.json", remedy="")
    assert index["meta"]["n_preds"] == len(index["entries"]) == 12
    assert index["meta"]["rf_model"].startswith("RandomForestClassifier")
    threshold = index["meta"]["rf_threshold"]
    assert all(entry["rf_prob"] >= threshold for entry in index["entries"])
    assert index["entries"][0]["pred_path"] == "postrf/tables/1.wav.txt"
    # the layers are rows of the table, and of the command that reads indexes again
    rows = rows_of(tmp_path / "report" / "metrics.csv")
    layers = {row["layer"]: row["f1"] for row in rows if row["variant"] == "len400_hop100_th60"}
    assert layers == {"evaluation": "0.75", "postrf": "1.0"}
    tables = tmp_path / "m.csv", tmp_path / "t.csv"
    evaluate_runs(
        world.benchmark,
        tmp_path / "report" / "runs",
        iou=0.4,
        layers=("evaluation", "postrf"),
        out=tables[0],
        per_tape=tables[1],
    )
    again = {(r["variant"], r["layer"]): r["f1"] for r in rows_of(tables[0])}
    assert again == {(r["variant"], r["layer"]): r["f1"] for r in rows}


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_too_few_examples_keep_every_detection_and_say_so(tmp_path):
    world = make_world(tmp_path, tape("val", 9, calls=3, others=1))
    asked = Asked(variant="v1", thresholds=(0.6,), postrf=True)
    made = evaluate(world, Used(frozenset({"val"})), asked, tmp_path / "report")
    assert made.metrics["postrf_event_f1"] == made.metrics["event_f1"]
    run = tmp_path / "report" / "runs" / "v1" / "len400_hop100_th60"
    assert read_object(run / "postrf" / "index.json", remedy="")["meta"]["rf_model"] == "none"
    assert "too few" in made.notes[-1]


def test_features_are_librosas():
    rng = np.random.default_rng(5)
    sound = (np.sin(2 * np.pi * 1000 * np.arange(8000) / 8000) * 0.3).astype("float32")
    sound += 0.05 * rng.standard_normal(8000).astype("float32")
    found = dict(zip(NAMES[4:], of_sound(sound, RATE_HZ), strict=True))
    options = {"n_fft": N_FFT, "hop_length": HOP, "window": np.hanning(N_FFT), "center": False}
    power = np.abs(librosa.stft(sound, **options)) ** 2
    known = {
        "centroid_hz": librosa.feature.spectral_centroid(S=power, sr=RATE_HZ, n_fft=N_FFT),
        "bandwidth_hz": librosa.feature.spectral_bandwidth(S=power, sr=RATE_HZ, n_fft=N_FFT),
        "rolloff_hz": librosa.feature.spectral_rolloff(S=power, sr=RATE_HZ, n_fft=N_FFT),
        "flatness": librosa.feature.spectral_flatness(S=power, power=1.0),
    }
    for name, values in known.items():
        assert found[f"{name}_mean"] == pytest.approx(float(values.mean()), rel=1e-3), name
        assert found[f"{name}_std"] == pytest.approx(float(values.std()), rel=1e-2, abs=1e-6), name
    mel = librosa.feature.melspectrogram(
        y=sound, sr=RATE_HZ, n_fft=N_FFT, hop_length=HOP, center=False, n_mels=40, fmin=0.0,
        htk=True, norm=None, power=2.0,
    )  # fmt: skip
    mfcc = librosa.feature.mfcc(S=np.log(mel + 1e-10), n_mfcc=13, norm="ortho")
    assert [found[f"mfcc{k}_mean"] for k in range(13)] == pytest.approx(mfcc.mean(1), abs=1e-2)


def test_sounds_shorter_than_a_frame_have_features():
    assert np.isfinite(of_sound(np.zeros(10, "float32"), RATE_HZ)).all()
