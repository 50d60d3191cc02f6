from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import soundfile
import torch
from pydantic import ValidationError
from sound_clips import CLASSES, config, prepare, rows

from soundgate.audio import export
from soundgate.audio.classification import evaluation, inference
from soundgate.audio.export import calibration
from soundgate.audio.export import classifier as exporting
from soundgate.audio.export import folder as writing
from soundgate.audio.formats.feature_set import read_features
from soundgate.audio.formats.model import rows_of
from soundgate.errors import ConfigError, DataError, MissingExtra

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
MINIRESNET = {
    "preprocessing": {"min_length": 1.2, "max_length": 2, "lengthen": "before"},
    "feature_extraction": {
        "patch_length": 50,
        "n_fft": 1024,
        "window_length": 1024,
        "hop_length": 320,
        "center": True,
        "power": 2.0,
        "fmin": 20,
        "norm": "slaney",
        "htk": False,
        "to_db": True,
        "include_last_patch": True,
    },
    "training": {
        "model": {"name": "miniresnet", "version": "v2", "n_stacks": 2, "width": 0.25},
        "epochs": 6,
    },
    "dataset": {"multi_label": True, "quantization_split": None},
    "quantization": {
        "granularity": "per_tensor",
        "quantization_input_type": "uint8",
        "quantization_output_type": "uint8",
        "optimize": True,
        "target_opset": 18,
    },
}
FILES = ("model.pt2", "model.onnx", "model_int8.onnx", "network.onnx", "network_int8.onnx")


def _made(folder, settings):
    torch.set_num_threads(1)
    prepare(folder, settings)
    export.write(folder / "features", folder / "model", folder / "exported", settings)
    evaluation.evaluate(
        folder / "features",
        folder / "model",
        folder / "report",
        quantized=export.int8_network(folder / "exported", folder / "model"),
    )
    return folder, settings


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A trained and exported model with the default settings of everything but its size."""
    return _made(tmp_path_factory.mktemp("plain"), config())


@pytest.fixture(scope="module")
def miniresnet(tmp_path_factory):
    """ST's MiniResNet and its features; clips with several labels; quantised the other way."""
    return _made(tmp_path_factory.mktemp("miniresnet"), config(**MINIRESNET))


@pytest.fixture(params=["plain", "miniresnet"])
def made(request):
    """Either of them."""
    return request.getfixturevalue(request.param)


def info_of(folder):
    return json.loads((folder / "exported" / "export.json").read_text())


def session(path):
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def waveform_of(folder, name):
    return soundfile.read(folder / "clips" / name, dtype="float32")[0]


def test_programs_give_the_scores_of_the_report(made):
    folder, _ = made
    with warnings.catch_warnings():
        # torch remarks once that it reads weights from memory it may not write to
        warnings.simplefilter("ignore", UserWarning)
        in_torch = torch.export.load(folder / "exported/model.pt2").module()
    in_onnx = session(folder / "exported/model.onnx")
    predictions = rows(folder / "report/predictions.jsonl")
    assert len(predictions) == 9
    for row in predictions:
        waveform = waveform_of(folder, row["path"])[None]
        scores, patch_scores, patches = in_onnx.run(None, {"waveform": waveform})
        assert patches.tolist() == [row["patches"]]
        # The report's features were kept in half precision.
        assert scores[0] == pytest.approx([row["scores"][name] for name in CLASSES], abs=3e-3)
        assert scores[0] == pytest.approx(patch_scores[0, : patches[0]].mean(0), abs=1e-6)
        with torch.no_grad():
            others = in_torch(torch.from_numpy(waveform))
        for value, other in zip((scores, patch_scores, patches), others, strict=True):
            np.testing.assert_allclose(value, other.numpy(), atol=1e-5)


def test_programs_give_exactly_torch_s_scores_where_features_are_not_rounded(made):
    folder, _ = made
    description, _ = inference.read_network(folder / "model")
    classifier = inference.load(folder / "model", torch.device("cpu"))
    in_onnx = session(folder / "exported/model.onnx")
    for name in ("audio/tone-03.wav", "audio/hiss-04.wav"):
        waveform = waveform_of(folder, name)
        batch = np.stack([waveform, 0.3 * waveform[::-1], np.zeros_like(waveform)])
        scores, patch_scores, patches = in_onnx.run(None, {"waveform": batch})
        for k, clip in enumerate(batch):
            wanted = exporting.reference(clip, description, classifier)
            assert patches[k] == len(wanted)
            np.testing.assert_allclose(patch_scores[k, : patches[k]], wanted, atol=1e-4)
            np.testing.assert_allclose(scores[k], wanted.mean(0), atol=1e-4)
            assert not patch_scores[k, patches[k] :].any()


def test_the_int8_program_holds_the_int8_network(made):
    folder, _ = made
    whole = onnx.load(folder / "exported/model_int8.onnx")
    alone = onnx.load(folder / "exported/network_int8.onnx")
    inside = {tensor.name: tensor for tensor in whole.graph.initializer}
    for tensor in alone.graph.initializer:
        twin = inside.get(f"int8/{tensor.name}") or inside[tensor.name]
        np.testing.assert_array_equal(
            onnx.numpy_helper.to_array(tensor), onnx.numpy_helper.to_array(twin)
        )
    weights = [t for t in alone.graph.initializer if t.data_type == onnx.TensorProto.INT8]
    assert sum(np.prod(tensor.dims) for tensor in weights) > 5000
    kinds = [node.op_type for node in whole.graph.node if node.name.startswith("int8/")]
    assert kinds.count("Conv") >= 4
    assert kinds.count("DequantizeLinear") > kinds.count("Conv")


def test_the_int8_program_decides_as_the_float_program_does(made):
    folder, settings = made
    low, high = (
        session(folder / "exported/model_int8.onnx"),
        session(folder / "exported/model.onnx"),
    )
    differences, alike = [], []
    for path in sorted((folder / "clips/audio").iterdir()):
        waveform = soundfile.read(path, dtype="float32")[0][None]
        a, b = (one.run(["scores"], {"waveform": waveform})[0][0] for one in (low, high))
        differences.append(np.abs(a - b).max())
        multi_label = settings.dataset.multi_label
        decided = [inference.decide(x[None], multi_label=multi_label) for x in (a, b)]
        alike.append((decided[0] == decided[1]).all())
    assert 0 < np.mean(differences) < 0.05
    assert np.mean(alike) > 0.9


def test_the_report_counts_the_int8_network(made, capsys):
    folder, settings = made
    classifier = inference.load(folder / "model", torch.device("cpu"))
    clips = read_features(folder / "features")
    network = session(folder / "exported/network_int8.onnx")
    scales = info_of(folder)["quantization"]
    right = patches = clips_right = agreed = 0
    tested = rows_of(folder / "model", clips.rows, "test")
    for row, truth in zip(tested, clips.targets(tested), strict=True):
        cut = np.concatenate(list(classifier.patches(clips.clip_frames(row), at_most=999)))
        batch = classifier.standardised(cut).numpy()
        kind = {"int8": np.int8, "uint8": np.uint8}[settings.quantization.quantization_input_type]
        scale, zero = scales["patches"]["scale"], scales["patches"]["zero_point"]
        limits = np.iinfo(kind)
        whole = np.clip(np.round(batch / np.float32(scale)) + zero, limits.min, limits.max)
        scores = network.run(None, {"patches": whole.astype(kind)})[0]
        if "scores" in scales:
            assert scores.dtype == np.uint8
            scores = scores / 256
        multi_label = settings.dataset.multi_label
        decided = inference.decide(scores, multi_label=multi_label)
        right += (decided == truth).all(1).sum()
        patches += len(scores)
        clips_right += (
            inference.decide(scores.mean(0)[None], multi_label=multi_label) == truth
        ).all()
        in_float = inference.decide(classifier.scores(cut), multi_label=multi_label)
        agreed += (decided == in_float).all(1).sum()
    result = json.loads((folder / "report/evaluation.json").read_text())
    quantized = result["quantized"]
    assert quantized["patch_acc"]["value"] == round(right / patches, 6)
    assert quantized["clip_acc"]["value"] == round(clips_right / len(tested), 6)
    assert quantized["agreement"] == round(agreed / patches, 6)
    assert quantized["size_bytes"] == (folder / "exported/network_int8.onnx").stat().st_size
    for figure in (quantized["clip_acc"], quantized["patch_acc"]):
        assert figure["low"] <= figure["value"] <= figure["high"]
        assert figure["standard_deviation"] == "NaN"
    assert result["multiclass_classification_metrics"]["clip_acc"]["value"] > 0.6
    assert quantized["clip_acc"]["value"] > 0.6


def test_quantised_lines_are_printed_and_leave_the_others_alone(made, tmp_path, capsys):
    folder, _ = made
    arguments = folder / "features", folder / "model"
    evaluation.evaluate(*arguments, tmp_path / "without")
    before = capsys.readouterr().out
    network = export.int8_network(folder / "exported", folder / "model")
    result = evaluation.evaluate(*arguments, tmp_path / "with", quantized=network).as_json()
    out = capsys.readouterr().out
    for level in ("clip", "patch"):
        pattern = rf"Quantized model {level}-level accuracy on test set : ([0-9\.]+)"
        assert [float(x) for x in re.findall(pattern, out)] == [
            result["quantized"][f"{level}_acc"]["value"]
        ]
        assert not re.findall(pattern, before)
        float_line = rf"{level.title()}-level accuracy on test set : [0-9\.]+"
        assert re.findall(float_line, out) == re.findall(float_line, before) != []
    for name in ("predictions.jsonl", "confusion_matrix.csv"):
        assert (tmp_path / "with" / name).read_bytes() == (tmp_path / "without" / name).read_bytes()
    without = json.loads((tmp_path / "without/evaluation.json").read_text())
    assert "quantized" not in without
    told_of_both = ("metrics", "headline", "notes", "aliases", "quantized")
    assert {k: v for k, v in result.items() if k not in told_of_both} == {
        k: v for k, v in without.items() if k not in told_of_both
    }
    assert result["metrics"].items() >= without["metrics"].items()
    # of a figure that both have, the int8 model's is a variant
    assert [each | {"variants": {}} for each in result["headline"]] == without["headline"]


def test_export_json_describes_the_files(made):
    folder, settings = made
    info = info_of(folder)
    n_mels, frames = 64, settings.feature_extraction.patch_length
    assert set(info["files"]) == set(FILES)
    for name, entry in info["files"].items():
        held = (folder / "exported" / name).read_bytes()
        assert entry["bytes"] == len(held)
        assert entry["sha256"] == hashlib.sha256(held).hexdigest()
        if name.endswith(".onnx"):
            drawn = onnx.load_model_from_string(held).graph
            used = {value for node in drawn.node for value in node.input}
            assert {tensor.name for tensor in drawn.initializer} <= used
        end = "patches" if name.startswith("network") else "waveform"
        assert [value["name"] for value in entry["inputs"]] == [end]
        if name.endswith(".onnx"):
            opened = session(folder / "exported" / name)
            for wanted, value in zip(
                entry["inputs"] + entry["outputs"],
                opened.get_inputs() + opened.get_outputs(),
                strict=True,
            ):
                assert (wanted["name"], wanted["shape"]) == (value.name, value.shape)
                kind = {"float32": "float"}.get(wanted["type"], wanted["type"])
                assert f"tensor({kind})" == value.type
            noted = opened.get_modelmeta().custom_metadata_map
            assert json.loads(noted["labels"]) == list(CLASSES)
            assert noted["sample_rate_hz"] == "16000"
            assert noted["model_sha256"] == info["model"]["sha256"]
    assert info["files"]["model.onnx"]["inputs"][0]["shape"] == ["batch", "sample"]
    network = info["files"]["network_int8.onnx"]
    assert network["inputs"][0]["shape"] == ["batch", 1, n_mels, frames]
    assert network["inputs"][0]["type"] == settings.quantization.quantization_input_type
    assert (folder / "exported/labels.txt").read_text().split() == list(CLASSES)
    largest = info["checks"]["largest_difference"]
    assert set(largest) == {"model.pt2", "model.onnx"}
    assert all(0 <= value <= 1e-4 for value in largest.values())
    batches, samples = zip(*info["checks"]["shapes"], strict=True)
    assert min(samples) < info["samples"]["at_least"] < info["samples"]["at_most"] < max(samples)
    assert len(set(batches)) == 3
    both = (folder / "model/model.json").read_bytes()
    both += (folder / "model/weights.safetensors").read_bytes()
    assert info["model"]["sha256"] == hashlib.sha256(both).hexdigest()
    opset = onnx.load(folder / "exported/model.onnx").opset_import[0].version
    assert opset == info["versions"]["opset"] == settings.quantization.target_opset


def test_nothing_of_this_machine_stands_in_the_files(made):
    folder, _ = made
    for name in (*FILES, "export.json"):
        held = (folder / "exported" / name).read_bytes()
        for word in (str(ROOT).encode(), str(folder).encode(), b"site-packages", b"/tmp/"):
            assert word not in held, (name, word)


def test_calibration_reads_training_clips_only(made):
    folder, settings = made
    info = info_of(folder)["quantization"]["calibration"]
    trained = {
        row["path"] for row in rows(folder / "model/split.jsonl") if row["split"] == "training"
    }
    assert info["source"] == "training"
    assert set(info["clips"]) <= trained
    if settings.dataset.quantization_split is None:
        assert set(info["clips"]) == trained
    else:
        assert sorted(path.split("/")[1].split("-")[0] for path in info["clips"]) == list(CLASSES)
    assert info["patches"] >= len(info["clips"])


def _scores_elsewhere(folder, python, script, tmp_path):
    shutil.copytree(folder / "exported", tmp_path / "exported")
    shutil.copy(folder / "clips/audio/tone-05.wav", tmp_path / "clip.wav")
    done = subprocess.run(
        [python, "-I", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _scores_of_the_report(folder):
    predictions = rows(folder / "report/predictions.jsonl")
    return next(row["scores"] for row in predictions if row["path"] == "audio/tone-05.wav")


def test_onnx_needs_onnxruntime_and_soundfile_only(made, tmp_path):
    folder, _ = made
    python = bare_environment(tmp_path / "bare")
    given = _scores_elsewhere(folder, python, BARE_ONNX, tmp_path)
    assert given == pytest.approx(_scores_of_the_report(folder), abs=3e-3)


def test_the_torch_program_needs_none_of_this_code(miniresnet, tmp_path):
    folder, _ = miniresnet
    given = _scores_elsewhere(folder, sys.executable, BARE_TORCH, tmp_path)
    assert given == pytest.approx(_scores_of_the_report(folder), abs=3e-3)


BARE_ONNX = """
import json, sys, onnxruntime, soundfile
session = onnxruntime.InferenceSession("exported/model.onnx")
facts = session.get_modelmeta().custom_metadata_map
samples, rate_hz = soundfile.read("clip.wav", dtype="float32")
assert rate_hz == int(facts["sample_rate_hz"])
scores = session.run(["scores"], {"waveform": samples[None]})[0][0]
print(json.dumps(dict(zip(json.loads(facts["labels"]), scores.tolist()))))
assert not {"torch", "soundgate", "soxr", "librosa"} & set(sys.modules)
"""
BARE_TORCH = """
import json, sys
sys.modules["soundgate"] = None
import soundfile, torch
files = {"export.json": ""}
program = torch.export.load("exported/model.pt2", extra_files=files).module()
samples, rate_hz = soundfile.read("clip.wav", dtype="float32")
scores = program(torch.from_numpy(samples)[None])[0][0]
labels = json.loads(json.loads(files["export.json"])["labels"])
print(json.dumps(dict(zip(labels, scores.tolist()))))
"""


def bare_environment(folder):
    """An interpreter that has onnxruntime and soundfile and nothing of ours."""
    uv = Path(sys.executable).with_name("uv")
    if not uv.is_file():
        pytest.skip("uv is not installed beside the interpreter: no bare environment can be made")
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, folder], check=True)
    install = [
        uv,
        "pip",
        "install",
        "-q",
        "--offline",
        "--python",
        folder,
        "-c",
        ROOT / "constraints.txt",
    ]
    done = subprocess.run(
        [*install, "onnxruntime", "soundfile"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip("onnxruntime and soundfile are not in uv's cache: no bare environment")
    return folder / "bin/python"


def test_another_process_writes_the_same_bytes_and_says_little(plain, tmp_path):
    folder, _ = plain
    settings = tmp_path / "config.yaml"
    settings.write_text("{}\n")
    command = [sys.executable, "-m", "steps.export", "--features", folder / "features", "--model"]
    command += [folder / "model", "--config", settings, "--exported", tmp_path / "exported"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"calibrating: 3 of 3 in [\d.]+ s\nscores differ [^\n]+\n", done.stdout)
    names = sorted(path.name for path in (folder / "exported").iterdir())
    assert names == sorted((*FILES, "labels.txt", "export.json"))
    for name in names:
        here, there = folder / "exported" / name, tmp_path / "exported" / name
        assert here.read_bytes() == there.read_bytes(), name


def test_calibration_takes_a_folder_of_audio(plain):
    folder, _ = plain
    description, _ = inference.read_network(folder / "model")
    held = calibration.of_folder(folder / "clips", description)
    assert (held.source, len(held.clips)) == ("folder", 45)
    bare = calibration.of_folder(folder / "clips/audio", description)
    assert list(bare.clips)[:2] == ["buzz-00.wav", "buzz-01.wav"]
    classifier = inference.load(folder / "model", torch.device("cpu"))
    features = read_features(folder / "features")
    first = next(iter(bare.batches(classifier)))
    row = next(row for row in features.rows if row.path == "audio/buzz-00.wav")
    wanted = classifier.standardised(
        np.concatenate(list(classifier.patches(features.clip_frames(row), at_most=99)))
    )
    np.testing.assert_allclose(first[: len(wanted)], wanted.numpy(), atol=5e-3)
    assert bare.patches == len(first)


def test_a_share_of_every_class_calibrates(plain):
    folder, _ = plain
    features = read_features(folder / "features")
    chosen = {
        (share, seed): calibration.of_training(features, folder / "model", share, seed).clips
        for share in (0.01, 0.5, 1.0, None)
        for seed in (1, 2)
    }
    trained = {
        row["path"] for row in rows(folder / "model/split.jsonl") if row["split"] == "training"
    }
    per_class = {name: sum(name in path for path in trained) for name in CLASSES}
    for (share, _), clips in chosen.items():
        assert set(clips) <= trained
        for name, count in per_class.items():
            wanted = count if share is None else max(1, round(share * count))
            assert sum(name in path for path in clips) == wanted
    assert chosen[0.5, 1] != chosen[0.5, 2]
    again = calibration.of_training(features, folder / "model", 0.5, 1).clips
    assert again == chosen[0.5, 1]


def test_no_calibration_clip_is_a_mistake(plain, tmp_path):
    folder, _ = plain
    features = read_features(folder / "features")
    with pytest.raises(ConfigError, match=r"^dataset\.quantization_split: 0 leaves no clips"):
        calibration.of_training(features, folder / "model", 0.0, 1)
    description, _ = inference.read_network(folder / "model")
    with pytest.raises(DataError, match="contains no audio for calibration"):
        calibration.of_folder(tmp_path, description)


@pytest.mark.parametrize("opset", [14, 21])
def test_an_opset_that_cannot_be_written_is_refused_at_once(plain, tmp_path, opset):
    folder, _ = plain
    with pytest.raises(ValidationError, match="target_opset"):
        config(quantization={"target_opset": opset})
    other = config().quantization.model_copy(update={"target_opset": opset})
    settings = config().model_copy(update={"quantization": other})
    with pytest.raises(ConfigError, match=rf"target_opset: {opset} is not supported; give 15 to"):
        export.write(folder / "features", folder / "model", tmp_path / "exported", settings)


def test_a_refused_program_leaves_nothing_behind(plain, tmp_path, monkeypatch):
    folder, settings = plain
    graphs = {name: onnx.load(folder / "exported" / name) for name in FILES if "onnx" in name}
    for tensor in graphs["model.onnx"].graph.initializer:
        if tensor.name.endswith("head.bias"):
            bias = onnx.numpy_helper.to_array(tensor) + np.float32([0.01, 0, 0])
            tensor.CopyFrom(onnx.numpy_helper.from_array(bias, tensor.name))
    content = {name: graph.SerializeToString() for name, graph in graphs.items()}
    content["model.pt2"] = (folder / "exported/model.pt2").read_bytes()
    made = writing._Made(graphs, content)
    monkeypatch.setattr(writing.program, "trace", lambda *_: None)
    monkeypatch.setattr(writing, "_make", lambda *_: made)
    arguments = folder / "features", folder / "model", tmp_path / "exported", settings
    with pytest.raises(DataError, match=r"^model\.onnx: scores differ from torch's by 0\.00"):
        export.write(*arguments)
    assert not (tmp_path / "exported").exists()


def test_damage_is_told_in_one_line(plain, miniresnet, tmp_path):
    folder, settings = plain
    broken = shutil.copytree(folder / "model", tmp_path / "model")
    (broken / "weights.safetensors").write_bytes(b"?" * 9)
    with pytest.raises(
        DataError, match=r"weights\.safetensors: is damaged; train the model again"
    ) as told:
        export.write(folder / "features", broken, tmp_path / "exported", settings)
    assert "\n" not in str(told.value)
    for name in ("export.json", "network_int8.onnx"):
        missing = shutil.copytree(folder / "exported", tmp_path / f"without {name}")
        (missing / name).unlink()
        with pytest.raises(DataError, match=rf"{name}: cannot be read: No such file"):
            export.int8_network(missing, folder / "model")
    cut = shutil.copytree(folder / "exported", tmp_path / "cut")
    held = (cut / "network_int8.onnx").read_bytes()
    (cut / "network_int8.onnx").write_bytes(held[:-1])
    with pytest.raises(DataError, match=r"network_int8\.onnx: is damaged; export the model again$"):
        export.int8_network(cut, folder / "model")
    (cut / "export.json").write_text("{}")
    with pytest.raises(DataError, match=r"export\.json: is damaged; export the model again"):
        export.int8_network(cut, folder / "model")
    other = miniresnet[0] / "exported"
    with pytest.raises(DataError, match=r"export\.json: was exported from another model than"):
        export.int8_network(other, folder / "model")


def test_a_missing_library_is_named_with_its_command(plain, tmp_path, monkeypatch):
    folder, _ = plain
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(MissingExtra, match=r"pip install 'soundgate\[export\]'"):
        export.write(folder / "features", folder / "model", tmp_path / "exported", config())
