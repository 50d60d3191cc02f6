"""The embedding pipeline: tasks for shards and octaves, and what depends on what."""

from __future__ import annotations

import pytest

from pipelines.parameters.sec import SecParameters
from pipelines.sec import get_pipeline
from soundgate.errors import ParameterError
from soundgate.parameters import ConfigFile

CONFIG = """
dataset: {name: synthetic}
encoder: {name: yamnet, path: weights.h5}
valid_cut_secs: [5, 7]
"""


@pytest.fixture
def declare(tmp_path, monkeypatch):
    """Declares the pipeline with a config and values that override it; returns its tasks."""
    (tmp_path / "c.yaml").write_text(CONFIG)
    (tmp_path / "weights.h5").touch()
    monkeypatch.chdir(tmp_path)

    def declared(overrides=(), **chosen):
        config = ConfigFile("c.yaml", tuple(overrides))
        return get_pipeline(
            SecParameters(config=config, **{"shards": 2, "heads": [], **chosen})
        ).tasks

    return declared


def changed(before, after):
    """Tasks of ``before`` that are not what they were."""
    return {name for name, task in before.items() if after.get(name) != task}


def test_a_task_for_every_shard_and_octave(declare):
    tasks = declare(octaves=[1, 3])
    assert list(tasks) == [
        *("fetch", "plan", "embed-000", "embed-001", "merge"),
        *("bands-1-000", "bands-1-001", "bands-3-000", "bands-3-001"),
        *("merge-bands-1", "merge-bands-3"),
    ]
    assert tasks["plan"].arguments["cut_s"] == 5


def test_another_octave_changes_no_task_that_was_there(declare):
    assert not changed(declare(octaves=[3]), declare(octaves=[1, 3, 12]))


def test_the_length_of_segments_reaches_the_plan(declare):
    assert declare(cut_secs=7.0)["plan"].arguments["cut_s"] == 7


def test_heads_are_trained_on_the_merged_embeddings(declare):
    tasks = declare(heads=["ridge:regularisation=3"])
    (trained,) = [task for name, task in tasks.items() if name.startswith("train-head")]
    assert trained.arguments["embeddings"].task == "merge"
    assert "register" in tasks


def test_settings_of_a_classifier_change_no_embedding(declare):
    before = declare()
    after = declare([("epochs", 3), ("patience", 1), ("batch_size", 8)])
    assert not changed(before, after)
    other = declare([("seed", 5)])
    assert changed(before, other) == {"plan", "merge"}


def test_an_encoder_without_weights_is_refused_where_it_is_submitted(declare):
    with pytest.raises(ParameterError, match=r"encoder.path: clap-2023 needs its weights: --set"):
        declare([("encoder", {"name": "clap-2023"})])


@pytest.mark.parametrize(
    ("chosen", "problem"),
    [
        ({"octaves": [3, 3]}, "octaves: .* name each once"),
        ({"audio_format": ".wav"}, "audio_format: write wav, without the dot"),
        ({"octaves": [], "hdf5": True}, "hdf5: the files hold levels too"),
    ],
)
def test_impossible_parameters_are_refused(chosen, problem):
    with pytest.raises(ParameterError, match=problem):
        SecParameters(**chosen)
