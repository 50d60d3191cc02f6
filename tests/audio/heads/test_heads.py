from __future__ import annotations

import dataclasses
import sys

import numpy as np
import pytest
import toy_embeddings
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from soundgate.audio.classification.heads import ridge
from soundgate.audio.classification.heads.fit import Asked, fit
from soundgate.audio.classification.heads.grids import GRIDS, heads_of
from soundgate.audio.classification.heads.head import read_head
from soundgate.audio.classification.heads.settled import rows_of
from soundgate.audio.formats.embeddings.vectors import read_embeddings, write_embeddings
from soundgate.audio.formats.history import read_history
from soundgate.audio.formats.model import SPLIT, digest
from soundgate.audio.formats.models.embedding_classifier import head_settings
from soundgate.audio.formats.record import read_lines
from soundgate.cli import main
from soundgate.errors import ConfigError, DataError, MissingExtra, ParameterError, Stopped

HEADS = {
    "ridge": ("ridge", ["regularisation=10"]),
    "linear": ("linear", ["learning_rate=0.01"]),
    "mlp": ("mlp", ["hidden=8,4", "learning_rate=0.01"]),
    "trees": ("xgboost", ["n_estimators=20", "max_depth=2"]),
}


@pytest.fixture(scope="module")
def embeddings(tmp_path_factory):
    return toy_embeddings.write(tmp_path_factory.mktemp("toy") / "embeddings")


def trained(name, embeddings, folder, **asked):
    kind, settings = HEADS[name]
    if kind == "xgboost":
        pytest.importorskip("xgboost", reason="xgboost is not installed")
    fit(
        embeddings,
        folder / "model",
        folder / "metrics",
        head_settings(kind, settings),
        Asked(name=name, **{"epochs": 30, **asked}),
    )
    return read_head(folder / "model")


@pytest.mark.parametrize("name", HEADS)
def test_every_kind_learns_is_read_back_and_trains_to_the_same_bytes(name, embeddings, tmp_path):
    head = trained(name, embeddings, tmp_path / "first")
    test = rows_of(read_embeddings(embeddings), "test")
    scores = head.scores(test.values)
    assert scores.shape == (len(test), 3)
    assert np.allclose(scores.sum(1), 1, atol=1e-6)
    assert (scores.argmax(1) == test.numbers).mean() > 0.75  # a third by chance
    assert head.about.segment_s == 1.0
    trained(name, embeddings, tmp_path / "second")
    assert digest(tmp_path / "first/model") == digest(tmp_path / "second/model")
    sides = list(read_lines(tmp_path / "first/model" / SPLIT, dict, remedy=""))
    assert len(sides) == 66  # a row a track, not a segment
    assert {row["split"] for row in sides} == {"training", "validation", "test"}


@pytest.mark.parametrize("regularisation", [0.1, 30.0])
def test_ridge_is_scikit_learn_s_on_standardised_embeddings(embeddings, regularisation):
    rows = rows_of(read_embeddings(embeddings), "train")
    weight, bias = ridge.solve(rows, 3, regularisation)
    values = StandardScaler().fit_transform(rows.values.astype(np.float64))
    expected = Ridge(alpha=regularisation).fit(values, np.eye(3)[rows.numbers]).predict(values)
    assert np.allclose(rows.values @ weight.T + bias, expected, atol=1e-9)


def test_ridge_without_a_penalty_copes_with_fewer_rows_than_numbers(embeddings):
    rows = rows_of(read_embeddings(embeddings), "train")
    wide = dataclasses.replace(rows, values=np.tile(rows.values, (1, 20)))  # rank 6 of 120
    weight, bias = ridge.solve(wide, 3, 0.0)
    narrow, narrow_bias = ridge.solve(rows, 3, 0.0)
    assert np.allclose(
        wide.values @ weight.T + bias, rows.values @ narrow.T + narrow_bias, atol=1e-6
    )


def test_ridge_adds_up_blocks(embeddings, monkeypatch):
    rows = rows_of(read_embeddings(embeddings), "train")
    whole = ridge.solve(rows, 3, 1.0)
    monkeypatch.setattr(ridge, "_BLOCK_ROWS", 7)
    assert all(map(np.allclose, whole, ridge.solve(rows, 3, 1.0)))


def test_temperature_makes_scores_of_known_odds_calibrated():
    random = np.random.default_rng(0)
    logits = random.standard_normal((4000, 3))
    odds = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    numbers = (odds.cumsum(1) < random.random((4000, 1))).sum(1)
    assert ridge.temperature(logits * 7, numbers) == pytest.approx(7, rel=0.05)
    right = np.eye(3)[[0, 1, 2]]
    assert 0.05 < ridge.temperature(right, np.array([0, 1, 2])) < 1  # all right is no certainty


def test_a_linear_head_converges_to_logistic_regression(tmp_path):
    # clouds that overlap: of clouds that can be told apart the least loss lies at infinity
    embeddings = toy_embeddings.write(tmp_path / "embeddings", spread=1.5)
    kind, settings = "linear", ["learning_rate=0.1", "optimiser=adam"]
    asked = Asked(epochs=300, patience=300, batch_size=48)
    fit(embeddings, tmp_path / "model", tmp_path, head_settings(kind, settings), asked)
    rows = rows_of(read_embeddings(embeddings), "train")
    values = StandardScaler().fit_transform(rows.values.astype(np.float64))
    reference = LogisticRegression(C=1e9, max_iter=2000).fit(values, rows.numbers)
    fitted = reference.predict_proba(values)[np.arange(len(rows)), rows.numbers]
    history = read_history(tmp_path)
    assert history[-1]["loss"] == pytest.approx(-np.log(fitted).mean(), abs=1e-3)
    kept = history[read_head(tmp_path / "model").about.best_epoch - 1]
    assert kept["es_accuracy"] == max(row["es_accuracy"] for row in history)


def test_training_stops_early_and_keeps_the_best_epoch(embeddings, tmp_path):
    head = trained("linear", embeddings, tmp_path, epochs=150, patience=3)
    rows = read_history(tmp_path / "metrics")
    assert head.about.epochs == len(rows) < 150
    best = max(range(len(rows)), key=lambda k: (rows[k]["es_accuracy"], -rows[k]["es_loss"]))
    assert head.about.best_epoch == best + 1


def test_a_killed_training_ends_with_the_bytes_of_an_undisturbed_one(embeddings, tmp_path):
    trained("linear", embeddings, tmp_path / "whole", epochs=6, patience=6, batch_size=8)
    calls = iter(range(10_000))
    asked = {"epochs": 6, "patience": 6, "batch_size": 8, "checkpoints": tmp_path / "kept"}
    with pytest.raises(Stopped, match="epochs up to 2 are kept"):
        trained("linear", embeddings, tmp_path / "killed", stop=lambda: next(calls) > 14, **asked)
    trained("linear", embeddings, tmp_path / "killed", **asked)
    assert digest(tmp_path / "killed/model") == digest(tmp_path / "whole/model")


def test_a_head_refuses_embeddings_of_another_encoder(embeddings, tmp_path):
    head = trained("ridge", embeddings, tmp_path)
    used = toy_embeddings.ENCODER.model_copy(update={"digest": "cd" * 32})
    with pytest.raises(DataError, match=r"encoder\.digest is cdcd.* but the head was trained on"):
        head.check_encoder(used, "embeddings")


def test_a_class_without_training_segments_is_refused(tmp_path):
    found, vectors = toy_embeddings.rows()
    write_embeddings(
        tmp_path / "e", toy_embeddings.ENCODER, (*toy_embeddings.CLASSES, "owl"), found, vectors
    )
    with pytest.raises(DataError, match="no segment of owl is in the split train"):
        trained("ridge", tmp_path / "e", tmp_path)


def test_damaged_weights_are_one_line(embeddings, tmp_path):
    trained("ridge", embeddings, tmp_path)
    path = tmp_path / "model/weights.safetensors"
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(DataError, match="is damaged; train the head again"):
        read_head(tmp_path / "model")


@pytest.mark.parametrize(
    ("kind", "values", "text"),
    [
        ("ridg", [], "head: unknown head 'ridg'; did you mean 'ridge'"),
        ("ridge", ["regularisation"], "settings: 'regularisation': write KEY=VALUE"),
        ("ridge", ["regularisation=-1"], r"settings: ridge\.regularisation: .*greater than"),
        ("linear", ["hidden=3"], r"settings: linear\.hidden: Extra inputs"),
        ("mlp", ["hidden=8,x"], r"settings: mlp\.hidden: .*integer"),
    ],
)
def test_wrong_settings_are_one_line(kind, values, text):
    with pytest.raises(ConfigError, match=text):
        head_settings(kind, values)


def test_the_published_grid_has_53_heads_with_names_that_fit_tasks():
    heads = heads_of(["ridge", "sgd", "adam", "xgboost"])
    assert len(heads) == 9 + 4 + 4 + 36
    assert list(heads)[:2] == ["ridge-regularisation-0", "ridge-regularisation-0p001"]
    assert heads["linear-optimiser-sgd-learning-rate-0p0001"].settings[-1] == "learning_rate=0.0001"
    for name, tried in heads.items():
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
        head_settings(tried.kind, tried.settings)
    assert all(head_settings(one.kind, one.settings) for grid in GRIDS.values() for one in grid)


def test_single_heads_are_named_and_unknown_grids_refused():
    [(name, tried)] = heads_of(["mlp:hidden=256,64:dropout=0.5"]).items()
    assert name == "mlp-hidden-256x64-dropout-0p5"
    assert head_settings(tried.kind, tried.settings).hidden == (256, 64)
    with pytest.raises(ParameterError, match="heads: 'rige' is no grid; did you mean 'ridge'"):
        heads_of(["rige"])


def test_trees_cannot_be_exported_and_the_extra_is_named_where_it_is_missing(
    embeddings, tmp_path, monkeypatch
):
    trained("trees", embeddings, tmp_path)
    assert main(["export-head", str(tmp_path / "model"), str(tmp_path / "head.onnx")]) == 2
    assert not (tmp_path / "head.onnx").exists()
    monkeypatch.setitem(sys.modules, "xgboost", None)
    with pytest.raises(MissingExtra, match=r"pip install 'soundgate\[xgboost\]'"):
        read_head(tmp_path / "model").scores(np.zeros((1, 6), np.float32))
