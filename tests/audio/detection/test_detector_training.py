"""Detectors learn from data sets of clips, on the one training loop."""

from __future__ import annotations

import errno
import io
import json
import os
import tempfile

import numpy as np
import pytest
import torch
from toy_calls import RATE, call, noise, toy_config, write_dataset

from soundgate.audio.detection import network
from soundgate.audio.detection.training.clips import TRAIN, ClipSet
from soundgate.audio.detection.training.fit import Asked, fit
from soundgate.audio.detection.training.windows import PURPOSES, Cutter, Ranges, Sampler, gathered
from soundgate.audio.files.reading import write
from soundgate.audio.formats.model import digest
from soundgate.errors import ConfigError, DataError, Stopped
from steps.spot.train import train

WINDOW = round(0.4 * RATE)


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("calls") / "dataset", ("target", "cry"))


def rows(folder):
    text = (folder / "history.jsonl").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_learns_several_classes_and_tells_new_calls_apart(dataset, tmp_path):
    config = toy_config().with_values({"training.epochs": 14})
    fit(dataset, tmp_path / "model", tmp_path / "metrics", config)
    description, detector = network.read_network(tmp_path / "model")
    assert description.classes == ("noise", "cry", "target")
    assert description.epochs == 14
    assert max(row["validation_accuracy"] for row in rows(tmp_path / "metrics")) > 0.9
    seconds = WINDOW / RATE
    sounds = [noise(seconds, 900 + k) for k in range(30)]
    for k in range(10, 30):
        sounds[k] += call(seconds, k, "cry" if k < 20 else "target")
    with torch.inference_mode():
        found = detector(torch.from_numpy(np.stack(sounds))).argmax(1)
    assert (found == torch.arange(3).repeat_interleave(10)).float().mean() > 0.9
    split = (tmp_path / "model" / "split.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(row)["split"] for row in split].count("validation") == 24


def test_a_stopped_training_goes_on_to_the_same_weights(dataset, tmp_path):
    config = toy_config().with_values({"training.epochs": 3})
    fit(dataset, tmp_path / "whole", tmp_path / "metrics", config)
    asked = 0

    def stop():
        nonlocal asked
        asked += 1
        return asked == 7

    keep = tmp_path / "checkpoints"
    broken = Asked(checkpoints=keep, stop=stop)
    with pytest.raises(Stopped):
        fit(dataset, tmp_path / "again", tmp_path / "metrics", config, broken)
    assert not (tmp_path / "again").exists()
    fit(dataset, tmp_path / "again", tmp_path / "metrics", config, Asked(checkpoints=keep))
    assert digest(tmp_path / "again") == digest(tmp_path / "whole")


def test_the_step_takes_a_variants_keys_and_starts_from_a_model(dataset, tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text("model: {name: RESNET10, width: 4}\naudio: {sample_rate_hz: 16000}\n")
    cfg = tmp_path / "alpaca_server.cfg"
    cfg.write_text(
        "sequence_len=500\nn_freq_bins=32\nmin_max_norm=true\nnum_classes=3\nresnet=10\n"
    )
    train(
        dataset,
        config,
        tmp_path / "model",
        tmp_path / "metrics",
        cfg=cfg,
        variant="v3",
        epochs=1,
        sequence_len=300,
        n_fft=512,
        hop_length=256,
        settings=["freq_compression=mel"],
    )
    description, _ = network.read_network(tmp_path / "model")
    front = description.front_end
    assert description.name == "v3"
    assert (description.window_s, front.n_fft, front.hop_length) == (0.3, 512, 256)
    assert (front.freq_compression, front.n_freq_bins, front.normalisation) == (
        "mel",
        32,
        "min_max",
    )
    frozen = toy_config().with_values(
        {"model.frozen": ("encoder",), "model.width": 4, "model.max_pool": 1, "training.epochs": 1}
    )
    start = frozen.starting_from(tmp_path / "model")
    fit(dataset, tmp_path / "second", tmp_path / "metrics", start)
    first, second = (network.read_network(tmp_path / name)[1] for name in ("model", "second"))
    assert torch.equal(first.encoder.conv1.weight, second.encoder.conv1.weight)
    assert torch.equal(first.encoder.bn1.running_mean, second.encoder.bn1.running_mean)
    assert not torch.equal(first.classifier.linear.weight, second.classifier.linear.weight)


def test_a_wrong_number_of_classes_is_refused(dataset, tmp_path):
    with pytest.raises(DataError, match=r"has 3 classes \(noise, cry, target\), but num_classes"):
        fit(dataset, tmp_path / "m", tmp_path / "x", toy_config(), Asked(classes=2))


def test_data_without_noise_or_without_a_class_in_train_is_refused(tmp_path):
    folder = write_dataset(tmp_path / "calls", each=(4, 2))
    lines = (folder / "train.csv").read_text("utf-8").splitlines()
    for kept, words in (("target", "train has no clip of noise"), ("noise", "no clip of target")):
        own = [line for line in lines if line.startswith(kept)]
        (folder / "train.csv").write_text("\n".join(own), "utf-8")
        with pytest.raises(DataError, match=words):
            ClipSet(folder, RATE, downsample=False, workers=1)
    for path in folder.glob("target*"):
        path.unlink()
    for side in ("train", "val"):
        (folder / f"{side}.csv").unlink()
    (folder / "test.csv").unlink()
    with pytest.raises(DataError, match="holds no calls, only noise"):
        ClipSet(folder, RATE, downsample=False, workers=1)


def test_clips_of_a_much_higher_rate_are_refused_unless_asked_for(tmp_path):
    folder = write_dataset(tmp_path / "calls", each=(4, 2))
    name = (folder / "train.csv").read_text("utf-8").split()[0]
    write(folder / name, noise(1.0, 3), 96_000)
    with pytest.raises(DataError, match=r"96000 Hz.*from 8000 to 48000 Hz would be lost"):
        ClipSet(folder, RATE, downsample=False, workers=2)
    taken = ClipSet(folder, RATE, downsample=True, workers=2)
    [clip] = [clip for clip in taken.clips if clip.entry.fn == name]
    assert clip.samples == round(16_000 * RATE / 96_000)


def test_a_full_disk_is_one_line_with_the_fix(tmp_path, monkeypatch):
    folder = write_dataset(tmp_path / "calls", each=(4, 2))

    class Full(io.BytesIO):
        def write(self, _):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "TemporaryFile", Full)
    with pytest.raises(DataError, match=r"cannot hold the decoded clips.*No space.*TMPDIR"):
        ClipSet(folder, RATE, downsample=False, workers=1)


def test_windows_hold_the_call_and_noise_stands_around_short_clips(tmp_path):
    folder = write_dataset(tmp_path / "calls", each=(4, 2))
    clips = ClipSet(folder, RATE, downsample=False, workers=1)
    cutter = Cutter(clips, clips.of(TRAIN), WINDOW, fill=True)
    silent = Cutter(clips, clips.of(TRAIN), WINDOW, fill=False)
    row = next(row for row in clips.of(TRAIN) if row.call and row.samples < WINDOW)
    for place in (0.0, 0.5, 0.999):
        shares = dict.fromkeys(PURPOSES, place)
        for stretch in (0.8, 1.0, 1.25):
            length = round(WINDOW / 0.8)
            piece = cutter.learnt(row, length, stretch, shares)
            bare = silent.learnt(row, length, stretch, shares)
            assert piece.shape == bare.shape == (length,)
            inside = bare != 0
            assert np.array_equal(piece[inside], bare[inside])
            assert (np.abs(piece[~inside]) > 0).mean() > 0.99
            margin = round((length - WINDOW / stretch) / 2)
            held = inside[margin : length - margin].sum()
            assert held > 0.49 * min(row.samples, WINDOW / stretch)
    assert np.array_equal(cutter.middle(row), cutter.middle(row))


def test_every_class_is_drawn_as_often_and_epochs_differ():
    numbers = np.array([0] * 30 + [1] * 7 + [2] * 3)
    sampler = Sampler(numbers=numbers, batch_size=8, seed=3, balanced=True)
    drawn = np.concatenate([batch.clips for batch in sampler.epoch(0)])
    assert drawn.size == 40
    assert np.bincount(numbers[drawn]).tolist() == [14, 13, 13]
    assert set(drawn[numbers[drawn] == 2]) == {37, 38, 39}
    again = np.concatenate([batch.clips for batch in sampler.epoch(0)])
    other = np.concatenate([batch.clips for batch in sampler.epoch(1)])
    assert np.array_equal(drawn, again)
    assert not np.array_equal(drawn, other)
    shares = [
        np.concatenate([b.clips for b in Sampler(numbers, 8, 3, True, rank, 2).epoch(0)])
        for rank in (0, 1)
    ]
    assert np.array_equal(np.stack(shares, 1).ravel(), drawn)


def test_without_balance_every_clip_comes_once():
    sampler = Sampler(numbers=np.array([0, 0, 0, 1]), batch_size=4, seed=3, balanced=False)
    [batch] = sampler.epoch(5)
    assert sorted(batch.clips.tolist()) == [0, 1, 2, 3]


def test_processes_that_cannot_share_a_batch_are_refused(dataset):
    from soundgate.audio.detection.training.plan import Plan
    from soundgate.audio.detection.training.system import Detection
    from soundgate.audio.learning.distributed import Group

    plan = Plan(dataset, toy_config(), None, 1)
    detector, _ = network.fresh(toy_config(), plan.classes)
    with pytest.raises(ConfigError, match="batch_size 16 cannot be shared among 3"):
        Detection(plan, detector, Group(0, 3, torch.device("cpu")))


def test_batches_are_as_long_as_stretching_needs(dataset):
    clips = ClipSet(dataset, RATE, downsample=False, workers=1)
    cutter = Cutter(clips, clips.of(TRAIN), WINDOW, fill=True)
    numbers = np.array([clip.number for clip in cutter.rows])
    sampler = Sampler(numbers=numbers, batch_size=8, seed=1, balanced=True)
    pieces = list(gathered(cutter, sampler, 0, ranges=Ranges(0.5, 2.0), noisy=True))
    assert len(pieces) == sampler.batches
    assert pieces[0].waveforms.shape == (8, 2 * WINDOW)
    assert pieces[0].noise is not None
    assert pieces[0].noise.shape == (8, WINDOW)
    assert pieces[0].targets.tolist() == numbers[pieces[0].drawn.clips].tolist()
