from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from soundgate.audio.embedding import engine
from soundgate.audio.embedding.engine import embed_records
from soundgate.audio.embedding.windows import EmbeddingSettings
from soundgate.audio.files.reading import Reader
from soundgate.errors import ConfigError, DataError
from tests.audio.embedding.stand_in import Record, StandIn


def write(folder, name, samples, rate_hz=8000):
    soundfile.write(folder / name, samples, rate_hz, subtype="FLOAT")


@pytest.fixture
def ramps(tmp_path):
    """Five files of 0.5 to 2.5 s, whose samples say which file and second they are of."""
    for index in range(5):
        seconds = np.arange(8000 * (index + 1) // 2) // 4000
        write(tmp_path, f"{index}.wav", (index / 10 + seconds / 100).astype(np.float32))
    return tmp_path


def embed(records, folder, encoder=None, **settings):
    read, change = settings.pop("read", None), settings.pop("change", None)
    used = encoder or StandIn()
    made = embed_records(
        records, folder, used, EmbeddingSettings(**settings), read=read, change=change
    )
    return dict(made)


def test_pools_windows_by_how_much_of_the_record_each_holds(ramps):
    """2.5 s are two whole windows and one that is half filled up with its own sound."""
    [mean] = embed([Record("a", "4.wav")], ramps).values()
    halves = 0.4 + np.arange(5) / 100
    np.testing.assert_allclose(mean[0], halves.mean(), atol=1e-6)
    largest = [halves[1], halves[3], halves[4]]
    np.testing.assert_allclose(mean[1], np.average(largest, weights=[2, 2, 1]), atol=1e-6)
    [most] = embed([Record("a", "4.wav")], ramps, pooling="max").values()
    np.testing.assert_allclose(most, [halves[4], halves[4], halves[4]], atol=1e-6)


@pytest.mark.parametrize(
    ("fill", "mean"), [("repeat", 0.1), ("repeatpad", 0.075), ("zeros", 0.0375)]
)
def test_fills_up_short_records(ramps, fill, mean):
    write(ramps, "short.wav", np.full(3000, 0.1, np.float32))
    [found] = embed([Record("a", "short.wav")], ramps, fill=fill).values()
    np.testing.assert_allclose(found[0], mean, atol=1e-6)


def test_overlapping_windows_end_with_the_record(ramps):
    starts = []
    StandIn.batches.clear()
    embed([Record("a", "3.wav")], ramps, hop_s=0.25)
    # 2 s: windows begin at 0, 0.25, 0.5, 0.75 and 1 s
    starts = sum(shape[0] for shape in StandIn.batches)
    assert starts == 5


def test_records_share_batches_and_keep_their_order(ramps):
    records = [Record(f"{i}-{j}", f"{i}.wav", j / 4, 0.25) for i in range(5) for j in range(2)]
    StandIn.batches.clear()
    found = embed(records, ramps, batch_size=4)
    assert list(found) == [record.record_id for record in records]
    assert StandIn.batches == [(4, 8000), (4, 8000), (2, 8000)]
    for record in records:
        np.testing.assert_allclose(found[record.record_id][0], int(record.path[0]) / 10, atol=1e-6)


def test_any_number_of_threads_gives_equal_bytes(ramps):
    records = [Record(f"{i}-{j}", f"{i}.wav", j / 100) for i in range(5) for j in range(40)]
    rng = np.random.default_rng(0)
    noise = {record.record_id: rng.normal(size=3).astype(np.float32) for record in records}

    def change(record, samples):
        return samples * noise[record.record_id][0]

    one = embed(records, ramps, change=change)
    for encoder, workers in ((StandIn(), 4), (StandIn(device="cuda:0"), 3)):
        more = embed(records, ramps, encoder, change=change, workers=workers)
        assert list(one) == list(more)
        assert all(one[key].tobytes() == more[key].tobytes() for key in one)


def test_opens_a_file_once_for_a_few_records_and_holds_no_more(ramps, monkeypatch):
    opened = []

    class Counted(Reader):
        def __enter__(self):
            opened.append(Path(self._path).name)
            return super().__enter__()

    monkeypatch.setattr(engine, "Reader", Counted)
    records = [Record(f"{i}-{j}", f"{i}.wav", 0.0, 0.25) for i in (3, 4) for j in range(20)]
    records += [Record("long", "4.wav", 0.0, 100.0), Record("more", "4.wav", 0.0, 30.0)]
    records += [Record(f"whole{i}", "4.wav") for i in range(2)]
    assert len(embed(records, ramps)) == 44
    # 8, 8 and 4 of the first; the same of the second, then 100 s, 30 s and two whole files
    assert opened == ["3.wav"] * 3 + ["4.wav"] * 7


def test_mixes_channels_and_resamples(tmp_path):
    """Two channels are mixed, not put one after the other; the rate becomes the encoder's."""
    left = np.sin(np.arange(44100) / 10).astype(np.float32)
    write(tmp_path, "two.wav", np.stack([left, 0 * left], 1), 44100)
    expected = soxr.resample(left / 2, 44100, 8000)
    [found] = embed([Record("a", "two.wav")], tmp_path, StandIn(window_samples=None)).values()
    np.testing.assert_allclose(found, [expected.mean(), expected.max(), expected[0]], atol=2e-3)


def test_encoders_of_any_length_get_records_of_one_length_together(ramps):
    records = [Record(str(i), f"{i // 2}.wav") for i in range(6)]
    StandIn.batches.clear()
    embed(records, ramps, StandIn(window_samples=None))
    assert StandIn.batches == [(2, 4000), (2, 8000), (2, 12000)]


def test_takes_sound_from_elsewhere_than_files(tmp_path):
    found = embed(
        [Record("a", "no file", 2.0), Record("b", "no file", 3.0)],
        tmp_path,
        read=lambda record, rate_hz: np.full(rate_hz, record.start_s, np.float32),
    )
    assert [vector[0] for vector in found.values()] == [2.0, 3.0]


@pytest.mark.parametrize("workers", [1, 3])
def test_names_the_file_that_has_no_sound_there(ramps, workers):
    records = [Record("a", "0.wav"), Record("b", "1.wav", 1.0), Record("c", "2.wav")]
    with pytest.raises(DataError, match=r"^1\.wav: no sound from 1 s on, it lasts 1 s"):
        embed(records, ramps, workers=workers)


def test_refuses_embeddings_that_are_not_finite(ramps):
    with pytest.raises(DataError, match=r"^b: its embedding is not finite"):
        embed(
            [Record("a", "0.wav"), Record("b", "1.wav")],
            ramps,
            change=lambda record, samples: samples * (np.nan if record.record_id == "b" else 1),
        )


def test_refuses_windows_of_another_length_than_the_encoders(ramps):
    with pytest.raises(ConfigError, match=r"stand-in takes windows of 1 s, not 0\.5 s"):
        embed([Record("a", "0.wav")], ramps, window_s=0.5)
    with pytest.raises(ConfigError, match=r"embedding\.hop_s: must be at least one sample"):
        embed([Record("a", "0.wav")], ramps, hop_s=0.0)
