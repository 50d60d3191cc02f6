"""Bands and filters: the standard's formulas and limits, by the tables of independent libraries."""

from __future__ import annotations

import csv
import itertools

import numpy as np
import pytest

from soundgate.audio.signal.octave.bands import band, bands
from soundgate.audio.signal.octave.filters import response, ring_down_s, sections
from soundgate.errors import ConfigError

RATE_HZ = 48_000


@pytest.mark.parametrize(
    ("per_octave", "index", "mid_hz"),
    [(1, 0, 1000.0), (1, -5, 31.62277660), (3, -17, 19.95262315), (3, 1, 1258.92541179)],
)
def test_centres_of_odd_fractions_are_powers_of_ten_tenths(per_octave, index, mid_hz):
    found = band(index, per_octave)
    assert found.mid_hz == pytest.approx(mid_hz, rel=1e-9)
    assert found.upper_hz / found.lower_hz == pytest.approx(10 ** (0.3 / per_octave), rel=1e-12)


def test_bands_of_even_fractions_meet_at_1_khz():
    assert band(-1, 2).upper_hz == pytest.approx(1000, rel=1e-12)
    assert band(0, 2).lower_hz == pytest.approx(1000, rel=1e-12)
    assert band(0, 2).mid_hz == pytest.approx(1000 * 10**0.075, rel=1e-12)


def test_bands_are_those_of_the_reference_table(real_data):
    table = real_data("datasets/sec/noctave/bands_iec61260_base10.csv")
    with table.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["bands_per_octave"] for row in rows} == {"1", "2", "3", "6", "12", "24"}
    for row in rows:
        found = band(int(row["index"]), int(row["bands_per_octave"]))
        for name in ("mid_hz", "lower_hz", "upper_hz"):
            assert getattr(found, name) == pytest.approx(float(row[name]), abs=1e-6), row


@pytest.mark.parametrize("per_octave", [1, 2, 3, 5, 6, 12, 24, 96])
def test_neighbours_touch_from_20_hz_up_to_half_the_rate(per_octave):
    found = bands(per_octave, RATE_HZ)
    for lower, upper in itertools.pairwise(found):
        assert lower.upper_hz == pytest.approx(upper.lower_hz, rel=1e-12)
    step = 10 ** (0.3 / per_octave)
    assert 20 / step**0.5 < found[0].mid_hz < 20 * step * 1.001
    assert found[-1].upper_hz < RATE_HZ / 2 <= found[-1].upper_hz * step


@pytest.mark.parametrize("per_octave", [1, 3, 6, 12, 24])
def test_filters_are_of_class_1(per_octave):
    """Of IEC 61260-1:2014, table 1, as PyOctaveBand has its limits."""
    compliance = pytest.importorskip("pyoctaveband.compliance")
    found = bands(per_octave, RATE_HZ)
    sos = sections(found, RATE_HZ)
    for each, own in zip(found, sos, strict=True):
        span = min(8 * each.mid_hz, 0.499 * RATE_HZ)
        frequencies = np.geomspace(each.mid_hz / 8, span, 2_000)
        gains = np.abs(response(own[None], 2 * np.pi * frequencies / RATE_HZ))[0]
        loss_db = -20 * np.log10(np.maximum(gains, 1e-30))
        least, most = compliance.class_limits(per_octave, 1, frequencies / each.mid_hz)
        assert (loss_db >= least - 1e-9).all(), each
        assert (loss_db <= most + 1e-9).all(), each


def test_edges_are_3_db_down():
    found = bands(3, RATE_HZ)
    sos = sections(found, RATE_HZ)
    for each, own in zip(found, sos, strict=True):
        angles = 2 * np.pi * np.array([each.lower_hz, each.mid_hz, each.upper_hz]) / RATE_HZ
        low, mid, high = 20 * np.log10(np.abs(response(own[None], angles))[0])
        assert low == pytest.approx(-3.0103, abs=1e-3)
        assert high == pytest.approx(-3.0103, abs=1e-3)
        assert mid == pytest.approx(0, abs=0.1)


def test_a_filter_has_rung_out_when_it_is_said_to():
    """Of a click, 160 dB below its peak is left."""
    from scipy import signal

    found = bands(12, 8_000, lowest_hz=100)[:1]
    click = np.zeros(int(2 * ring_down_s(found) * 8_000))
    click[0] = 1
    heard = np.abs(signal.sosfilt(sections(found, 8_000)[0], click))
    at = int(ring_down_s(found) * 8_000)
    assert heard[at:].max() < 1e-6 * heard.max()
    assert heard[at // 4 :].max() > 1e-6 * heard.max()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((0, 48_000), "between 1 and 96, got 0"),
        ((97, 48_000), "got 97"),
        ((3, 30), "no band of 1/3 octave"),
    ],
)
def test_impossible_bands_are_one_line(words, message):
    with pytest.raises(ConfigError, match=message):
        bands(*words)
