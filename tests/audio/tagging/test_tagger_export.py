"""Taggers from the waveform as torch.export programs and ONNX graphs."""

from __future__ import annotations

import pytest
import torch
from torch.export import Dim

from soundgate.audio.export.quiet import quiet
from soundgate.audio.networks.tagger import TaggerSettings, make_tagger
from soundgate.audio.signal.front_ends import FrontEndSettings

pytest.importorskip("torchvision")
onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("network", "front"), [("MOBILENET_V3_LARGE", "MEL_SPECTROGRAM"), ("PLAIN", "AST")]
)
def test_exported_tagger_gives_the_same_logits(network, front, tmp_path):
    torch.manual_seed(0)
    settings = FrontEndSettings(name=front, n_mels=64)
    tagger = make_tagger(TaggerSettings(network=network, front_end=settings), 3).eval()
    clips, example = 0.1 * torch.randn(3, 17_000), torch.zeros(2, 16_001)
    sizes = [{0: Dim("batch", min=1), 1: Dim("sample", min=8_000)}]
    with quiet(), torch.no_grad():
        program = torch.export.export(tagger, (example,), dynamic_shapes=sizes)
        found = torch.onnx.export(program, dynamo=True, opset_version=18, verbose=False)
        expected = tagger(clips)
        torch.testing.assert_close(program.module()(clips), expected, atol=1e-4, rtol=1e-4)
    path = tmp_path / "tagger.onnx"
    found.save(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {session.get_inputs()[0].name: clips.numpy()})
    torch.testing.assert_close(torch.from_numpy(logits), expected, atol=1e-4, rtol=1e-4)
