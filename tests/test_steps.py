"""The steps at their boundary: what a user's data does to them, as programs and as functions."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from soundgate import step
from soundgate.errors import DataError, ParameterError
from soundgate.store import has_tree, open_store
from steps.accept import accept
from steps.evaluate import evaluate
from steps.fetch import fetch
from steps.preprocess import preprocess
from steps.train import train

RATE_HZ = 16_000
SMALL = """
dataset: {n_folds: 2, validation_split: 0, test_fold: 1}
preprocessing: {min_length: 1}
training: {epochs: 1, precision: float32, model: {name: plain, width: 0.25}}
"""


def noise(seconds: float, rate_hz: int = RATE_HZ, channels: int = 1, seed: int = 0):
    shape = (int(seconds * rate_hz), channels)
    return 0.1 * np.random.default_rng(seed).standard_normal(shape)


@pytest.fixture
def clips(tmp_path) -> Path:
    """A folder per class: dog and rain, six clips of 1.5 s each."""
    folder = tmp_path / "my clips"
    for number, label in enumerate(("dog", "rain")):
        (folder / label).mkdir(parents=True)
        for k in range(6):
            wave = noise(1.5, seed=10 * number + k)
            soundfile.write(folder / label / f"{k}.wav", wave, RATE_HZ)
    return folder


@pytest.fixture
def config(tmp_path) -> Path:
    path = tmp_path / "user_config.yaml"
    path.write_text(SMALL)
    return path


def fetched(clips: Path, config: Path, out: Path, **arguments) -> Path:
    values = {"dataset": "folder", "store": str(out / "store"), "source": clips, **arguments}
    fetch(config, out / "clips", out / "card", **values)
    return out / "clips"


def test_odd_formats_and_names_simply_work(clips, config, tmp_path, capsys):
    odd = {
        "ü 8 bit.wav": (noise(1.2), RATE_HZ, "PCM_U8"),
        "24 bit, 96 kHz.wav": (noise(1.2, 96_000), 96_000, "PCM_24"),
        "five (channels).wav": (noise(1.2, 44_100, 5), 44_100, "PCM_16"),
        "音.flac": (noise(1.2, 22_050), 22_050, "PCM_16"),
        "o g g.ogg": (noise(1.2, 48_000, 2), 48_000, None),
        "m.mp3": (noise(1.2, 44_100), 44_100, None),
    }
    for name, (wave, rate_hz, subtype) in odd.items():
        soundfile.write(clips / "dog" / name, wave, rate_hz, subtype=subtype)
    folder = fetched(clips, config, tmp_path)
    features = tmp_path / "features"
    preprocess(folder, config, features, tmp_path / "inspection")
    rows = [json.loads(line) for line in (features / "clips.jsonl").read_text().splitlines()]
    durations = {Path(row["path"]).name: row["duration_s"] for row in rows}
    assert len(rows) == 18
    for name in odd:
        assert durations[name] == pytest.approx(1.2, abs=0.06), name
    model, metrics, report = (tmp_path / name for name in ("model", "metrics", "report"))
    capsys.readouterr()
    train(features, config, model, metrics)
    assert "test set" not in capsys.readouterr().out  # training does not look at it
    evaluate(features, model, report)
    from_evaluation = capsys.readouterr().out.splitlines()[-2:]
    figures = json.loads((report / "evaluation.json").read_text())
    assert figures["clips"] == sum(row["fold"] == 1 for row in rows)
    accuracies = figures["multiclass_classification_metrics"]
    for level, line in zip(("patch", "clip"), from_evaluation, strict=True):
        said = f"{level.capitalize()}-level accuracy on test set : "
        assert line.startswith(said)
        assert float(line.removeprefix(said)) == accuracies[f"{level}_acc"]["value"]


def cut(path: Path, clips: Path) -> None:
    soundfile.write(clips / "whole.ogg", noise(3), RATE_HZ)
    data = (clips / "whole.ogg").read_bytes()
    (clips / "whole.ogg").unlink()
    path.write_bytes(data[: len(data) // 2])


def test_editing_a_clip_in_place_does_not_edit_what_was_fetched(clips, config, tmp_path):
    folder = fetched(clips, config, tmp_path)
    source, kept = clips / "dog/0.wav", folder / "audio/dog/0.wav"
    before = kept.read_bytes()
    assert before == source.read_bytes()
    with source.open("r+b") as file:
        file.seek(2000)
        file.write(bytes(500))
    assert kept.read_bytes() == before
    assert source.read_bytes() != before


BAD = {
    "empty.wav": (lambda path, _: path.touch(), "is empty (0 bytes)"),
    "cut.ogg": (cut, "is cut short"),
    "text.wav": (lambda path, _: path.write_text("no sound\n" * 50), "is not audio"),
}


def refused(clips: Path, config: Path, out: Path, capfd) -> str:
    """The one line by which prepared clips are refused; the page says why, too."""
    preprocess(clips, config, out / "features", out / "inspection")
    capfd.readouterr()
    words = ["--inspection", out / "inspection", "--accepted", out / "accepted"]
    assert step.run(accept, [str(word) for word in words]) == 2
    [line] = [line for line in capfd.readouterr().err.splitlines() if line]
    assert not (out / "accepted").exists()
    assert (out / "inspection" / "inspection.html").is_file()
    return line


def test_all_bad_files_are_named_in_one_line_before_training(clips, config, tmp_path, capfd):
    for name, (make, _) in BAD.items():
        make(clips / "dog" / name, clips)
    wave = noise(1.5)
    wave[100] = np.nan
    soundfile.write(clips / "rain" / "bad.wav", wave, RATE_HZ, subtype="FLOAT")
    folder = fetched(clips, config, tmp_path)
    at_once = capfd.readouterr().out
    line = refused(folder, config, tmp_path, capfd)
    assert line.startswith("error: the data set is refused: 4 unreadable of 16 clips")
    for name, (_, said) in BAD.items():
        assert f"{clips / 'dog' / name}: {said}" in at_once
        assert f"{folder / 'audio/dog' / name}: {said}" in line
    assert f"{folder / 'audio/rain/bad.wav'}: contains NaN or infinite samples" in line


def test_a_damaged_download_is_refused_with_all_its_files(clips, config, tmp_path):
    for name in ("empty.wav", "text.wav"):
        BAD[name][0](clips / "dog" / name, clips)
    command = f"cp -r '{clips}'/. temp/"
    with pytest.raises(DataError, match=r"empty\.wav.*1 more.*text\.wav"):
        fetched(clips, config, tmp_path, source=None, download_command=command)
    assert not any(open_store(str(tmp_path / "store")).list("train"))


def test_a_clip_shorter_than_a_patch_is_repeated_or_refused_by_name(clips, config, tmp_path, capfd):
    soundfile.write(clips / "dog" / "click.wav", noise(0.05), RATE_HZ)
    folder = fetched(clips, config, tmp_path)
    features, inspection = tmp_path / "once", tmp_path / "first"
    preprocess(folder, config, features, inspection)  # min_length 1 s: repeated up to it
    accept(inspection, tmp_path / "fine")
    config.write_text(SMALL.replace("min_length: 1", "min_length: 0.1"))
    line = refused(folder, config, tmp_path / "again", capfd)
    assert re.search(r"click\.wav.*frames.*patch", line)


def test_one_clip_of_a_class_is_refused_by_name(clips, config, tmp_path):
    (clips / "cat").mkdir()
    soundfile.write(clips / "cat" / "only.wav", noise(1.5), RATE_HZ)
    with pytest.raises(DataError, match="only clip of class 'cat'"):
        fetched(clips, config, tmp_path)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("dog/0.wav,dog\ndog/1.wav,dgo\n", r":3: unknown class 'dgo'; did you mean 'dog'\?"),
        ("dog/0.wav,dog\ndog/0.wav,dog\n", r":3: dog/0\.wav is already listed"),
        ("dog/0.wav,dog\ndog/9.wav,dog\n", r":3: .*dog/9\.wav"),
    ],
)
def test_a_bad_table_names_its_line(rows, said, clips, config, tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text("filename,category\n" + rows)
    config.write_text("dataset: {class_names: [dog, rain]}\n")
    with pytest.raises(DataError, match=said):
        fetched(clips, config, tmp_path, dataset="csv", source_labels=table)


def test_a_full_disk_is_one_line(clips, config, tmp_path, capfd, monkeypatch):
    folder = fetched(clips, config, tmp_path)
    capfd.readouterr()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "frames.npy")

    monkeypatch.setattr("soundgate.audio.formats.features.Writer.add", full)
    words = ["--clips", folder, "--config", config, "--features", tmp_path / "features"]
    words += ["--inspection", tmp_path / "inspection"]
    assert step.run(preprocess, [str(word) for word in words]) == 2
    [line] = [line for line in capfd.readouterr().err.splitlines() if line]
    assert line == (
        "error: frames.npy: No space left on device: free space or choose another folder"
    )
    assert not (tmp_path / "features").exists()


def test_a_download_happens_once_and_a_broken_one_leaves_nothing(config, clips, tmp_path):
    count = tmp_path / "count"
    command = f"echo x >> '{count}'; cp -r '{clips}'/. temp/"
    broken = f"cp -r '{clips}/dog' temp/; exit 7"
    store = str(tmp_path / "store")

    def bring(name: str, command: str) -> Path:
        out = tmp_path / name
        fetch(
            *(config, out / "clips", out / "card"),
            dataset="Mine",
            store=store,
            download_command=command,
        )
        return out

    with pytest.raises(DataError, match="7"):
        bring("broken", broken)
    assert list(open_store(store).list("train/")) == []
    first, second = bring("first", command), bring("second", command)
    assert count.read_text() == "x\n"
    [key] = open_store(store).list("train/datasets/Mine/")
    digest = has_tree(open_store(store), key.removesuffix("/manifest.json"))
    for out in (first, second):
        card = json.loads((out / "card/dataset.json").read_text())
        assert (card["format"], card["name"], card["clips"]) == ("soundgate.dataset/2", "Mine", 12)
        assert card["digest"] == f"sha256:{digest}"
        assert len(list((out / "clips/audio").rglob("*.wav"))) == 12
    third = bring("third", f"{command}; rm temp/dog/0.wav")  # another command, other clips
    assert json.loads((third / "card/dataset.json").read_text())["clips"] == 11
    assert count.read_text() == "x\nx\n"


def test_an_unknown_data_set_is_answered_with_the_nearest(config, tmp_path):
    with pytest.raises(ParameterError, match="did you mean 'ESC-10'"):
        fetch(config, tmp_path / "clips", tmp_path / "card", dataset="ESC-11", store=str(tmp_path))


def test_clips_kept_on_s3_are_detached_by_copying(tmp_path):
    from types import SimpleNamespace

    from soundgate.store.trees import _detach

    mine, folder = tmp_path / "mine.wav", tmp_path / "clips" / "audio"
    folder.mkdir(parents=True)
    mine.write_bytes(b"sound")
    (folder / "a.wav").hardlink_to(mine)
    _detach(SimpleNamespace(url="s3://bucket/prefix"), "key", tmp_path / "clips", 1)
    assert [p.name for p in folder.iterdir()] == ["a.wav"]
    mine.write_bytes(b"edited")
    assert (folder / "a.wav").read_bytes() == b"sound"
