"""Recordings become scores of their windows: as one window at a time would, but as a stream."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
import torch
from toy_calls import RATE, call, noise, toy_config, write_recordings

from soundgate.audio.detection import network
from soundgate.audio.detection.scoring import blocks
from soundgate.audio.detection.scoring.prediction import Asked, predict
from soundgate.audio.detection.scoring.recordings import Region, recordings
from soundgate.audio.detection.scoring.scorer import log_odds, probabilities
from soundgate.audio.files.reading import load, write
from soundgate.audio.formats import model as model_folder
from soundgate.audio.formats.detections.scores import read_scores
from soundgate.audio.signal.front_ends.detector import DetectorFrontEnd
from soundgate.errors import ConfigError, DataError, ParameterError
from steps.spot.predict import predict as step

WINDOW = round(0.4 * RATE)
LENGTHS = {"a/x.wav": 45.3, "b/x.wav": 3.0, "b/x.y.wav": 3.02}


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def write_model(folder, classes=("noise", "target"), **changes):
    torch.manual_seed(5)
    config = toy_config().with_values(changes)
    detector, _ = network.fresh(config, classes)
    with torch.no_grad():
        for module in detector.modules():
            if isinstance(module, torch.nn.BatchNorm2d):  # statistics that folding must respect
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 2)
    about = network.described(detector.settings, classes)
    model_folder.write(folder, about, detector.state_dict(), [])
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model") / "model")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    write_recordings(folder, LENGTHS)
    return folder


def one_at_a_time(model, wave, starts):
    """Probabilities of each window by itself, as the program that it replaces does."""
    _, detector = network.read_network(model)
    found = []
    with torch.inference_mode():
        for start in starts:
            piece = wave[start : start + WINDOW]
            piece = np.pad(piece, (0, WINDOW - piece.size))
            found.append(detector(torch.from_numpy(piece)[None]).softmax(1)[0, 1:].numpy())
    return np.stack(found)


@pytest.mark.parametrize("hop_s", [0.05, 0.0371, 0.4])
def test_scores_are_those_of_one_window_at_a_time(model, corpus, tmp_path, hop_s, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_S", 1.7)
    asked = Asked(hop_s=hop_s, batch_size=48)
    predict(model, corpus, tmp_path, recordings(corpus), asked)
    scores = read_scores(tmp_path)
    assert [row.path for row in scores.about.recordings] == sorted(LENGTHS)
    for row, windows in scores:
        wave = load(corpus / row.path, sample_rate_hz=RATE)
        count = 1 + int(np.ceil(round((wave.size - WINDOW) / (hop_s * RATE), 6)))
        starts = np.rint(np.arange(count) * hop_s * RATE).astype(int)
        assert np.array_equal(windows.starts_s, starts / RATE)
        chosen = [*range(0, count, 7), count - 1]
        expected = one_at_a_time(model, wave, starts[chosen])
        assert np.abs(windows.scores[chosen] - expected).max() < 1e-5
        assert np.allclose(probabilities(windows.logits), windows.scores)
        assert (row.region_start_s, row.region_end_s) == (0.0, pytest.approx(LENGTHS[row.path]))


def test_the_batch_size_changes_rounding_alone(model, corpus, tmp_path):
    for size in (1, 500):
        asked = Asked(hop_s=0.2, batch_size=size)
        predict(model, corpus, tmp_path / str(size), recordings(corpus), asked)
    one, many = (read_scores(tmp_path / size) for size in ("1", "500"))
    for (_, few), (_, all_) in zip(one, many, strict=True):
        assert np.allclose(few.logits, all_.logits, atol=1e-4)


def test_windows_share_frames_where_they_fall_on_the_same_samples(
    model, corpus, tmp_path, monkeypatch
):
    computed = []
    original = DetectorFrontEnd.power

    def counted(self, framed):
        computed.append(len(framed))
        return original(self, framed)

    monkeypatch.setattr(DetectorFrontEnd, "power", counted)
    for hop_s, frames in ((0.05, 2 * 62 + 14), (0.04, 76 * 15)):
        computed.clear()
        predict(model, corpus, tmp_path / str(hop_s), [Region("b/x.y.wav")], Asked(hop_s=hop_s))
        assert sum(computed) <= frames


def test_regions_have_times_of_the_whole_file(model, corpus, tmp_path):
    regions = [Region("a/x.wav", 10.0, 12.5), Region("a/x.wav", 0.0, 0.1), Region("b/x.wav")]
    predict(model, corpus, tmp_path, regions, Asked(hop_s=0.1))
    (first, windows), (short, only), _ = read_scores(tmp_path)
    assert (first.region_start_s, first.region_end_s, first.windows) == (10.0, 12.5, 22)
    assert windows.starts_s[[0, -1]].tolist() == pytest.approx([10.0, 12.1])
    wave = load(corpus / "a/x.wav", sample_rate_hz=RATE)
    expected = one_at_a_time(model, wave, np.rint(windows.starts_s * RATE).astype(int))
    assert np.abs(windows.scores - expected).max() < 1e-5
    assert (short.windows, only.starts_s.tolist()) == (1, [0.0])
    with pytest.raises(DataError, match=r"b/x\.wav: 2 s to 9 s is no region of its 3 s"):
        predict(model, corpus, tmp_path, [Region("b/x.wav", 2.0, 9.0)])


def test_other_rates_are_resampled_as_a_whole_file_would_be(model, tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_S", 0.9)
    wave = np.zeros(44_100 * 5, np.float32)
    wave[44_100 : 44_100 + 8000] = call(0.5, 1)
    (tmp_path / "c").mkdir()
    write(tmp_path / "c/x.wav", wave, 44_100)
    predict(model, tmp_path / "c", tmp_path / "s", [Region("x.wav")], Asked(downsample=True))
    [(row, windows)] = read_scores(tmp_path / "s")
    assert row.sample_rate_hz == 44_100
    whole = load(tmp_path / "c/x.wav", sample_rate_hz=RATE)
    expected = one_at_a_time(model, whole, np.rint(windows.starts_s * RATE).astype(int))
    assert np.abs(windows.scores - expected).max() < 1e-3
    assert windows.starts_s[-1] == pytest.approx(4.6)


def test_recordings_of_more_than_twice_the_rate_are_refused_unless_asked_for(model, tmp_path):
    (tmp_path / "c").mkdir()
    soundfile.write(tmp_path / "c" / "bat.wav", noise(1.0, 1), 200_000)
    with pytest.raises(DataError, match=r"bat\.wav: is sampled at 200000 Hz.*from 8000 to 100000"):
        step(model, tmp_path / "c", tmp_path / "s")
    step(model, tmp_path / "c", tmp_path / "s", downsample=True)
    assert read_scores(tmp_path / "s").about.recordings[0].sample_rate_hz == 200_000


def test_a_broken_recording_ends_the_work_and_finished_ones_are_kept(
    model, corpus, tmp_path, monkeypatch
):
    (tmp_path / "c").mkdir()
    for name in ("one.wav", "three.wav"):
        write(tmp_path / "c" / name, noise(8.0, 1), RATE)
    (tmp_path / "c" / "two.wav").write_bytes(b"RIFF")
    regions = [Region(f"{name}.wav") for name in ("one", "three", "two")]
    kept = Asked(checkpoints=tmp_path / "kept", batch_size=16)
    with pytest.raises(DataError, match=r"two\.wav"):
        predict(model, tmp_path / "c", tmp_path / "s", regions, kept)
    assert not (tmp_path / "s").exists()
    assert (tmp_path / "kept" / "arrays" / "one.wav.npz").is_file()
    write(tmp_path / "c" / "two.wav", noise(1.0, 2), RATE)
    opened = []
    original = blocks.Opened.blocks

    def counted(self):
        opened.append(self.region.path)
        return original(self)

    monkeypatch.setattr(blocks.Opened, "blocks", counted)
    predict(model, tmp_path / "c", tmp_path / "s", regions, kept)
    assert "one.wav" not in opened
    predict(model, tmp_path / "c", tmp_path / "all", regions, Asked(batch_size=16))
    for row in read_scores(tmp_path / "s").about.recordings:
        assert (tmp_path / "s" / row.file).read_bytes() == (
            tmp_path / "all" / row.file
        ).read_bytes()
    assert (tmp_path / "s/scores.json").read_bytes() == (tmp_path / "all/scores.json").read_bytes()


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        (Asked(hop_s=0.0), ParameterError, "hop_s must be above 0"),
        (Asked(hop_s=0.5), ParameterError, "leaves gaps between windows of 0.4 s"),
        (Asked(batch_size=0), ParameterError, "batch_size must be at least 1"),
        (Asked(window_s=0.01, hop_s=0.01), ConfigError, "window of 10 ms has 0 frames"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(model, corpus, tmp_path, asked, error, words):
    with pytest.raises(error, match=words):
        predict(model, corpus, tmp_path, recordings(corpus), asked)


def test_log_odds_of_several_classes_are_those_of_their_softmax():
    logits = np.random.default_rng(1).normal(0, 3, (50, 4)).astype(np.float32)
    softmax = torch.from_numpy(logits).softmax(1)[:, 1:].numpy()
    assert np.allclose(probabilities(log_odds(logits)), softmax, atol=1e-6)
    certain = np.array([[-200.0, 300.0]], np.float32)
    assert log_odds(certain).tolist() == [[500.0]]
    assert probabilities(log_odds(certain)).tolist() == [[1.0]]
    assert probabilities(log_odds(-certain)).tolist() == [[0.0]]


def test_an_empty_folder_has_nothing_to_score(tmp_path):
    with pytest.raises(DataError, match="holds no recordings"):
        recordings(tmp_path)
