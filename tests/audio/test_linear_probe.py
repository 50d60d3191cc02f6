from __future__ import annotations

import json

import numpy as np
import pytest
import safetensors.torch
import torch
from keras_files import miniresnet, yamnet
from sklearn.linear_model import LogisticRegression
from toy_features import accuracy_on_test_clips, config, history, write_features

from soundgate.audio.classification import inference
from soundgate.audio.classification.fit import fit
from soundgate.audio.classification.plan import Plan
from soundgate.audio.classification.transfer import linear_probe, pretrained
from soundgate.audio.classification.transfer.linear_probe import Embeddings, Fit
from soundgate.audio.config import UserConfig
from soundgate.audio.files.digests import sha256_of
from soundgate.audio.formats.feature_set import read_features
from soundgate.audio.learning.distributed import Group
from soundgate.errors import ConfigError, Stopped

YAMNET = {
    "n_mels": 64, "patch_length": 96, "n_fft": 512, "hop_length": 160, "window_length": 400,
    "log_offset": 1e-3,
}  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread():
    """Small sums on several threads only wait for one another where others compute too."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def embeddings(*, multi_label=False, n_classes=3, seed=0):
    """Clips of one to four patches, classes that overlap; one value never changes."""
    rng = np.random.default_rng(seed)
    patches = rng.integers(1, 5, 60)
    targets = np.eye(n_classes, dtype=bool)[rng.integers(0, n_classes, 60)]
    if multi_label:
        targets |= rng.random(targets.shape) < 0.3
    centres = rng.normal(0, 1, (n_classes, 6))
    values = np.repeat(targets @ centres, patches, axis=0) + rng.normal(0, 1, (patches.sum(), 6))
    values = values * [1, 10, 100, 1, 1, 1] + [0, 5, 1000, 0, 0, 0]
    values[:, 5] = 7.0
    return Embeddings(torch.tensor(values, dtype=torch.float32), targets, patches)


def fitted(data, **options):
    fit = Fit(data, **{"multi_label": False, "l2": 0.01} | options)
    while not fit.converged:
        row = fit.round()
    return fit, row


def standardised(data):
    values = data.values.double().numpy()
    deviation = values.std(0)
    return (values - values.mean(0)) / np.where(deviation < 1e-6, 1, deviation)


def test_one_label_is_scikit_learns_logistic_regression():
    data = embeddings()
    fit, row = fitted(data)
    x = standardised(data)
    y = np.repeat(data.targets.argmax(1), data.patches)
    reference = LogisticRegression(C=1 / (0.01 * len(x)), tol=1e-10, max_iter=5000).fit(x, y)
    weight, bias = fit.head()
    assert (weight.dtype, weight.shape, bias.shape) == (torch.float32, (3, 6), (3,))
    logits = data.values.double() @ weight.double().T + bias.double()
    np.testing.assert_allclose(logits.softmax(1), reference.predict_proba(x), atol=1e-4)
    expected = -np.log(reference.predict_proba(x)[np.arange(len(y)), y]).mean()
    assert row["loss"] == pytest.approx(expected, abs=1e-5)
    assert row["training_accuracy"] == pytest.approx(reference.score(x, y))
    assert not weight[:, 5].any()


def test_several_labels_are_one_logistic_regression_each():
    data = embeddings(multi_label=True)
    fit, row = fitted(data, multi_label=True, l2=0.05)
    x = standardised(data)
    y = np.repeat(data.targets, data.patches, axis=0)
    expected = np.stack(
        [
            LogisticRegression(C=1 / (0.05 * len(x)), tol=1e-10)
            .fit(x, column)
            .predict_proba(x)[:, 1]
            for column in y.T
        ],
        axis=1,
    )
    scores = np.concatenate(fit.scores(data))
    np.testing.assert_allclose(scores, expected, atol=1e-4)
    loss = -(np.log(np.where(y, expected, 1 - expected))).mean()
    assert row["loss"] == pytest.approx(loss, abs=1e-4)
    assert row["training_accuracy"] == pytest.approx(((expected > 0.5) == y).all(1).mean())


def test_scores_belong_to_their_clips():
    data = embeddings()
    fit, _ = fitted(data)
    scores = fit.scores(data)
    assert [len(part) for part in scores] == data.patches.tolist()
    weight, bias = fit.head()
    logits = data.values @ weight.T + bias
    np.testing.assert_allclose(np.concatenate(scores), logits.softmax(1), atol=1e-6)


def test_blocks_change_nothing(monkeypatch):
    data = embeddings()
    whole, _ = fitted(data)
    monkeypatch.setattr(linear_probe, "_BLOCK_PATCHES", 7)
    monkeypatch.setattr(linear_probe, "_READY_BYTES", 0)
    parts, _ = fitted(data)
    torch.testing.assert_close(whole.head()[0], parts.head()[0], rtol=1e-5, atol=1e-6)


def test_a_penalty_that_is_larger_gives_smaller_weights():
    data = embeddings()
    norms = [float(fitted(data, l2=l2)[0].head()[0].norm()) for l2 in (0.001, 0.1, 10.0)]
    assert norms[0] > 2 * norms[1] > 4 * norms[2]


def test_separable_classes_converge_too():
    values = torch.tensor([[0.0], [1.0], [2.0], [3.0]])
    targets = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], bool)
    fit, row = fitted(Embeddings(values, targets, np.ones(4, int)), l2=1e-6)
    assert row["training_accuracy"] == 1.0
    assert all(torch.isfinite(part).all() for part in fit.head())


def test_a_fit_goes_on_where_its_state_was_taken(monkeypatch):
    monkeypatch.setattr(linear_probe, "ITERATIONS", 3)
    data = embeddings()
    whole, _ = fitted(data)
    begun = Fit(data, multi_label=False, l2=0.01)
    begun.round()
    begun.round()
    again = Fit(data, multi_label=False, l2=0.01)
    again.restore(begun.state())
    while not again.converged:
        again.round()
    assert torch.equal(again.head()[0], whole.head()[0])


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    folder = tmp_path_factory.mktemp("probe") / "features"
    return write_features(folder, clips_per_class=5, **YAMNET)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return yamnet(6).write(tmp_path_factory.mktemp("weights") / "mine.h5", nested=True)


def of(weights, **training_section):
    model = {"name": "yamnet", "pretrained_weights": str(weights)}
    return config(training={"model": model} | training_section)


def fit_to(tmp_path, features, chosen, **options):
    fit(features, tmp_path / "model", tmp_path / "metrics", chosen, **options)
    return json.loads((tmp_path / "model" / "model.json").read_text())


def test_a_backbone_is_frozen_and_its_head_fitted(features, weights, tmp_path, capsys):
    described = fit_to(tmp_path, features, of(weights), test_fold=1)
    rows = history(tmp_path / "metrics")
    assert [row["round"] for row in rows] == list(range(1, len(rows) + 1))
    assert described["rounds"] == len(rows)
    assert not {"epochs", "best_epoch"} & described.keys()
    assert not any("epoch" in row for row in rows)
    assert rows[-1]["loss"] < 0.7  # chance is 1.39
    assert "learning_rate" not in rows[0]
    # Features go to the network as they are.
    norm = described["normalization"]
    assert (set(norm["mean"]), set(norm["standard_deviation"])) == ({0.0}, {1.0})
    assert described["pretrained"]["sha256"] == sha256_of(weights)
    assert described["pretrained"]["name"] == "unknown"
    said = capsys.readouterr().out
    assert "starting from mine.h5, yamnet, in no table" in said
    assert "round 1: loss" in said
    # The config gives a number of epochs, and the user would wait for them.
    assert said.count("training.epochs has no effect: the pretrained layers are frozen") == 1
    # What was written is the backbone's body, and what the last round's figures are of.
    after = safetensors.torch.load_file(tmp_path / "model" / "weights.safetensors")
    plan = Plan(read_features(features), of(weights), None, None)
    before = pretrained.initialise(plan, Group(0, 1, torch.device("cpu"))).classifier.network
    body = {k: v for k, v in before.state_dict().items() if not k.startswith("head.")}
    assert all(torch.equal(after[name], value) for name, value in body.items())
    assert accuracy_on_test_clips(features, tmp_path / "model") >= 0.5  # chance is 0.25


def test_validation_figures_are_those_of_evaluation(features, weights, tmp_path):
    chosen = of(weights).model_copy(
        update={"dataset": config(dataset={"validation_split": 0.4}).dataset}
    )
    fit_to(tmp_path, features, chosen, test_fold=2)
    last = history(tmp_path / "metrics")[-1]
    opened = read_features(features)
    classifier = inference.load(tmp_path / "model")
    split = [json.loads(s) for s in (tmp_path / "model" / "split.jsonl").read_text().splitlines()]
    held = [r for r, s in zip(opened.rows, split, strict=True) if s["split"] == "validation"]
    scores = list(inference.score_clips(classifier, opened, held))
    truth = opened.targets(held)
    right = [(s.argmax(1) == t.argmax()).mean() for s, t in zip(scores, truth, strict=True)]
    counts = [len(s) for s in scores]
    assert len(held) >= 4
    assert last["validation_patch_accuracy"] == pytest.approx(np.average(right, weights=counts))
    clips = [s.mean(0).argmax() == t.argmax() for s, t in zip(scores, truth, strict=True)]
    assert last["validation_clip_accuracy"] == pytest.approx(np.mean(clips))


def test_a_stop_changes_no_byte(features, weights, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(linear_probe, "ITERATIONS", 4)
    name = "weights.safetensors"
    fit_to(tmp_path / "1", features, of(weights))
    logged = []
    with pytest.raises(Stopped, match="rounds up to 2 are kept"):
        fit_to(
            *(tmp_path / "3", features, of(weights)), stop=lambda: len(logged) >= 2,
            checkpoints=tmp_path / "k", log=lambda number, row: logged.append(number),
        )  # fmt: skip
    fit_to(
        *(tmp_path / "3", features, of(weights)), checkpoints=tmp_path / "k",
        log=lambda number, row: logged.append(number),
    )  # fmt: skip
    assert "resumed after round 2" in capsys.readouterr().out
    one, three = (tmp_path / k / "model" / name for k in "13")
    assert one.read_bytes() == three.read_bytes()
    assert logged == list(range(1, logged[-1] + 1))  # no round is told twice
    assert history(tmp_path / "3" / "metrics") == history(tmp_path / "1" / "metrics")


def test_threads_change_nothing_that_matters(features, weights, tmp_path):
    before = torch.get_num_threads()
    heads = []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            fit_to(tmp_path, features, of(weights, l2=0.1))
            assert torch.get_num_threads() == count
            after = safetensors.torch.load_file(tmp_path / "model" / "weights.safetensors")
            heads.append(after["head.weight"])
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(heads[0], heads[1], rtol=1e-3, atol=1e-5)


def test_nobody_is_told_of_epochs_who_asked_for_none(features, weights, tmp_path, capsys):
    plain = of(weights).model_dump(by_alias=True)
    del plain["training"]["epochs"]
    fit_to(tmp_path, features, UserConfig.model_validate(plain))
    assert "training.epochs" not in capsys.readouterr().out
    fit_to(tmp_path, features, UserConfig.model_validate(plain), epochs=3)  # the pipeline's epochs=
    assert "training.epochs has no effect" in capsys.readouterr().out


def test_a_stop_while_embedding_is_heard(features, weights, tmp_path):
    with pytest.raises(Stopped, match="before the classifier head was fitted"):
        fit_to(tmp_path, features, of(weights), stop=lambda: True)


def test_fine_tuning_begins_with_the_fitted_head(features, weights, tmp_path, capsys):
    fit_to(tmp_path / "probe", features, of(weights))
    chosen = of(weights, fine_tune=True, learning_rate=1e-12, epochs=1, crops_per_clip=1)
    fit_to(tmp_path / "tuned", features, chosen)
    assert "head fitted: loss" in capsys.readouterr().out
    probe, tuned = (
        safetensors.torch.load_file(tmp_path / kind / "model" / "weights.safetensors")
        for kind in ("probe", "tuned")
    )
    for name, value in probe.items():  # a rate of nothing moves nothing
        torch.testing.assert_close(tuned[name], value, rtol=1e-4, atol=1e-5)
    moved = of(weights, fine_tune=True, epochs=1, crops_per_clip=1)
    assert (moved.training.learning_rate, moved.training.label_smoothing) == (1e-4, 0.0)
    fit_to(tmp_path / "moved", features, moved)
    after = safetensors.torch.load_file(tmp_path / "moved" / "model" / "weights.safetensors")
    changed = {name for name in probe if not torch.equal(after[name], tuned[name])}
    assert "features.0.1.weight" in changed
    assert not any("running" in name for name in changed)  # normalisation is frozen


def test_a_fine_tuning_that_goes_on_fits_no_head_again(features, weights, tmp_path, capsys):
    chosen = of(weights, fine_tune=True, epochs=2, crops_per_clip=1)
    fit_to(tmp_path / "whole", features, chosen)
    capsys.readouterr()

    def stop():
        return "epoch 1 of 2" in capsys.readouterr().out

    with pytest.raises(Stopped, match="epochs up to 1 are kept"):
        fit_to(tmp_path / "cut", features, chosen, stop=stop, checkpoints=tmp_path / "k")
    capsys.readouterr()
    fit_to(tmp_path / "cut", features, chosen, checkpoints=tmp_path / "k")
    said = capsys.readouterr().out
    assert "resumed after epoch 1" in said
    assert "head fitted" not in said
    one, two = (tmp_path / kind / "model" / "weights.safetensors" for kind in ("whole", "cut"))
    assert one.read_bytes() == two.read_bytes()


def test_several_labels_are_fitted(weights, tmp_path):
    folder = write_features(tmp_path / "f", clips_per_class=5, multi_label=True, **YAMNET)
    fit_to(tmp_path, folder, of(weights))
    classifier, opened = inference.load(tmp_path / "model"), read_features(folder)
    sums = classifier.patch_scores(opened.clip_frames(opened.rows[0])).sum(1)
    assert (np.abs(sums - 1.0) > 0.01).any()


@pytest.mark.parametrize(
    ("model", "text"),
    [
        ({"name": "plain"}, r"training.model.name: .*is a yamnet, not plain; set it to yamnet"),
        ({"embedding_size": 512}, r"embedding_size: .*has 256, not 512; set it to 256"),
        ({"width": 0.5}, r"training.model.width: .*has 1.0, not 0.5; set it to 1.0"),
    ],
)
def test_a_model_that_does_not_fit_is_told_the_field(features, weights, tmp_path, model, text):
    section = {"name": "yamnet", "pretrained_weights": str(weights)} | model
    with pytest.raises(ConfigError, match=text):
        fit_to(tmp_path, features, config(training={"model": section}))


@pytest.mark.parametrize(
    ("model", "text"),
    [
        ({"n_stacks": 2, "version": "v2"}, r"training.model.n_stacks: .*has 1, not 2"),
        ({"version": "v1"}, r"training.model.version: .*has v2, not v1; set it to v2"),
        ({"version": "v2", "pooling": "max"}, r"training.model.pooling: .*has avg, not max"),
    ],
)
def test_a_residual_network_that_does_not_fit_is_told_the_field(tmp_path, model, text):
    path = miniresnet("v2", 1, pooling="avg").write(tmp_path / "x.h5")
    folder = write_features(tmp_path / "f", n_mels=64, patch_length=50)
    section = {"name": "miniresnet", "pretrained_weights": str(path)} | model
    with pytest.raises(ConfigError, match=text):
        fit_to(tmp_path, folder, config(training={"model": section}))


def test_an_input_of_another_size_is_refused(weights, tmp_path):
    folder = write_features(tmp_path / "f", **(YAMNET | {"patch_length": 48}))
    with pytest.raises(ConfigError, match=r"set feature_extraction.patch_length: 96$"):
        fit_to(tmp_path, folder, of(weights))


def test_an_unknown_file_may_have_other_features_and_is_told(weights, tmp_path, capsys):
    folder = write_features(tmp_path / "f", **(YAMNET | {"fmin": 50.0}), clips_per_class=5)
    fit_to(tmp_path, folder, of(weights))
    assert "were trained with feature_extraction.fmin: 125" in capsys.readouterr().out


def test_a_known_file_is_told_every_value_it_needs(real_data, tmp_path):
    path = real_data("weights/miniresnet_1_stacks_backbone.h5")
    folder = write_features(tmp_path / "f", n_mels=64, patch_length=96)
    model = {"name": "miniresnet", "version": "v1", "pretrained_weights": str(path)}
    with pytest.raises(ConfigError, match="was trained on other features; set") as caught:
        fit_to(tmp_path, folder, config(training={"model": model}))
    for text in ("patch_length: 50", "n_fft: 1024", "hop_length: 320", "center: true",
                 "power: 2", "fmin: 20", "norm: slaney", "htk: false", "to_db: true"):  # fmt: skip
        assert f"feature_extraction.{text}" in str(caught.value)
    assert "target_rate" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_keras_file_is_told(features, tmp_path):
    (tmp_path / "x.onnx").write_bytes(b"something else")
    with pytest.raises(ConfigError, match=r"x.onnx is not a Keras .h5"):
        fit_to(tmp_path, features, of(tmp_path / "x.onnx"))


def test_the_measured_standardisation_is_undone_before_a_backbone(features, weights):
    plan = Plan(read_features(features), of(weights), None, None)
    initial = pretrained.initialise(plan, Group(0, 1, torch.device("cpu")))
    patches = torch.randn(2, 64, 96) * 3 - 4
    there = initial.measured.apply(patches)
    assert not torch.allclose(there, patches, atol=0.1)
    back = initial.classifier.standardisation.apply(initial.measured.undo(there))
    torch.testing.assert_close(back, patches, rtol=1e-5, atol=1e-5)
