from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import soundfile
import torch
from toy_features import CLASSES, config, read_rows, write_features

from soundgate.audio.classification.comparison.against_champion import Candidate
from soundgate.audio.classification.comparison.comparison import compare
from soundgate.audio.classification.evaluation import evaluate
from soundgate.audio.classification.fit import fit
from soundgate.audio.clips.manifest import Clip, write_manifest
from soundgate.audio.config import parse
from soundgate.audio.extraction.log_mel import extract
from soundgate.errors import DataError
from steps.compare import compare as compare_step

TRAINING = {"epochs": 3, "learning_rate": 0.01}


def _manifest(folder, rows):
    folder.mkdir(parents=True, exist_ok=True)
    clips = [Clip(row["path"], tuple(row["labels"]), source=row["source"]) for row in rows]
    write_manifest(folder / "manifest.jsonl", sorted(clips, key=lambda clip: clip.path))
    return folder


def _candidate(folder, **options):
    torch.set_num_threads(1)
    features = write_features(folder / "features", clips_per_class=15, **options)
    clips = _manifest(folder / "clips", read_rows(features))
    chosen = config(training=TRAINING, data_augmentation={"gain": {}})
    fit(features, folder / "model", folder / "metrics", chosen)
    evaluate(features, folder / "model", folder / "report")
    return Candidate(clips, features, folder / "model", folder / "report")


@pytest.fixture(scope="module")
def candidate(tmp_path_factory):
    return _candidate(tmp_path_factory.mktemp("candidate"))


@pytest.fixture(scope="module")
def multi_label(tmp_path_factory):
    return _candidate(tmp_path_factory.mktemp("multi"), multi_label=True)


def _version(folder, model, **fields):
    folder.mkdir(parents=True, exist_ok=True)
    if model is not None:
        shutil.copytree(model, folder / "model")
    version = {"name": "aed", "version": "3", "run_id": "abc", "aliases": ["champion"], **fields}
    (folder / "version.json").write_text(json.dumps(version))
    return folder


def _results(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("kind", ["candidate", "multi_label"])
def test_a_model_against_itself_differs_in_nothing(kind, request, tmp_path, capsys):
    candidate = request.getfixturevalue(kind)
    champion = _version(tmp_path / "version", candidate.model)
    result = compare(candidate, champion, tmp_path / "out").as_json()
    figures = json.loads((candidate.report / "evaluation.json").read_text())
    accuracies = figures["multiclass_classification_metrics"]
    for name in ("clip_acc", "patch_acc"):
        same = {key: accuracies[name][key] for key in ("value", "low", "high")}
        assert result[name]["candidate"] == same
        assert result[name]["champion"] == same
        assert result[name]["difference"]["value"] == 0
        assert result[name]["difference"]["low"] < 0 < result[name]["difference"]["high"]
    assert result["mcnemar"]["p_value"] == 1.0
    assert result["clips"] == figures["clips"]
    assert set(result["left_out"].values()) == {0}
    assert json.loads((tmp_path / "out/comparison.json").read_text())["compared"] is True
    theirs = _results(tmp_path / "out/champion_predictions.jsonl")
    assert theirs == _results(candidate.report / "predictions.jsonl")
    assert "McNemar p = 1" in capsys.readouterr().out


def _another(folder, features, **options):
    """A worse model on the same features."""
    chosen = config(training={"epochs": 1, "learning_rate": 1e-3}, **options)
    fit(features, folder / "model", folder / "metrics", chosen)
    return folder / "model"


def test_figures_are_those_counted_by_hand(candidate, tmp_path):
    model = _another(tmp_path, candidate.inputs)
    result = compare(candidate, _version(tmp_path / "v", model), tmp_path / "out").as_json()
    ours = {row["path"]: row for row in _results(candidate.report / "predictions.jsonl")}
    theirs = _results(tmp_path / "out/champion_predictions.jsonl")
    assert len(theirs) == len(ours) == result["clips"]
    better = sum(ours[row["path"]]["correct"] and not row["correct"] for row in theirs)
    worse = sum(row["correct"] and not ours[row["path"]]["correct"] for row in theirs)
    assert better > 0
    assert result["mcnemar"]["only_candidate_right"] == better
    assert result["mcnemar"]["only_champion_right"] == worse
    gap = result["clip_acc"]["difference"]
    assert gap["value"] == pytest.approx((better - worse) / len(theirs), abs=1e-6)
    assert gap["low"] <= gap["value"] <= gap["high"]
    patches = sum(row["patches_correct"] for row in theirs) / sum(row["patches"] for row in theirs)
    assert result["patch_acc"]["champion"]["value"] == pytest.approx(patches, abs=1e-6)
    for row in result["per_class"]:
        right = sum(r["correct"] for r in theirs if r["truth"] == [row["label"]])
        assert row["champion"]["recall"] == pytest.approx(right / row["clips"], abs=1e-6)
        expected = row["candidate"]["f1"] - row["champion"]["f1"]
        assert row["difference"]["f1"] == pytest.approx(expected, abs=2e-6)


def test_a_champion_of_other_classes_decides_among_its_own(candidate, tmp_path):
    """The champion knows cow and no rain: rain is left out, and cow may be wrongly given."""
    other = ("bell", "cow", "dog", "other")
    features = write_features(tmp_path / "features", clips_per_class=15, classes=other)
    model = _another(tmp_path, features)
    result = compare(candidate, _version(tmp_path / "v", model), tmp_path / "out").as_json()
    tested = _results(candidate.report / "predictions.jsonl")
    rain = sum(row["truth"] == ["rain"] for row in tested)
    assert result["compared"] is True
    # The champion calls rain "other", as it does whatever it has no name for.
    assert result["left_out"]["unknown_to_champion"] == rain > 0
    assert result["classes_left_out"] == {
        "unknown_to_champion": ["rain"],
        "unknown_to_candidate": ["cow"],
    }
    assert result["clips"] == len(tested) - rain
    assert [row["label"] for row in result["per_class"]] == ["bell", "dog", "other"]
    theirs = _results(tmp_path / "out/champion_predictions.jsonl")
    assert set(theirs[0]["scores"]) == set(other)
    assert {row["truth"][0] for row in theirs} == {"bell", "dog", "other"}


def test_a_clip_the_candidate_calls_other_and_the_champion_by_name_is_left_out(candidate, tmp_path):
    rows = read_rows(candidate.inputs)
    for row in rows:
        if row["labels"] == ["other"]:
            row["labels"] = ["cow"]
    clips = _manifest(tmp_path / "clips", rows)
    knows_cow = write_features(
        tmp_path / "f", clips_per_class=15, classes=("bell", "cow", "dog", "rain")
    )
    model = _another(tmp_path, knows_cow)
    mine = Candidate(clips, candidate.inputs, candidate.model, candidate.report)
    result = compare(mine, _version(tmp_path / "v", model), tmp_path / "out").as_json()
    tested = _results(candidate.report / "predictions.jsonl")
    others = sum(row["truth"] == ["other"] for row in tested)
    assert result["left_out"]["unknown_to_candidate"] == others > 0
    assert result["clips"] == len(tested) - others


def test_recordings_the_champion_was_trained_on_are_left_out(candidate, tmp_path):
    version = _version(tmp_path / "v", candidate.model)
    split = version / "model" / "split.jsonl"
    rows = _results(split)
    tested = {row["path"]: row for row in _results(candidate.report / "predictions.jsonl")}
    # One clip of a pair: its twin, of the same recording, must go too.
    pairs = [path for path in sorted(tested) if path.endswith("000.wav")]
    seen = next(row for row in rows if row["path"] == pairs[0])
    seen["split"] = "validation"
    split.write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = compare(candidate, version, tmp_path / "out").as_json()
    twins = [path for path, row in tested.items() if row["source"] == tested[pairs[0]]["source"]]
    assert result["left_out"]["champion_trained_on"] == len(twins) == 2
    assert result["clips"] == len(tested) - 2


def test_a_recording_that_is_cut_otherwise_since_the_champion_is_left_out(candidate, tmp_path):
    """Its split names a part of a file; the manifest no longer has that part, but others of it."""
    version = _version(tmp_path / "v", candidate.model)
    split = version / "model" / "split.jsonl"
    path = _results(candidate.report / "predictions.jsonl")[0]["path"]
    seen = {"path": path, "start_s": 0.0, "end_s": 0.7, "split": "training"}
    split.write_text(f"{split.read_text()}{json.dumps(seen)}\n")
    result = compare(candidate, version, tmp_path / "out").as_json()
    assert result["left_out"]["champion_trained_on"] == 2  # the clip and its twin
    compared = {row["path"] for row in _results(tmp_path / "out/champion_predictions.jsonl")}
    assert path not in compared


def test_a_champion_trained_on_everything_is_not_compared(candidate, tmp_path, capsys):
    version = _version(tmp_path / "v", candidate.model)
    split = version / "model" / "split.jsonl"
    split.write_text(split.read_text().replace('"test"', '"training"'))
    result = compare(candidate, version, tmp_path / "out").as_json()
    assert result["compared"] is False
    assert result["clip_acc"]["difference"] is None
    assert "trained on the recordings" in result["reason"]
    assert "not compared" in capsys.readouterr().out
    assert (tmp_path / "out/champion_predictions.jsonl").read_text() == ""


def test_a_champion_that_shares_no_class_is_not_compared(candidate, tmp_path):
    classes = ("cow", "hen", "pig", "sheep")
    model = _another(tmp_path, write_features(tmp_path / "f", classes=classes))
    result = compare(candidate, _version(tmp_path / "v", model), tmp_path / "out").as_json()
    assert (result["compared"], result["clip_acc"]["difference"]) == (False, None)
    assert result["reason"] == "the champion shares no class with the candidate"
    assert result["classes_left_out"]["unknown_to_champion"] == list(CLASSES)


def test_several_labels_and_one_are_not_compared(candidate, multi_label, tmp_path):
    version = _version(tmp_path / "v", multi_label.model)
    result = compare(candidate, version, tmp_path / "out").as_json()
    assert result["clip_acc"]["difference"] is None
    assert "the champion is multi-label, the candidate single-label" in result["reason"]


def test_without_a_champion_nothing_is_worse_than_it(candidate, tmp_path):
    version = _version(tmp_path / "v", None, version=None)
    compare_step(
        *(candidate.inputs, candidate.clips, candidate.report, candidate.model),
        *(version, tmp_path / "out"),
    )
    result = json.loads((tmp_path / "out/comparison.json").read_text())
    assert (result["champion"], result["compared"]) == (None, False)
    assert result["clip_acc"]["difference"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert result["reason"] == "there is no champion yet"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda v: (v / "version.json").unlink(), "version.json: cannot be read: No such file"),
        (lambda v: (v / "version.json").write_text("{"), "version.json: is damaged"),
        (lambda v: shutil.rmtree(v / "model"), "model.json: cannot be read: No such file"),
        (lambda v: (v / "model/model.json").write_text("{}"), "model.json: format None is not"),
        (lambda v: (v / "model/split.jsonl").write_text("{}\n"), "split.jsonl:1: is damaged"),
        (
            lambda v: (v / "model/weights.safetensors").write_text(""),
            "weights.safetensors: is damaged",
        ),
    ],
)
def test_a_damaged_champion_is_one_line(candidate, tmp_path, damage, message):
    version = _version(tmp_path / "v", candidate.model)
    damage(version)
    with pytest.raises(DataError) as error:
        compare(candidate, version, tmp_path / "out")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_clip_that_is_in_no_manifest_is_named(candidate, tmp_path):
    clips = _manifest(tmp_path / "clips", read_rows(candidate.inputs)[:1])
    mine = Candidate(clips, candidate.inputs, candidate.model, candidate.report)
    with pytest.raises(DataError, match="but the clips' manifest does not"):
        compare(mine, _version(tmp_path / "v", candidate.model), tmp_path / "out")


# Real audio: the champion hears at another rate, in other bands.

SOUND = """
dataset: {n_folds: 2, validation_split: 0, test_fold: 1}
preprocessing: {min_length: 0.5, target_rate: %d}
feature_extraction: {n_mels: %d, patch_length: 16, fmax: 3900}
training: {epochs: 8, learning_rate: 0.01, precision: float32, model: {name: plain, width: 0.25}}
"""


def _tones(folder):
    """Low and high tones of 0.6 s; the file of a pair holds both clips one after another."""
    (folder / "audio").mkdir(parents=True)
    clips = []
    for k in range(8):
        label, hertz = ("low", 300) if k % 2 else ("tall", 2500)
        time_s = np.arange(int(1.2 * 16_000)) / 16_000
        wave = 0.3 * np.sin(2 * np.pi * (hertz + 9 * k) * time_s)
        path = f"audio/{k}.wav"
        soundfile.write(folder / path, np.stack([wave, wave], 1), 16_000)
        ends = ((0.0, 0.6), (0.6, 1.2))
        clips += [Clip(path, (label,), start_s=a, end_s=b, fold=k // 2 % 2 + 1) for a, b in ends]
    write_manifest(folder / "manifest.jsonl", clips)
    return folder


def _trained(folder, clips, rate_hz, mels):
    chosen = parse(SOUND % (rate_hz, mels), "config.yaml")
    extract(clips, folder / "features", chosen)
    fit(folder / "features", folder / "model", folder / "metrics", chosen)
    return folder


def test_a_champion_with_other_features_hears_the_audio_itself(tmp_path, capsys):
    torch.set_num_threads(1)
    clips = _tones(tmp_path / "clips")
    ours = _trained(tmp_path / "ours", clips, 16_000, 32)
    theirs = _trained(tmp_path / "theirs", clips, 8_000, 24)
    for each in (ours, theirs):
        evaluate(each / "features", each / "model", each / "report")
    mine = Candidate(clips, ours / "features", ours / "model", ours / "report")
    version = _version(tmp_path / "v", theirs / "model")
    capsys.readouterr()
    result = compare(mine, version, tmp_path / "out", batch_size=3).as_json()
    assert "features of its own" in capsys.readouterr().out
    assert result["clips"] == 8
    # Computed from the audio, its scores are those that its own features gave.
    found = _results(tmp_path / "out/champion_predictions.jsonl")
    expected = _results(theirs / "report/predictions.jsonl")
    assert [row["start_s"] for row in found] == [row["start_s"] for row in expected]
    for one, other in zip(found, expected, strict=True):
        assert one["scores"] == pytest.approx(other["scores"], abs=2e-6)
        assert one["patches"] == other["patches"]


def test_patch_length_alone_does_not_compute_anything_again(candidate, tmp_path, capsys):
    version = _version(tmp_path / "v", candidate.model)
    path = version / "model/model.json"
    text = path.read_text()
    assert '"overlap": 0.25' in text
    path.write_text(text.replace('"overlap": 0.25', '"overlap": 0.0'))
    compare(candidate, version, tmp_path / "out")  # there is no audio
    assert "features of its own" not in capsys.readouterr().out


def test_clips_without_features_are_named(candidate, tmp_path):
    features = write_features(tmp_path / "f", clips_per_class=1)
    mine = Candidate(candidate.clips, features, candidate.model, candidate.report)
    with pytest.raises(DataError, match="has no clip"):
        compare(mine, _version(tmp_path / "v", candidate.model), tmp_path / "out")
