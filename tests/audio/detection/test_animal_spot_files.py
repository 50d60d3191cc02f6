"""Files of ANIMAL-SPOT: configurations, and models that are read without running code."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from test_animal_spot import GOLDEN, needs_golden, sound, state

from soundgate.audio.config.animal_spot import apply, classes_of, read_cfg, read_settings
from soundgate.audio.config.spot import SpotConfig, parse_spot
from soundgate.audio.detection import network, published
from soundgate.audio.detection.conversion import convert
from soundgate.cli import main
from soundgate.errors import ConfigError, DataError

CFG = """# a training of the server
src_dir=/somewhere/ANIMAL-SPOT
debug=true
data_dir=/data/dataset_v3
noise_dir=
max_train_epochs=40
batch_size=16
lr=10e-5
beta1=0.5
lr_patience_epochs=8
num_workers=0
sequence_len=300
freq_compression=mel
n_freq_bins=64
n_fft=1024
hop_length=512
sr=44100
augmentation=true
resnet=34
num_classes=2
max_pool=2
min_max_norm=true
fmin=300
fmax=6000
"""
DATA = {
    "sr": 48000,
    "preemphases": 0.98,
    "n_fft": 2048,
    "hop_length": 1024,
    "n_freq_bins": 128,
    "fmin": 200,
    "fmax": 4000,
    "freq_compression": "linear",
    "min_level_db": -100,
    "ref_level_db": 20,
}


def saved(path, **changes):
    """A file as ANIMAL-SPOT saves it."""
    content = {
        "encoderOpts": {
            "input_channels": 1,
            "conv_kernel_size": 7,
            "max_pool": 1,
            "resnet_size": 18,
        },
        "classifierOpts": {"input_channels": 512, "pooling": "avg", "num_classes": 2},
        "dataOpts": DATA,
        "encoderState": OrderedDict(state("encoder")),
        "classifierState": OrderedDict(state("classifier")),
        "classes": {"noise": 0, "target": 1},
    }
    torch.save(content | changes, path)
    return path


def test_a_cfg_file_is_read_into_the_config():
    values = read_cfg(CFG, "a.cfg")
    config = apply(SpotConfig(), values)
    audio = config.audio
    assert (audio.sample_rate_hz, audio.n_fft, audio.hop_length) == (44100, 1024, 512)
    assert (audio.freq_compression, audio.n_freq_bins, audio.window_s) == ("mel", 64, 0.3)
    assert (audio.fmin_hz, audio.fmax_hz, audio.normalisation) == (300, 6000, "min_max")
    assert (config.model.name, config.model.max_pool) == ("RESNET34", 2)
    assert config.augmentation.enabled
    training = config.training
    assert training.learning_rate == pytest.approx(16 * 10e-5)
    assert (training.epochs, training.batch_size, training.lr_patience_epochs) == (40, 16, 8)
    assert classes_of(values) == 2
    assert classes_of({}) is None


def test_flags_that_a_file_lacks_are_false_and_those_of_settings_stay():
    assert apply(SpotConfig(), read_cfg("n_fft=512", "a.cfg")).audio.normalisation == "reference"
    changed = apply(SpotConfig(), read_settings(["n_fft=512"]))
    assert (changed.audio.normalisation, changed.audio.n_fft) == ("min_max", 512)
    assert changed.augmentation.enabled


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("n_ftt=2", r"a\.cfg:1: unknown key 'n_ftt'; did you mean 'n_fft'"),
        ("\nn_fft=2\nn_fft=4", r"a\.cfg:3: n_fft is given twice"),
        ("n_fft 2", r"a\.cfg:1: 'n_fft 2' must be key=value"),
    ],
)
def test_faults_of_a_cfg_file_are_one_line_with_its_place(text, words):
    with pytest.raises(ConfigError, match=words):
        read_cfg(text, "a.cfg")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["n_fft=many"], "n_fft: .*valid integer.*'many'"),
        (["min_max_norm=1"], "min_max_norm must be true or false"),
        (["lr=fast"], "lr must be a number"),
        (["freq_compression=bark"], "freq_compression: .*'linear', 'mel' or 'mfcc'"),
    ],
)
def test_values_that_are_not_allowed_are_refused_with_their_key(words, reason):
    with pytest.raises(ConfigError, match=reason):
        apply(SpotConfig(), read_settings(words))


def test_a_misspelt_key_of_the_config_is_answered_with_the_right_one():
    with pytest.raises(ConfigError, match=r"c\.yaml:2.*audio\.n_ftt.*n_fft"):
        parse_spot("audio:\n  n_ftt: 2\n", "c.yaml")
    with pytest.raises(ConfigError, match="stretch"):
        parse_spot("augmentation:\n  stretch: [2, 1]\n", "c.yaml")


@needs_golden
def test_a_published_model_becomes_a_model_folder_with_its_scores(tmp_path, capsys):
    path = saved(tmp_path / "ANIMAL-SPOT.pk")
    folder = tmp_path / "model"
    code = main(["import-detector", str(path), str(folder), "--normalisation", "reference"])
    assert code == 0, capsys.readouterr()
    description, detector = network.read_network(folder)
    assert description.classes == ("noise", "target")
    assert description.window_s == 0.4
    window = torch.from_numpy(sound())[None, 9600 : 9600 + 19200]
    with torch.inference_mode():
        scores = detector(window).softmax(1)[0].tolist()
    expected = np.load(GOLDEN / "expected.npz")["linear_db_probabilities"][4]
    assert scores == pytest.approx(expected.tolist(), abs=1e-4)
    with pytest.raises(ConfigError, match="is there already"):
        convert(path, folder, window_s=0.4, normalisation="reference")


@needs_golden
def test_a_training_starts_from_a_published_model_and_may_learn_other_classes(tmp_path):
    path = saved(tmp_path / "m.pk")
    config = SpotConfig().starting_from(path)
    detector, origin = network.fresh(config, ["noise", "target"])
    assert origin is not None
    assert torch.equal(detector.classifier.linear.weight, state("classifier")["linear.weight"])
    with pytest.raises(ConfigError, match=r"noise, target apart, the data noise, cry.*new_head"):
        network.fresh(config, ["noise", "cry"])
    other = config.with_values({"model.other_classes": "new_head"})
    detector, _ = network.fresh(other, ["noise", "cry", "hum"])
    assert detector.classifier.linear.weight.shape == (3, 512)
    assert torch.equal(detector.encoder.conv1.weight, state("encoder")["conv1.weight"])


class Opener:
    def __reduce__(self):
        return (Path.touch, (Path("ran"),))


@needs_golden
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"classes": Opener()}, "holds more than numbers and names, which would run code"),
        ({"dataOpts": None}, "is no model of ANIMAL-SPOT: it has no data options"),
        ({"classes": {"noise": 0, "target": 2}}, "its options are incomplete"),
        ({"classes": {"target": 0, "noise": 1}}, "its first class must be noise"),
        ({"encoderOpts": {"resnet_size": 18}}, "its options are incomplete: KeyError"),
    ],
)
def test_files_that_are_no_models_are_refused_in_one_line(tmp_path, monkeypatch, changes, words):
    monkeypatch.chdir(tmp_path)
    path = saved(tmp_path / "m.pk", **changes)
    with pytest.raises(DataError, match=words) as raised:
        published.read(path)
    assert "\n" not in str(raised.value)
    assert not Path("ran").exists()


@needs_golden
def test_damaged_files_and_weights_that_do_not_fit_are_refused(tmp_path):
    path = saved(tmp_path / "m.pk")
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match=r"m\.pk: cannot be read"):
        published.read(path)
    with pytest.raises(DataError, match=r"none\.pk"):
        published.read(tmp_path / "none.pk")
    encoder = state("encoder")
    del encoder["layer4.1.conv2.weight"]
    with pytest.raises(ConfigError, match=r"missing: encoder\.layer4\.1\.conv2\.weight"):
        convert(
            saved(tmp_path / "less.pk", encoderState=encoder),
            tmp_path / "model",
            window_s=0.4,
            normalisation="min_max",
        )
    assert not (tmp_path / "model").exists()
