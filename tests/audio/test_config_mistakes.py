from __future__ import annotations

import pytest
from config_texts import explained

from soundgate.audio import config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "training:\n  epocs: 3",
            "user.yaml:2: training.epocs: unknown key; did you mean 'epochs'?",
        ),
        ("trainng: {}", "user.yaml:1: trainng: unknown key; did you mean 'training'?"),
        (
            "general:\n  x: 1\n\n  gpu_memory_limt: 1",
            (
                "user.yaml:2: general.x: unknown key; known: project_name, global_seed, "
                "deterministic_ops, batch_size (and 1 more)"
            ),
        ),
        (
            "general: {gpu_memory_limt: 1}",
            "user.yaml:1: general.gpu_memory_limt: unknown key; did you mean 'gpu_memory_limit'?",
        ),
        (
            "train_parameters:\n  training_epoch: 3",
            (
                "user.yaml:2: train_parameters.training_epoch: unknown key; "
                "did you mean 'training_epochs'?"
            ),
        ),
        (
            "train_parameters:\n  batch_size: 8\n  training_epochs: 5*2",
            "user.yaml:3: train_parameters.training_epochs: expected a whole number; got '5*2'",
        ),
        (
            "training:\n  optimizer:\n    Adam:\n      learning_rte: 1",
            (
                "user.yaml:4: training.optimizer.Adam.learning_rte: unknown key; "
                "did you mean 'learning_rate'?"
            ),
        ),
        (
            "training:\n  optimizer:\n    Adam:\n      learning_rate: fast",
            "user.yaml:4: training.optimizer.Adam.learning_rate: expected a number; got 'fast'",
        ),
        (
            "training: {epochs: 2.5}",
            "user.yaml:1: training.epochs: expected a whole number; got 2.5",
        ),
        (
            "training: {epochs: true}",
            "user.yaml:1: training.epochs: expected a number, got true or false",
        ),
        (
            "dataset:\n  class_names: [rain, no]",
            "user.yaml:2: dataset.class_names.1: expected text; put it in quotes; got False",
        ),
        (
            "feature_extraction: {norm: slany}",
            (
                "user.yaml:1: feature_extraction.norm: expected slaney; got 'slany'; "
                "did you mean 'slaney'?"
            ),
        ),
        (
            "\npreprocessing: loud",
            "user.yaml:2: preprocessing: expected a section (key: value lines); got 'loud'",
        ),
        (
            "feature_extraction: {fmax: 9000}",
            (
                "user.yaml: feature_extraction.fmax 9000 Hz exceeds half of "
                "preprocessing.target_rate, 8000 Hz"
            ),
        ),
        (
            "dataset: {validation_split: 1.5}",
            "user.yaml:1: dataset.validation_split: input should be less than 1; got 1.5",
        ),
        ("seed: 1\nseed: 2", "user.yaml:2: key 'seed' stands twice in one section"),
        ("a: &a {b: *a}", "user.yaml:1: an anchor refers to itself"),
        ("- dataset", "user.yaml:1: expected sections (key: value lines)"),
        ("dataset: {1: x}", "user.yaml:1: a key must be text; put it in quotes"),
        (
            "dataset: {audio_path: a, training_audio_path: b}",
            (
                "user.yaml:1: dataset.audio_path: has the same meaning as "
                "dataset.training_audio_path; "
                "keep one of them"
            ),
        ),
        (
            "dataset: {use_garbage_class: true}",
            (
                "user.yaml:1: dataset: use_garbage_class needs class_names, because "
                "it groups the classes outside them"
            ),
        ),
    ],
)
def test_mistakes_are_explained_in_one_line(text, message):
    assert explained(text) == message


@pytest.mark.parametrize("text", ["x: [", "x: {y: }}", "a:\n\t- b", "x: '\x00'", "[" * 3000])
def test_what_is_no_yaml_is_explained(text):
    assert explained(text).startswith("user.yaml")


@pytest.mark.parametrize(
    "value",
    ["!!python/object/apply:os.system [touch EVALUATED]", "!!python/name:os.system ''"],
)
def test_python_tags_are_refused(value, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "could not determine a constructor" in explained(f"dataset: {{name: {value}}}")
    assert not list(tmp_path.iterdir())


def test_strings_that_the_zoo_evaluates_stay_strings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = "__import__('pathlib').Path('EVALUATED').touch()"
    read = config.parse(f'dataset: {{name: "{code}"}}', "user.yaml")
    assert read.dataset.name == code
    message = explained(f'training: {{optimizer: "{code}", epochs: "{code}"}}')
    assert "expected" in message
    assert not list(tmp_path.iterdir())
