"""``train_variants.json`` and ``benchmark_variants.json`` as users have them, and with mistakes."""

from __future__ import annotations

import json

import pytest

from pipelines.parameters.spot_variants import (
    TrainVariant,
    Window,
    read_benchmark_variants,
    read_train_variants,
)
from soundgate.errors import ConfigError

STRATEGIES = ["random_nph_0.5", "proportional_by_tape"]
SLURM = {
    "partition": "kisski",
    "gpus": "A100:2",
    "cpus": 8,
    "nodes": 1,
    "time": "01:30:00",
    "account": "kisski-alpaca",
}
PLACES = {"src_dir": "/repos/ANIMAL-SPOT", "data_root": "/data", "runs_root": "/runs"}
SEED = {
    "active_variants": ["v3_tape_proportional"],
    "globals": {**PLACES, "slurm": SLURM},
    "variants": {
        "v1_random": {"dataset": "training_corpus_v1/dataset_random_nph_0.5"},
        "v3_tape_proportional": {
            "dataset": "training_corpus_v1/dataset_proportional_by_tape",
            "sequence_len": 400,
            "n_fft": 2048,
            "hop_length": 1024,
        },
    },
}


@pytest.fixture
def read(tmp_path):
    """Reads a document as train variants."""

    def read_document(document):
        path = tmp_path / "train_variants.json"
        path.write_text(json.dumps(document))
        return read_train_variants(str(path), STRATEGIES, ["random_nph_0.5"])

    return read_document


def test_reads_the_variants_of_users(read):
    found = read(SEED)
    assert found.by_name == {
        "v3_tape_proportional": TrainVariant(
            dataset="proportional_by_tape", sequence_len=400, n_fft=2048, hop_length=1024
        )
    }
    assert (found.cpus, found.hours) == (8, 1.5)


def test_without_variants_every_active_strategy_is_one(read):
    shared = {"sequence_len": 400, "n_fft": 2048, "hop_length": 1024}
    found = read({"globals": {**PLACES, **shared}})
    assert found.by_name == {"v1_random_nph_0.5": TrainVariant(dataset="random_nph_0.5", **shared)}


def test_further_keys_are_those_of_animal_spot(read):
    variant = {"dataset": "random_nph_0.5", "freq_compression": "mel", "augmentation": False}
    found = read({"variants": {"a": variant}})
    assert found.by_name["a"].settings == ("freq_compression=mel", "augmentation=false")
    with pytest.raises(ConfigError, match=r"variants\.a: .*freq_compression"):
        read({"variants": {"a": {**variant, "freq_compression": "bark"}}})
    with pytest.raises(ConfigError, match=r"variants\.a: .*unknown key 'n_ftt'.*'n_fft'"):
        read({"variants": {"a": {**variant, "n_ftt": 512}}})


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"active_variants": ["v9"], "variants": SEED["variants"]}, "no 'v9'; "),
        ({"active_variants": [], "variants": SEED["variants"]}, "name at least one variant"),
        ({"variants": {"a": {}}}, r"variants\.a\.dataset: name a data set, not None"),
        (
            {"variants": {"a": {"dataset": "dataset_rndom_nph_0.5"}}},
            "did you mean 'random_nph_0.5'",
        ),
        (
            {"variants": {"a": {"dataset": "random_nph_0.5", "n_fft": 2048.5}}},
            r"variants\.a\.n_fft: must be a whole number",
        ),
        ({"globals": {"slurm": {"time": "soon"}}}, r"slurm\.time: write hours:minutes:seconds"),
        ({"globals": {"slurm": {"gpu": 1}}}, "no field 'gpu'; did you mean 'gpus'"),
        ({"varients": {}}, "no field 'varients'; did you mean 'variants'"),
    ],
)
def test_mistakes_name_the_variant_and_the_field(read, document, told):
    with pytest.raises(ConfigError, match=told):
        read(document)


@pytest.mark.parametrize(
    ("time", "hours"), [("02:30:00", 2.5), ("1-12:00:00", 36), ("90", 1.5), ("30:00", 0.5)]
)
def test_times_are_slurms(read, time, hours):
    found = read({**SEED, "globals": {"slurm": {"time": time}}})
    assert found.hours == pytest.approx(hours)


@pytest.fixture
def read_benchmark(tmp_path):
    """Reads a document as benchmark variants."""

    def read_document(document):
        path = tmp_path / "benchmark_variants.json"
        path.write_text(json.dumps(document))
        return read_benchmark_variants(str(path))

    return read_document


def test_thresholds_of_one_window_are_one_prediction(read_benchmark):
    listed = [
        {"seq_len": seq_len, "hop": 0.05, "threshold": threshold}
        for seq_len in (0.4, 0.29)
        for threshold in (0.9, 0.3)
    ]
    found = read_benchmark(listed)
    assert found.windows == (Window(seq_len=0.4, hop=0.05), Window(seq_len=0.29, hop=0.05))
    assert found.thresholds == (0.3, 0.9)
    # 0.29 * 1000 is less than 290: earlier tools called it len289
    assert [window.name for window in found.windows] == ["len400_hop050", "len290_hop050"]
    assert read_benchmark({"variants": {str(n): entry for n, entry in enumerate(listed)}}) == found


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ([], "must list variants"),
        ([{"seq_len": 0.4, "hop": 0.05}], "variant 1: has no threshold"),
        ([{"seq_len": 0.4, "hop": 0, "threshold": 0.5}], r"variant 1\.hop: must be more than 0"),
        ([{"seq_len": 0.4, "hop": 0.05, "threshold": 90}], r"threshold: must be between 0 and 1"),
        ([{"seq_len": "0.4", "hop": 0.05, "threshold": 1}], r"seq_len: must be a number"),
        ([{"seqlen": 0.4}], "no field 'seqlen'; did you mean 'seq_len'"),
        (
            [
                {"seq_len": 0.4, "hop": 0.05, "threshold": 0.5},
                {"seq_len": 0.4001, "hop": 0.05, "threshold": 0.5},
            ],
            "variant 2: differs from len400_hop050 by less than a millisecond",
        ),
    ],
)
def test_mistakes_name_the_benchmark_variant(read_benchmark, document, told):
    with pytest.raises(ConfigError, match=told):
        read_benchmark(document)
