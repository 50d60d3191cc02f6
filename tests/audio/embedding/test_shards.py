"""Shards to embeddings and levels: killed attempts, unions, what depends on what."""

import json
from dataclasses import replace

import h5py
import numpy as np
import pytest
import soundfile

from soundgate.audio.clips.manifest import Clip, write_manifest
from soundgate.audio.config.sec import parse_sec
from soundgate.audio.embedding import bands, embeddings, journal, shards
from soundgate.audio.embedding.changes import Changes
from soundgate.audio.embedding.planning.plan import Asked, plan
from soundgate.audio.embedding.shards import Unit
from soundgate.audio.formats.embeddings import hdf5, levels, vectors
from soundgate.audio.formats.embeddings.segments import read_records
from soundgate.audio.signal.octave.bands import bands as octave_bands
from soundgate.audio.signal.octave.levels import levels as octave_levels
from soundgate.errors import ConfigError, DataError
from tests.audio.embedding.stand_in import StandIn

CONFIG = parse_sec(
    "train_size: 24\nes_size: 4\nvalid_size: 4\ntest_size: 6\nnoise_perc: 0.2\n"
    "encoder: {name: onnx, sample_rate_hz: 8000, batch_size: 2}\n",
    "c.yaml",
)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Clips of two classes, and a plan of two shards."""
    folder = tmp_path_factory.mktemp("clips")
    random = np.random.default_rng(0)
    listed = []
    for name in ("dog", "rain"):
        for n in range(5):
            path = f"{name}/{n}.wav"
            (folder / name).mkdir(exist_ok=True)
            samples = random.normal(0, 0.1, 8000 + 2000 * n).astype(np.float32)
            soundfile.write(folder / path, samples, 8000, subtype="FLOAT")
            listed.append(Clip(path, (name,)))
    write_manifest(folder / "manifest.jsonl", listed)
    plan(folder, CONFIG, Asked(cut_s=1.0, shards=2), folder / "records")
    return folder


def unit(world, shard=0, **changed):
    values = {"records": read_records(world / "records"), "shard": shard, "audio": world}
    return Unit(**{**values, "config": CONFIG, **changed})


@pytest.fixture(scope="module")
def embedded(world, tmp_path_factory):
    """Embeddings of both shards, and their union."""
    folder = tmp_path_factory.mktemp("embedded")
    for shard in range(2):
        log = embeddings.embed_shard(unit(world, shard), StandIn(), folder / str(shard))
        classes = [each.class_name for each in unit(world, shard).segments]
        journal.write_unit(folder / f"log{shard}", log, shard, classes)
    records = read_records(world / "records")
    assert embeddings.merge_shards([folder / "0", folder / "1"], records, folder / "all") == 76
    return folder


@pytest.fixture(scope="module")
def measured(world, tmp_path_factory):
    """Levels of both shards in whole octaves, and their union."""
    folder = tmp_path_factory.mktemp("measured")
    for shard in range(2):
        bands.measure_shard(unit(world, shard), 1, folder / str(shard))
    bands.merge_shards(
        [folder / "1", folder / "0"], read_records(world / "records"), 1, folder / "all"
    )
    return folder


def sound(world, segment):
    start = round(segment.start_s * 8000)
    samples, _ = soundfile.read(world / segment.path, dtype="float32")
    changes = Changes(window_s=1.0, sample_rate_hz=8000, noise_perc=0.2, seed=1)
    return changes(segment, samples[start : start + 8000])


def test_an_embedding_is_that_of_the_segments_sound_with_its_noise(world, embedded):
    read = vectors.read_embeddings(embedded / "all")
    assert len(read.segments()) == 76
    for segment, vector in zip(read.segments(), read.matrix(), strict=True):
        mean = sound(world, segment).mean(dtype=np.float64)
        assert vector[0] == pytest.approx(mean, abs=1e-6)


class Killed(Exception):
    pass


class Dying(StandIn):
    """Is killed at its n-th batch."""

    def __init__(self, left):
        super().__init__()
        self.left = left

    def scenes(self, waveforms):
        if self.left == 0:
            raise Killed
        self.left -= 1
        return super().scenes(waveforms)


@pytest.mark.parametrize("batch", [0, 1, 5, 12])
def test_a_unit_killed_at_any_batch_ends_with_the_same_bytes(
    world, embedded, tmp_path, monkeypatch, batch
):
    monkeypatch.setattr(embeddings, "PART_BATCHES", 2)
    kept, into = tmp_path / "kept", tmp_path / "out"
    with pytest.raises(Killed):
        embeddings.embed_shard(unit(world, checkpoints=kept), Dying(batch), into)
    assert not (into / vectors.ABOUT).exists()
    parts = len(list(kept.glob("part_*.parquet")))
    assert parts == batch // 2
    count = len(unit(world).segments)
    StandIn.batches.clear()
    embeddings.embed_shard(unit(world, checkpoints=kept), StandIn(), into)
    assert len(StandIn.batches) == -(-count // 2) - 2 * parts
    for name in (vectors.TABLE, vectors.ABOUT):
        assert (into / name).read_bytes() == (embedded / "0" / name).read_bytes()


def test_parts_of_other_work_are_not_used(world, tmp_path, monkeypatch):
    monkeypatch.setattr(embeddings, "PART_BATCHES", 2)
    kept = tmp_path / "kept"
    with pytest.raises(Killed):
        embeddings.embed_shard(unit(world, checkpoints=kept), Dying(6), tmp_path / "a")
    other = CONFIG.model_copy(
        update={"encoder": CONFIG.encoder.model_copy(update={"pooling": "max"})}
    )
    StandIn.batches.clear()
    embeddings.embed_shard(unit(world, checkpoints=kept, config=other), StandIn(), tmp_path / "b")
    assert len(StandIn.batches) == -(-len(unit(world).segments) // 2)


def test_any_number_of_threads_and_shards_gives_the_same_rows(world, embedded, tmp_path):
    plan(world, CONFIG, Asked(cut_s=1.0, shards=5), tmp_path / "records")
    records = read_records(tmp_path / "records")
    for shard in range(5):
        work = replace(unit(world, shard), records=records, workers=3)
        embeddings.embed_shard(work, StandIn(), tmp_path / str(shard))
    sources = [tmp_path / str(shard) for shard in (3, 0, 4, 1, 2)]
    embeddings.merge_shards(sources, records, tmp_path / "all")
    ours, theirs = (vectors.read_embeddings(f / "all") for f in (tmp_path, embedded))
    assert ours.segments() == theirs.segments()
    np.testing.assert_allclose(ours.matrix(), theirs.matrix(), atol=1e-6)


def test_a_missing_shard_ends_the_merge(world, embedded, tmp_path):
    records = read_records(world / "records")
    count = len(records.shard(1))
    with pytest.raises(DataError, match=f"{count} of 76 planned segments are missing"):
        embeddings.merge_shards([embedded / "0"], records, tmp_path)


def test_shards_of_two_encoders_are_not_united(world, embedded, tmp_path):
    class Other(StandIn):
        digest = "cd" * 32

    embeddings.embed_shard(unit(world, 1), Other(), tmp_path / "1")
    with pytest.raises(DataError, match="different encoders"):
        embeddings.merge_shards(
            [embedded / "0", tmp_path / "1"], read_records(world / "records"), tmp_path / "all"
        )


def test_a_rate_that_the_loaded_encoder_does_not_hear_is_refused(world, tmp_path):
    asked = CONFIG.model_copy(update={"sampling_rate": 9000})
    with pytest.raises(ConfigError, match=r"sampling_rate: onnx hears 8000 Hz; at 9000 Hz all"):
        embeddings.embed_shard(unit(world, config=asked), StandIn(), tmp_path)


def test_levels_are_those_of_the_sound_that_is_embedded(world, measured):
    read = levels.read_levels(measured / "all")
    assert read.about.shape == (10, len(octave_bands(1, 8000)))
    by_id = {each.record_id: each for each in read_records(world / "records").segments()}
    ((ids, found),) = read.batches()
    assert ids == sorted(by_id)
    for name, got in list(zip(ids, found, strict=True))[::9]:
        expected = octave_levels(
            sound(world, by_id[name]), octave_bands(1, 8000), 8000, reference=2e-5
        )
        np.testing.assert_allclose(got, expected, atol=1e-4)


def test_a_killed_measurement_ends_with_the_same_bytes(world, measured, tmp_path, monkeypatch):
    monkeypatch.setattr(bands, "PART_SEGMENTS", 3)
    kept = tmp_path / "kept"
    table, calls = bands._table, []

    def dies(about, rows):
        if len(calls) == 4:
            raise Killed
        calls.append(1)
        return table(about, rows)

    monkeypatch.setattr(bands, "_table", dies)
    with pytest.raises(Killed):
        bands.measure_shard(unit(world, checkpoints=kept), 1, tmp_path / "out")
    calls.clear()
    with pytest.raises(Killed):  # four parts more
        bands.measure_shard(unit(world, checkpoints=kept), 1, tmp_path / "out")
    assert len(list(kept.glob("part_*.parquet"))) == 8
    monkeypatch.setattr(bands, "_table", table)
    bands.measure_shard(unit(world, checkpoints=kept), 1, tmp_path / "out")
    for name in (levels.TABLE, levels.ABOUT):
        assert (tmp_path / "out" / name).read_bytes() == (measured / "0" / name).read_bytes()


def test_hdf5_files_have_the_documented_layout(world, embedded, measured, tmp_path):
    records = read_records(world / "records")
    made, found = vectors.read_embeddings(embedded / "all"), levels.read_levels(measured / "all")
    hdf5.write(tmp_path, made, found, records.about, "wav")
    assert {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.h5")} == {
        *(f"1_secs/combined_{split}.h5" for split in ("train", "es", "valid", "test")),
        *(
            f"1_secs/{name}/{name}_{split}_wav_emb.h5"
            for name in ("dog", "rain")
            for split in ("train", "es", "valid", "test")
        ),
    }
    with h5py.File(tmp_path / "1_secs/dog/dog_test_wav_emb.h5") as file:
        table = file["embedding_dataset"]
        assert table.dtype.names == (
            *("ID", "embeddings", "spectrograms", "track_names", "subclasses"),
        )
        assert table.dtype["ID"] == "S100"
        assert table.dtype["embeddings"].base == np.float32
        assert table.compression == "gzip"
        assert table.maxshape == (None,)
        assert dict(file.attrs) | {"spec_shape": None} == {
            "audio_format": "wav",
            "cut_secs": 1.0,
            "n_octave": 1,
            "sample_rate": 8000,
            "noise_perc": 0.2,
            "seed": 1,
            "split": "test",
            "embedding_dim": 3,
            "spec_shape": None,
            "class": "dog",
        }
    combined = hdf5.read(tmp_path / "1_secs/combined_test.h5")
    own = made.segments("test")
    assert combined.ids == tuple(
        f"{('dog', 'rain').index(e.class_name)}_{e.track}_{e.bucket}_{e.round}_{e.number}"
        for e in own
    )
    assert combined.classes == tuple(e.class_name for e in own)
    assert np.array_equal(combined.embeddings, made.matrix("test"))
    ((ids, everything),) = found.batches()
    places = [ids.index(each.record_id) for each in own]
    assert np.array_equal(combined.spectrograms, everything[places])
    assert len(set(combined.ids)) == 12


def test_levels_of_other_segments_are_not_written_beside_embeddings(
    world, embedded, measured, tmp_path
):
    records = read_records(world / "records")
    made = vectors.read_embeddings(embedded / "all")
    with pytest.raises(DataError, match="is of other segments"):
        hdf5.write(tmp_path, made, levels.read_levels(measured / "0"), records.about, "wav")


def test_the_log_has_the_documented_shape(world, embedded, tmp_path):
    about = read_records(world / "records").about
    units = [embedded / "log1", embedded / "log0"]
    journal.write_log(units, about, CONFIG, tmp_path)
    log = json.loads((tmp_path / journal.LOG).read_text())
    assert set(log) == {"config", "(1, 'dog')", "(1, 'rain')"}
    assert sum(log["(1, 'dog')"]["n_embeddings_per_run"]) == 38
    assert log["(1, 'dog')"]["completed"] is True
    assert set(log["config"]) == {"rank", "dirs", "audio", "spectrogram", "data"}
    assert "dog 1s | Total: 38 | Avg: " in (tmp_path / journal.PERF).read_text()


def test_parts_behind_a_gap_or_an_empty_file_are_made_again(world, embedded, tmp_path):
    parts = shards.Parts(tmp_path, {"a": 1}, 2)
    whole = (embedded / "0" / vectors.TABLE).read_bytes()
    for number in (0, 1, 3):
        parts.path(number).write_bytes(whole)
    assert parts.finished == 2
    parts.path(0).write_bytes(whole[: len(whole) // 2])
    assert parts.finished == 0
