"""User configs of campaigns: the users' keys, and rates against encoders."""

import pytest

from soundgate.audio.config.sec import parse_sec
from soundgate.errors import ConfigError

SHIPPED = """
classes: [Birds, Music, Voices]
patience: 10
epochs: 150
batch_size: 128
sampling_rate: 52100
ref: 2.e-05
noise_perc: 0.3
seed: 1
valid_cut_secs: [7]
train_size: 500
es_size: 100
valid_size: 100
test_size: 100
"""


def test_defaults_are_those_of_the_shipped_config():
    given = parse_sec(SHIPPED + "resample: true\n", "c.yaml").model_dump()
    defaults = parse_sec("", "c.yaml").model_dump()
    changed = {key for key in given if given[key] != defaults[key]}
    assert changed == {"classes", "sampling_rate", "resample"}
    assert given["ref"] == 2e-5


def test_a_rate_that_the_encoder_does_not_hear_is_refused_with_the_reason():
    with pytest.raises(
        ConfigError,
        match=r"c.yaml: sampling_rate: clap-2023 hears 44100 Hz; at 52100 Hz all sound would be "
        r"heard 18.1% lower: write 44100, or resample: true",
    ):
        parse_sec(SHIPPED, "c.yaml")
    assert parse_sec(SHIPPED.replace("52100", "44100"), "c.yaml").sampling_rate == 44100


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("clases: [a]", r"c.yaml:1: clases: unknown key; did you mean 'classes'"),
        ("classes: [a, a]", "classes: name each class once"),
        ("center_freqs: [1000]", "center_freqs: remove them"),
        ("valid_cut_secs: [0.33333]", "valid_cut_secs: 0.33333 must be whole milliseconds"),
        ("train_size: 0", "train_size must be at least 1, got 0"),
        ("noise_perc: 30", r"c.yaml:1: noise_perc: "),
        ("encoder: {name: clap-2023, pooling: median}", r"c.yaml:1: encoder.pooling: "),
    ],
)
def test_a_mistake_is_one_line_with_the_key(line, problem):
    with pytest.raises(ConfigError, match=problem) as raised:
        parse_sec(line, "c.yaml")
    assert "\n" not in str(raised.value)
