"""Taggers as programs: equal to what evaluation computes, cut alike, in 8 bits almost so."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from reading_tables import predict, scores
from toy_tagger import LABELS, LENGTHS_S, RATE_HZ, THRESHOLDS, write_tagger
from toy_tagger import write_clips as write_audio
from toy_tagger import write_waveforms as write_samples

from soundgate.audio import export
from soundgate.audio.classification.tagging import inference
from soundgate.audio.classification.tagging.evaluation import evaluate
from soundgate.audio.config.tagging import parse_tagging
from soundgate.audio.export.quiet import quiet
from soundgate.audio.export.taggers import tagger as exporting
from soundgate.audio.formats.exported import read_export
from soundgate.audio.formats.waveforms import read_waveforms
from soundgate.audio.networks.images import torchvision_networks
from soundgate.errors import DataError

pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.slow
CONFIG = parse_tagging("quantization: {target_opset: 17}", "tagging.yaml")


def make(folder, **model):
    write_audio(folder / "clips")
    write_samples(folder / "waveforms", folder / "clips")
    write_tagger(folder / "model", folder / "waveforms", **model)
    export.write_tagger(folder / "waveforms", folder / "model", folder / "model/export", CONFIG)
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A tagger that scores pieces of a second, and its programs."""
    return make(tmp_path_factory.mktemp("exported"))


def session(folder, name):
    path = str(folder / "model/export" / name)
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


def clips_of(folder):
    found = read_waveforms(folder / "waveforms")
    return {row.path: found.waveform(row) for row in found.rows}


def test_programs_give_the_scores_of_evaluation(made):
    _, scorer = inference.load(made / "model", torch.device("cpu"))
    graph = session(made, "model.onnx")
    with quiet():
        program = torch.export.load(made / "model/export/model.pt2").module()
    for name, clip in clips_of(made).items():
        # what is shorter than a piece is repeated; evaluation scores it as it is
        whole = np.resize(clip, max(clip.size, RATE_HZ))
        (expected,) = scorer.chunk_scores([whole])
        found = graph.run(None, {"waveform": clip[None]})
        with torch.no_grad():
            others = [value.numpy() for value in program(torch.from_numpy(clip[None].copy()))]
        for clip_scores, piece_scores, count in (found, others):
            assert count.tolist() == [len(expected)] == [{"c.wav": 3, "d.wav": 2}.get(name, 1)]
            np.testing.assert_allclose(piece_scores[0], expected, atol=1e-4)
            np.testing.assert_allclose(clip_scores[0], expected.max(0), atol=1e-4)
    assert np.ptp(expected) > 0.01, "a program of constant scores would pass"


def test_a_batch_is_scored_as_its_clips_are(made):
    graph, clip = session(made, "model.onnx"), clips_of(made)["c.wav"]
    batch = np.stack([clip, 0.2 * clip[::-1], np.zeros_like(clip)])
    together = graph.run(["scores"], {"waveform": batch})[0]
    alone = [graph.run(["scores"], {"waveform": one[None]})[0][0] for one in batch]
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_export_json_says_how_to_feed_the_programs(made):
    about = read_export(made / "model/export")
    assert (about.classes, about.sample_rate_hz) == (LABELS, RATE_HZ)
    assert (about.samples.at_least, about.samples.at_most) == (RATE_HZ, None)
    assert (about.chunks.length_s, about.chunks.join) == (1.0, "max")
    assert (about.thresholds, about.front_end.n_mels) == (THRESHOLDS, 32)
    assert max(about.checks.largest_difference.values()) <= about.checks.tolerance == 1e-4
    lengths = {round(length_s * RATE_HZ) for length_s in LENGTHS_S.values()}
    assert lengths & {samples for _, samples in about.checks.shapes}, "no real clip was compared"
    shape = about.files["network.onnx"].inputs[0].shape
    assert shape == ("batch", 1, 32, 1 + RATE_HZ // 128)


def test_the_difference_of_the_int8_program_is_measured(made):
    about, clips = read_export(made / "model/export"), clips_of(made)
    low, high = session(made, "model_int8.onnx"), session(made, "model.onnx")
    training = [clips[name] for k, name in enumerate(sorted(LENGTHS_S)) if k % 2]
    pairs = [
        [one.run(["scores"], {"waveform": clip[None]})[0][0] for one in (low, high)]
        for clip in training
    ]
    difference = np.abs(np.diff(pairs, axis=1))
    assert about.checks.int8.clips == len(training) == 2
    assert about.checks.int8.largest == pytest.approx(difference.max(), abs=1e-5)
    assert about.checks.int8.mean == pytest.approx(difference.mean(), abs=1e-5)
    assert 0 < about.checks.int8.largest < 0.1
    assert about.files["network_int8.onnx"].bytes < 0.4 * about.files["network.onnx"].bytes


@pytest.mark.parametrize("runtime", ["onnx", "int8"])
@pytest.mark.parametrize("kept", ["network", "program"])
def test_predictions_may_use_an_exported_tagger(made, tmp_path, runtime, kept):
    model = shutil.copytree(made / "model", tmp_path / "model")
    if kept == "program":
        for network in ("network.onnx", "network_int8.onnx"):
            (model / "export" / network).unlink()
    long = [name for name, length_s in LENGTHS_S.items() if length_s >= 1]
    found = [
        scores([row for row in rows if row["path"] in long], LABELS)
        for rows in (
            predict(made / "model", made / "clips", tmp_path / "torch", format="jsonl"),
            predict(model, made / "clips", tmp_path / "out", runtime=runtime, format="jsonl"),
        )
    ]
    difference = np.abs(found[0] - found[1]).max()
    assert difference <= 1e-5 if runtime == "onnx" else 1e-5 < difference < 0.1


def test_a_report_has_the_int8_figures_beside_the_others(made, tmp_path):
    quantized = export.int8_tagger(made / "model/export", made / "model")
    report = evaluate(made / "waveforms", made / "model", tmp_path / "report", quantized=quantized)
    alone = evaluate(made / "waveforms", made / "model", tmp_path / "alone")
    assert report.metrics.items() >= alone.metrics.items()
    network = made / "model/export/network_int8.onnx"
    assert report.metrics["quantized_size_bytes"].value == network.stat().st_size
    assert report.metrics["quantized_agreement"].value > 0.6
    assert {line.variants.get("int8") for line in report.headline} == {
        f"quantized_{line.metric}" for line in report.headline
    }


@pytest.mark.parametrize("name", ["model.onnx", "model_int8.onnx"])
def test_an_empty_waveform_is_refused_in_one_line(made, name):
    with pytest.raises(Exception, match="waveform holds no sample: give at least one") as told:
        session(made, name).run(None, {"waveform": np.zeros((1, 0), np.float32)})
    assert "\n" not in str(told.value)


def test_programs_of_another_model_are_refused(made, tmp_path):
    other = write_tagger(tmp_path / "model", network="PLAIN", n_mels=40)
    with pytest.raises(DataError, match="was exported from another model than"):
        export.int8_tagger(made / "model/export", other)


def test_whole_clips_have_one_length_where_the_network_s_shapes_depend_on_it(tmp_path):
    folder = make(tmp_path, chunk_s=None)
    about, (name, clip) = read_export(folder / "model/export"), next(iter(clips_of(folder).items()))
    assert about.samples.at_least == about.samples.at_most == RATE_HZ  # b.wav, learnt from
    _, scorer = inference.load(folder / "model", torch.device("cpu"))
    (expected,) = scorer.chunk_scores([np.resize(clip, RATE_HZ)])
    assert (name, expected.shape) == ("a.wav", (1, 3))
    found = session(folder, "model.onnx").run(["scores"], {"waveform": clip[None]})[0]
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.fixture
def short_mobilenet(monkeypatch):
    """MobileNetV3 with three blocks: exporting all fifteen takes three quarters of a minute."""
    mobilenetv3 = pytest.importorskip("torchvision.models.mobilenetv3")
    settings, _ = mobilenetv3._mobilenet_v3_conf("mobilenet_v3_large")
    # one block without a shortcut, one with, and one with squeeze and excitation
    blocks = [settings[1], settings[2], settings[3]]

    def build(function):
        assert function == "mobilenet_v3_large"
        return mobilenetv3.MobileNetV3(blocks, last_channel=64)

    monkeypatch.setattr(torchvision_networks, "build", build)


@pytest.mark.usefixtures("short_mobilenet")
def test_whole_clips_of_any_length_where_the_network_takes_any(tmp_path):
    folder = make(tmp_path, network="MOBILENET_V3_LARGE", chunk_s=None)
    about = read_export(folder / "model/export")
    assert about.samples.at_most is None
    assert about.files["network.onnx"].inputs[0].shape == ("batch", 1, 32, "frame")
    _, scorer = inference.load(folder / "model", torch.device("cpu"))
    clips = clips_of(folder)
    expected = scorer.chunk_scores([clips["c.wav"]])[0]
    found = session(folder, "model.onnx").run(["scores"], {"waveform": clips["c.wav"][None]})[0]
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_shortest_clip_fills_the_network_s_least_width(made):
    tagger = inference.load(made / "model")[1].tagger
    least = exporting._least(tagger)
    frames = [int(tagger.front_end.frames(torch.tensor([n]))) for n in (least - 1, least)]
    assert frames[0] < tagger.least_frames <= frames[1]
    assert json.loads((made / "model/export/export.json").read_text("utf-8"))["multi_label"] is True
