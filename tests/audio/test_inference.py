from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
import safetensors.torch
import torch
from toy_features import CLASSES, MELS, PATCH, write_features

from soundgate.audio.classification import inference
from soundgate.audio.config import FeatureExtraction, Preprocessing
from soundgate.audio.formats import model as model_format
from soundgate.audio.formats.feature_set import read_features
from soundgate.audio.networks import models
from soundgate.audio.signal.standardisation import Standardisation
from soundgate.errors import DataError


@pytest.fixture(scope="module")
def features(tmp_path_factory):
    return write_features(tmp_path_factory.mktemp("toy") / "features")


def _write_model(folder, *, multi_label=False, name="plain", include_last_patch=False):
    torch.manual_seed(2)
    network = models.build(name, len(CLASSES), {"width": 0.5})
    with torch.no_grad():
        network.head.weight.mul_(8.0)  # untrained scores would all be alike
    description = model_format.Description(
        architecture=name,
        size={"width": 0.5},
        classes=CLASSES,
        multi_label=multi_label,
        preprocessing=Preprocessing(),
        feature_extraction=FeatureExtraction(
            n_mels=MELS, patch_length=PATCH, overlap=0.25, include_last_patch=include_last_patch
        ),
        standardisation=Standardisation(
            np.linspace(-4, -3, MELS, dtype=np.float32), np.full(MELS, 1.5, np.float32)
        ),
    )
    model_format.write(folder, description, network.state_dict(), [])
    return network


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy") / "model"
    _write_model(folder)
    return folder


def test_patch_scores_are_the_networks_on_each_patch_by_hand(tmp_path):
    network = _write_model(tmp_path / "model").eval()
    classifier = inference.load(tmp_path / "model", torch.device("cpu"))
    frames = np.random.default_rng(0).normal(-4, 1, (41, MELS)).astype(np.float16)
    scores = classifier.patch_scores(frames)
    # 16 frames a patch, 4 shared with the next: patches start at 0, 12, 24.
    assert scores.shape == (3, len(CLASSES))
    assert scores.dtype == np.float32
    mean = np.linspace(-4, -3, MELS, dtype=np.float32)
    for scored, start in zip(scores, (0, 12, 24), strict=True):
        patch = (frames[start : start + 16].astype(np.float32) - mean) / np.float32(1.5)
        with torch.inference_mode():
            logits = network(torch.from_numpy(patch.T[None, None].copy()))
        np.testing.assert_allclose(scored, logits.softmax(1)[0].numpy(), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(scores.sum(1), 1.0, rtol=1e-5)


def test_multi_label_scores_are_sigmoids(tmp_path):
    network = _write_model(tmp_path / "model", multi_label=True).eval()
    classifier = inference.load(tmp_path / "model", torch.device("cpu"))
    frames = np.random.default_rng(0).normal(-4, 1, (16, MELS)).astype(np.float16)
    patch = classifier.standardisation.apply(torch.from_numpy(frames.T[None].astype(np.float32)))
    with torch.inference_mode():
        expected = network(patch.unsqueeze(1)).sigmoid().numpy()
    np.testing.assert_allclose(classifier.patch_scores(frames), expected, rtol=1e-4, atol=1e-6)


def test_the_last_patch_is_scored_where_the_features_say_so(tmp_path):
    _write_model(tmp_path / "model", include_last_patch=True)
    classifier = inference.load(tmp_path / "model")
    frames = np.random.default_rng(0).normal(-4, 1, (41, MELS)).astype(np.float16)
    scores = classifier.patch_scores(frames)
    assert len(scores) == 4
    np.testing.assert_allclose(scores[3], classifier.patch_scores(frames[25:])[0], rtol=1e-4)


def test_a_clip_shorter_than_a_patch_is_repeated(model):
    classifier = inference.load(model)
    frames = np.random.default_rng(0).normal(-4, 1, (5, MELS)).astype(np.float16)
    repeated = np.concatenate([frames] * 4)[:PATCH]
    np.testing.assert_array_equal(
        classifier.patch_scores(frames), classifier.patch_scores(repeated)
    )


@pytest.mark.parametrize("batch_size", [1, 2, 3, 5, 64, 100_000])
def test_batch_sizes_agree_and_clips_keep_their_order(features, model, batch_size):
    opened, classifier = read_features(features), inference.load(model)
    scored = list(inference.score_clips(classifier, opened, opened.rows, batch_size))
    assert len(scored) == len(opened.rows)
    for row, scores in zip(opened.rows, scored, strict=True):
        alone = classifier.patch_scores(opened.clip_frames(row), batch_size=64)
        assert scores.shape == alone.shape
        np.testing.assert_allclose(scores, alone, rtol=2e-4, atol=1e-6)
        np.testing.assert_allclose(
            inference.clip_scores(scores), inference.clip_scores(alone), rtol=2e-4, atol=1e-6
        )


def test_scoring_is_a_stream(features, model):
    opened, classifier = read_features(features), inference.load(model)
    taken = []

    def rows():
        for row in opened.rows:
            taken.append(row)
            yield row

    stream = inference.score_clips(classifier, opened, rows(), batch_size=4)
    next(stream)
    assert len(taken) < 8


def test_no_clips_give_no_scores(features, model):
    opened, classifier = read_features(features), inference.load(model)
    assert list(inference.score_clips(classifier, opened, [])) == []


def test_clip_scores_are_means_in_double_precision():
    scores = np.array([[0.1, 0.9], [0.8, 0.2], [0.6, 0.4]], np.float32)
    assert inference.clip_scores(scores).dtype == np.float64
    np.testing.assert_allclose(inference.clip_scores(scores), [0.5, 0.5], rtol=1e-7)
    many = np.full((1_000_001, 1), 0.1, np.float32)
    assert inference.clip_scores(many)[0] == pytest.approx(float(np.float32(0.1)), rel=1e-12)
    rng = np.random.default_rng(1)
    drawn = rng.random((999, 3)).astype(np.float32)
    shuffled = drawn[rng.permutation(999)]
    np.testing.assert_allclose(
        inference.clip_scores(drawn), inference.clip_scores(shuffled), rtol=1e-13
    )


def test_ties_go_to_the_first_class():
    scores = np.array([[0.2, 0.4, 0.4], [0.5, 0.0, 0.5], [0.1, 0.2, 0.7]])
    decided = inference.decide(scores, multi_label=False)
    assert decided.argmax(1).tolist() == [1, 0, 2]
    assert decided.sum(1).tolist() == [1, 1, 1]


def test_multi_label_decides_at_one_half():
    decided = inference.decide(np.array([[0.5, 0.49, 0.9], [0.1, 0.2, 0.3]]), multi_label=True)
    assert decided.tolist() == [[True, False, True], [False, False, False]]


def test_weights_are_never_unpickled(tmp_path):
    _write_model(tmp_path / "model")

    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("a pickle was run",))

    (tmp_path / "model" / "weights.safetensors").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(DataError, match=r"weights\.safetensors: is damaged"):
        inference.load(tmp_path / "model")


def _edit(folder, **changes):
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda f: (f / "model.json").unlink(), r"model\.json: cannot be read"),
        (lambda f: (f / "weights.safetensors").unlink(), r"weights\.safetensors: cannot be read"),
        (lambda f: (f / "model.json").write_text("{"), r"model\.json: is damaged"),
        (lambda f: (f / "model.json").write_text("[]"), r"model\.json: is damaged"),
        (lambda f: _edit(f, format="soundgate.model/9"), "format 'soundgate.model/9' is not"),
        (lambda f: _edit(f, architecture="plian"), "did you mean 'plain'"),
        (lambda f: _edit(f, classes=["bell"]), "does not fit"),
        (lambda f: _edit(f, size={"width": "wide"}), "does not fit"),
        (
            lambda f: (f / "weights.safetensors").write_bytes(
                (f / "weights.safetensors").read_bytes()[:-100]
            ),
            r"weights\.safetensors: is damaged; train the model again",
        ),
    ],
)
def test_a_damaged_model_is_named_in_one_line(tmp_path, damage, text):
    folder = tmp_path / "model"
    _write_model(folder)
    damage(folder)
    with pytest.raises(DataError, match=text) as caught:
        inference.load(folder)
    assert "\n" not in str(caught.value)


def test_every_architecture_survives_the_folder(tmp_path):
    for name in models.MODELS:
        network = _write_model(tmp_path / name, name=name)
        _, loaded = inference.read_network(tmp_path / name)
        weights = safetensors.torch.load_file(tmp_path / name / "weights.safetensors")
        for key, value in network.state_dict().items():
            assert torch.equal(loaded.state_dict()[key], value)
            assert torch.equal(weights[key], value)
