from __future__ import annotations

import json
import re

import numpy as np
import pytest
import safetensors.torch
import torch
import toy_features
from toy_features import accuracy_on_test_clips, config, history, write_features

from soundgate.audio.classification import batches, inference
from soundgate.audio.classification.fit import fit
from soundgate.audio.formats.feature_set import read_features
from soundgate.errors import ConfigError, DataError, ParameterError, Stopped


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    return write_features(tmp_path_factory.mktemp("toy") / "features")


@pytest.mark.parametrize("name", ["plain", "yamnet", "miniresnet"])
def test_a_few_epochs_learn_the_classes_and_write_the_folder(features, tmp_path, name):
    width = 1.0 if name == "yamnet" else 0.25
    model = {"name": name, "width": width}
    chosen = config(
        training={"epochs": 8, "model": model, "learning_rate": 0.01}, dataset={"seed": 3}
    )
    fit(features, tmp_path / "model", tmp_path / "metrics", chosen, test_fold=2)
    described = json.loads((tmp_path / "model" / "model.json").read_text())
    assert described["format"] == "soundgate.model/1"
    assert described["architecture"] == name
    assert described["classes"] == list(toy_features.CLASSES)
    assert described["input"] == {"patch_frames": 16, "n_mels": 16}
    assert described["epochs"] == 8
    assert 1 <= described["best_epoch"] <= 8
    assert described["seed"] == 120
    weights = safetensors.torch.load_file(tmp_path / "model" / "weights.safetensors")
    numbers = sum(v.numel() for k, v in weights.items() if "running" not in k and "num_" not in k)
    assert described["parameters"] == numbers
    rows = history(tmp_path / "metrics")
    assert [row["epoch"] for row in rows] == list(range(1, 9))
    assert rows[-1]["loss"] < rows[0]["loss"]
    # The kept epoch is the one with the best clip accuracy and, of equals, the lowest loss.
    merits = [(r["validation_clip_accuracy"], -r["validation_loss"]) for r in rows]
    assert described["best_epoch"] == 1 + merits.index(max(merits))
    assert accuracy_on_test_clips(features, tmp_path / "model") >= 0.75
    assert list((tmp_path / "metrics" / "tensorboard").glob("events.*"))


def test_validation_figures_are_those_of_the_finished_model(features, tmp_path):
    """The written weights, scored anew, give the history's figures of the best epoch."""
    fit(features, tmp_path / "model", tmp_path / "metrics", config())
    best = json.loads((tmp_path / "model" / "model.json").read_text())["best_epoch"]
    opened, classifier = read_features(features), inference.load(tmp_path / "model")
    split = (tmp_path / "model" / "split.jsonl").read_text().splitlines()
    sides = [json.loads(line)["split"] for line in split]
    rows = [row for row, side in zip(opened.rows, sides, strict=True) if side == "validation"]
    right, patches, patches_right, loss = 0, 0, 0, 0.0
    for row in rows:
        scores = classifier.patch_scores(opened.clip_frames(row))
        k = opened.info.classes.index(row.labels[0])
        right += int(scores.mean(0).argmax() == k)
        patches += len(scores)
        patches_right += int((scores.argmax(1) == k).sum())
        loss -= float(np.log(scores[:, k]).sum())
    kept = history(tmp_path / "metrics")[best - 1]
    assert kept["validation_clip_accuracy"] == pytest.approx(right / len(rows))
    assert kept["validation_patch_accuracy"] == pytest.approx(patches_right / patches)
    assert kept["validation_loss"] == pytest.approx(loss / patches, rel=1e-4)


def test_without_validation_the_last_epoch_is_kept(features, tmp_path):
    chosen = config(dataset={"validation_split": 0.0})
    logged = []
    fit(
        *(features, tmp_path / "model", tmp_path / "metrics", chosen),
        epochs=2,
        log=lambda epoch, figures: logged.append((epoch, dict(figures))),
    )
    assert json.loads((tmp_path / "model" / "model.json").read_text())["best_epoch"] == 2
    rows = history(tmp_path / "metrics")
    assert [epoch for epoch, _ in logged] == [1, 2]
    assert logged[1][1] == {key: value for key, value in rows[1].items() if key != "epoch"}
    assert "validation_loss" not in rows[0]


def test_prints_a_line_an_epoch_and_the_kept_epochs_validation_accuracies(
    features, tmp_path, capsys
):
    from pipeline_parameters import TRAINING_METRICS

    fit(features, tmp_path / "model", tmp_path / "metrics", config())
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines[:4]] == [f"epoch {k} of 4" for k in range(1, 5)]
    best = json.loads((tmp_path / "model" / "model.json").read_text())["best_epoch"]
    kept = history(tmp_path / "metrics")[best - 1]
    assert kept["validation_clip_accuracy"] != kept["validation_patch_accuracy"]
    for metric in TRAINING_METRICS:  # what a console looks for
        [found] = re.findall(metric.regex, "\n".join(lines))
        key = metric.name.replace(":", "_")
        assert float(found) == pytest.approx(kept[key], abs=1e-6)


def test_changing_the_test_clips_changes_nothing_in_training(features, tmp_path, capsys):
    """No figure and no weight of a training depends on the clips that are left for the test."""

    def trained(name, features):
        folder = tmp_path / name
        capsys.readouterr()
        fit(features, folder / "model", folder / "metrics", config(), epochs=2)
        said = capsys.readouterr().out.splitlines()[2:]  # after the epochs, which give times
        weights = (folder / "model" / "weights.safetensors").read_bytes()
        return weights, history(folder / "metrics"), said

    before = trained("before", features)
    changed = write_features(tmp_path / "changed")
    frames = np.load(changed / "frames.npy")
    split = (tmp_path / "before" / "model" / "split.jsonl").read_text().splitlines()
    for row, entry in zip(toy_features.read_rows(changed), split, strict=True):
        if json.loads(entry)["split"] == "test":
            frames[row["first_frame"] : row["first_frame"] + row["frames"]] = 0
    np.save(changed / "frames.npy", frames)
    assert trained("after", changed) == before


def test_two_trainings_write_the_same_bytes_and_another_seed_others(features, tmp_path):
    def bytes_of(name, seed):
        folder = tmp_path / name
        chosen = config(general={"global_seed": seed})
        fit(features, folder / "model", folder / "metrics", chosen, epochs=2)
        return {path.name: path.read_bytes() for path in sorted((folder / "model").iterdir())}

    first = bytes_of("a", 1)
    assert set(first) == {"model.json", "weights.safetensors", "split.jsonl"}
    assert first == bytes_of("b", 1)
    assert first["weights.safetensors"] != bytes_of("c", 2)["weights.safetensors"]


def test_the_callers_random_numbers_are_left_alone(features, tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    fit(features, tmp_path / "model", tmp_path / "metrics", config(), epochs=1)
    assert torch.equal(torch.rand(1), expected)
    assert not torch.are_deterministic_algorithms_enabled()


def test_finish_ends_with_the_epoch_and_keeps_what_was_learnt(features, tmp_path):
    epochs = []
    fit(
        *(features, tmp_path / "model", tmp_path / "metrics", config()),
        finish=lambda: len(epochs) == 2,
        log=lambda epoch, _: epochs.append(epoch),
    )
    assert epochs == [1, 2]
    assert (tmp_path / "model" / "weights.safetensors").is_file()


def test_stop_throws_the_epoch_away_and_keeps_the_ones_before(features, tmp_path, capsys):
    folders = features, tmp_path / "model", tmp_path / "metrics"
    epochs = []
    calls = []

    def stop():
        calls.append(len(epochs))
        return calls.count(2) == 3  # in the third batch of the third epoch

    with pytest.raises(Stopped, match="stopped in epoch 3; epochs up to 2 are kept"):
        fit(
            *folders, config(), checkpoints=tmp_path / "k", stop=stop,
            log=lambda epoch, _: epochs.append(epoch),
        )  # fmt: skip
    assert epochs == [1, 2]
    assert not (tmp_path / "model").exists()
    fit(*folders, config(), checkpoints=tmp_path / "k", log=lambda e, _: epochs.append(e))
    assert epochs == [1, 2, 3, 4]
    assert "resumed after epoch 2" in capsys.readouterr().out
    # A finished training only writes its outputs again.
    before = (tmp_path / "model" / "weights.safetensors").read_bytes()
    fit(*folders, config(), checkpoints=tmp_path / "k", log=lambda e, _: epochs.append(e))
    assert epochs == [1, 2, 3, 4]
    assert (tmp_path / "model" / "weights.safetensors").read_bytes() == before
    assert len(history(tmp_path / "metrics")) == 4


def test_a_checkpoint_of_other_data_or_config_is_passed_over(features, tmp_path, capsys):
    folders = tmp_path / "model", tmp_path / "metrics"
    fit(features, *folders, config(), epochs=1, checkpoints=tmp_path / "k")
    for changed in (
        {"config": config(training={"learning_rate": 0.1})},
        {"test_fold": 2},
        {"features": write_features(tmp_path / "more", clips_per_class=12)},
    ):
        capsys.readouterr()
        arguments = {"config": config(), "features": features, **changed}
        fit(
            arguments.pop("features"), *folders, arguments.pop("config"),
            epochs=1, checkpoints=tmp_path / "k", **arguments,
        )  # fmt: skip
        assert "of another training" in capsys.readouterr().out


@pytest.mark.parametrize("schedule", ["plateau", "cosine", "constant"])
def test_resuming_is_exact_with_every_schedule(features, tmp_path, schedule):
    callbacks = {"ReduceLROnPlateau": {"patience": 1, "min_delta": 0.5}}
    chosen = config(
        training={
            "schedule": schedule,
            "optimizer": {"name": "sgd", "momentum": 0.9, "clipnorm": 1.0},
            "learning_rate": 0.05,
            **({"callbacks": callbacks} if schedule == "plateau" else {}),
        }
    )
    fit(features, tmp_path / "a", tmp_path / "ma", chosen)

    def stop():
        return len(seen) == 2

    seen: list[int] = []
    arguments = {"checkpoints": tmp_path / "k", "log": lambda epoch, _: seen.append(epoch)}
    with pytest.raises(Stopped):
        fit(features, tmp_path / "b", tmp_path / "mb", chosen, stop=stop, **arguments)
    fit(features, tmp_path / "b", tmp_path / "mb", chosen, **arguments)
    assert history(tmp_path / "ma") == history(tmp_path / "mb")
    name = "weights.safetensors"
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    rates = [row["learning_rate"] for row in history(tmp_path / "ma")]
    assert (len(set(rates)) > 1) == (schedule != "constant")


def test_early_stopping_ends_before_the_last_epoch(features, tmp_path):
    callbacks = {"EarlyStopping": {"patience": 2, "min_delta": 1.0, "restore_best_weights": False}}
    chosen = config(training={"epochs": 9, "callbacks": callbacks})
    fit(features, tmp_path / "model", tmp_path / "metrics", chosen)
    described = json.loads((tmp_path / "model" / "model.json").read_text())
    assert described["epochs"] == described["best_epoch"] == 3


def test_multi_label_learns_every_label(tmp_path):
    features = write_features(tmp_path / "features", clips_per_class=15, multi_label=True)
    chosen = config(training={"epochs": 15, "learning_rate": 0.02}, data_augmentation={"gain": {}})
    fit(features, tmp_path / "model", tmp_path / "metrics", chosen)
    assert json.loads((tmp_path / "model" / "model.json").read_text())["multi_label"]
    assert accuracy_on_test_clips(features, tmp_path / "model") >= 0.8  # chance is below 0.1
    classifier, opened = inference.load(tmp_path / "model"), read_features(features)
    sums = classifier.patch_scores(opened.clip_frames(opened.rows[0])).sum(1)
    assert (np.abs(sums - 1.0) > 0.05).any()  # probabilities of their own, no softmax


def test_a_pretrained_body_stays_as_it_is_unless_it_is_fine_tuned(features, tmp_path):
    fit(features, tmp_path / "donor", tmp_path / "m", config(), test_fold=1)
    donor = safetensors.torch.load_file(tmp_path / "donor" / "weights.safetensors")
    two = write_features(tmp_path / "two", classes=("bell", "rain"))
    for fine_tune in (False, True):
        chosen = config(training={"model": {"width": 0.25}, "fine_tune": fine_tune})
        chosen = chosen.starting_from(tmp_path / "donor")
        fit(two, tmp_path / "model", tmp_path / "m", chosen)
        after = safetensors.torch.load_file(tmp_path / "model" / "weights.safetensors")
        same = {name for name, value in after.items() if torch.equal(value, donor[name])}
        body = {name for name in after if not name.startswith("head.")}
        statistics = {name for name in body if "running" in name or "num_batches" in name}
        assert same == (statistics if fine_tune else body)
        ours, theirs = (
            json.loads((tmp_path / folder / "model.json").read_text())["normalization"]
            for folder in ("model", "donor")
        )
        assert ours == theirs


def test_a_checkpoint_that_began_with_other_weights_is_passed_over(features, tmp_path, capsys):
    begun = config().starting_from(tmp_path / "donor")
    for seed in (1, 2):  # other weights at the same path, standardised alike
        first = config(general={"global_seed": seed})
        fit(features, tmp_path / "donor", tmp_path / "m", first, epochs=1)
        fit(
            features, tmp_path / "model", tmp_path / "m", begun, epochs=1,
            checkpoints=tmp_path / "k",
        )  # fmt: skip
    assert "resumed" not in capsys.readouterr().out
    fit(features, tmp_path / "model", tmp_path / "m", begun, epochs=1, checkpoints=tmp_path / "k")
    assert "resumed after round" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("weights", "text"),
    [
        ({"pretrained_weights": True}, "give the path of a model"),
        ({"pretrained_weights": "nowhere"}, "does not exist"),
        ({"name": "yamnet"}, "is plain .*set training.model to it"),
    ],
)
def test_pretrained_weights_that_do_not_fit_are_refused(features, tmp_path, weights, text):
    if "name" in weights:
        fit(features, tmp_path / "donor", tmp_path / "m", config(), epochs=1)
        weights = {"pretrained_weights": str(tmp_path / "donor"), **weights}
    with pytest.raises(ConfigError, match=text):
        fit(features, tmp_path / "model", tmp_path / "m", config(training={"model": weights}))


def test_frames_on_disk_train_to_the_same_bytes_as_frames_in_memory(
    features, tmp_path, monkeypatch
):
    fit(features, tmp_path / "a", tmp_path / "m", config(), epochs=2)
    monkeypatch.setattr(batches, "RESIDENT_BYTES", 0)
    fit(features, tmp_path / "b", tmp_path / "m", config(), epochs=2)
    name = "weights.safetensors"
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_deterministic_kernels_are_asked_for_during_the_training_only(features, tmp_path):
    seen = []
    fit(
        *(features, tmp_path / "model", tmp_path / "metrics"),
        config(general={"deterministic_ops": True}),
        epochs=1,
        log=lambda *_: seen.append(torch.are_deterministic_algorithms_enabled()),
    )
    assert seen == [True]
    assert not torch.are_deterministic_algorithms_enabled()


def test_no_epochs_are_refused(features, tmp_path):
    with pytest.raises(ParameterError, match="epochs must be at least 1, got 0"):
        fit(features, tmp_path / "model", tmp_path / "m", config(), epochs=0)


def test_patches_too_small_for_any_network_are_refused(tmp_path):
    features = write_features(tmp_path / "features", patch_length=8)
    with pytest.raises(ConfigError, match="patch_length 16"):
        fit(features, tmp_path / "model", tmp_path / "metrics", config())


def test_a_loss_that_leaves_the_numbers_is_reported(features, tmp_path):
    chosen = config(
        training={
            "optimizer": {"name": "sgd"}, "learning_rate": 1e30, "schedule": "constant"
        }
    )  # fmt: skip
    with pytest.raises(ConfigError, match="learning_rate: the loss of epoch 1 is"):
        fit(features, tmp_path / "model", tmp_path / "metrics", chosen)


def test_damaged_features_are_named(tmp_path):
    features = write_features(tmp_path / "features")
    frames = np.load(features / "frames.npy")
    np.save(features / "frames.npy", frames[:-3])
    with pytest.raises(DataError, match=r"frames\.npy: shape"):
        fit(features, tmp_path / "model", tmp_path / "metrics", config())
