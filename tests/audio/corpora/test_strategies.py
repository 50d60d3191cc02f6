"""``dataset_prep_configs.json`` as users have it, and mistakes in it."""

from __future__ import annotations

import json

import pytest

from soundgate.audio.datasets.corpora.strategies import (
    NoiseMining,
    Strategy,
    read_strategies,
)
from soundgate.errors import ConfigError

USERS = {
    "active_strategies": ["clipwise_balanced_nph_2"],
    "strategies": {
        "random_nph_0.5": {
            "split_strategy": "random",
            "seed": 42,
            "min_quality": 1,
            "noise_per_hum": 0.5,
            "noise_mining": {"margin_s": 0.1, "fallback_raw": True},
        },
        "clipwise_balanced_nph_2": {
            "split_strategy": "clipwise_balanced",
            "seed": 1404,
            "min_quality": 1,
            "noise_per_hum": 2,
            "noise_mining": {"margin_s": 0.2, "fallback_raw": False},
        },
    },
}


def test_reads_the_file_of_users(tmp_path):
    path = tmp_path / "dataset_prep_configs.json"
    path.write_text(json.dumps(USERS))
    read = read_strategies(path)
    assert read.chosen() == {
        "clipwise_balanced_nph_2": Strategy(
            split_strategy="clipwise_balanced",
            seed=1404,
            noise_per_hum=2,
            noise_mining=NoiseMining(margin_s=0.2, fallback_raw=False),
        )
    }
    assert read.by_name["random_nph_0.5"].noise_per_hum == 0.5
    assert read.by_name["random_nph_0.5"].group_by == "tape"


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"split_strategy": "randm"}, r"strategies\.s\.split_strategy: .*did you mean 'random'"),
        ({"sed": 1}, r"strategies\.s: no field 'sed'; did you mean 'seed'"),
        ({"seed": 1.5}, r"strategies\.s\.seed: must be of type int, not 1\.5"),
        ({"seed": True}, r"strategies\.s\.seed: must be of type int, not True"),
        ({"noise_per_hum": -1}, r"noise_per_hum: must be at least 0, got -1"),
        ({"noise_mining": {"margin": 1}}, r"noise_mining: no field 'margin'; did you mean"),
        ({"fractions": [0.7, 0.2]}, r"fractions: give three shares"),
        ({"fractions": [0.7, 0.2, 0.2]}, r"fractions: .* must add up to 1"),
        ({"group_by": "day"}, r"group_by: no 'day'; known: tape, clip, call"),
        ({"classes": "hum"}, r"classes: must be a list, not 'hum'"),
        ([], r"strategies\.s: must be an object"),
    ],
)
def test_mistakes_name_the_strategy_and_the_field(tmp_path, values, told):
    path = tmp_path / "dataset_prep_configs.json"
    path.write_text(json.dumps({"strategies": {"s": values}}))
    with pytest.raises(ConfigError, match=told):
        read_strategies(path)


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"active_strategies": ["a"], "strategies": {"b": {}}}, "no 'a'"),
        ({"active_strategies": [], "strategies": {"b": {}}}, "name at least one"),
        ({"strategies": {"b/c": {}}}, "it is a name"),
        ({}, "no object called strategies"),
    ],
)
def test_mistakes_of_the_whole_file(tmp_path, document, told):
    path = tmp_path / "dataset_prep_configs.json"
    path.write_text(json.dumps(document))
    with pytest.raises(ConfigError, match=told):
        read_strategies(path)
    path.write_text("{")
    with pytest.raises(ConfigError, match="is not JSON"):
        read_strategies(path)
