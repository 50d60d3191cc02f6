from __future__ import annotations

import functools

import onnx
import pytest
import torch
import transformers

from soundgate.audio.export.encoders import encoder
from soundgate.audio.export.encoders.encoder import write_encoder
from soundgate.audio.networks.encoders.catalogue import load_encoder
from soundgate.audio.networks.encoders.clap import htsat
from soundgate.audio.networks.encoders.interface import EncoderSettings
from soundgate.cli import main
from soundgate.errors import ConfigError
from tests.audio.encoders.clap_files import SIZE, write_clap
from tests.audio.encoders.test_stored_encoders import SPEECH, save, sound

pytestmark = pytest.mark.slow


def test_programs_embed_as_torch_does_and_int8_nearly(tmp_path, capsys, monkeypatch):
    # Tracing takes ten seconds: both programs are made of one trace.
    traced = functools.cache(
        lambda name, trace=encoder.graph_of: trace(
            whole.module, whole.window_samples, name, encoder.OUTPUT
        )
    )
    monkeypatch.setattr(encoder, "graph_of", lambda _module, _samples, name, _output: traced(name))
    small = htsat.Geometry(size=8, depths=(1, 2), heads=(2, 2), classes=5)
    weights = write_clap(tmp_path / "clap.pth", geometry=small)
    whole = load_encoder(EncoderSettings(path=weights))
    window = sound(whole.window_samples, 3)
    expected, cosines, sizes = whole.scenes(window), {}, {}
    for precision in ("fp32", "int8"):
        file = tmp_path / f"{precision}.onnx"
        arguments = ["export-encoder", str(file), "--path", str(weights)]
        assert main([*arguments, "--precision", precision]) == 0
        assert "embeddings differ from torch's by at most" in capsys.readouterr().out
        program = load_encoder(EncoderSettings(name="onnx", path=file))
        assert program.sample_rate_hz == 44_100
        assert (program.window_samples, program.embedding_size) == (7 * 44_100, SIZE)
        found = program.scenes(window)
        cosines[precision] = torch.nn.functional.cosine_similarity(found, expected).min()
        sizes[precision] = file.stat().st_size
        said = {prop.key: prop.value for prop in onnx.load(file).metadata_props}
        assert (said["encoder_digest"], said["precision"]) == (whole.digest, precision)
    assert cosines["fp32"] > 1 - 1e-6
    assert 0.99 < cosines["int8"] < 1 - 1e-7
    assert sizes["int8"] < sizes["fp32"]


def test_only_networks_of_torch_become_programs(tmp_path):
    with pytest.raises(ConfigError, match="written in fp32 or int8, not bf16"):
        write_encoder(EncoderSettings(path=tmp_path, precision="bf16"), tmp_path / "a.onnx")
    save(tmp_path / "hubert", transformers.HubertConfig(**SPEECH), "HubertModel")
    with pytest.raises(ConfigError, match="hubert takes any length"):
        write_encoder(EncoderSettings(name="hubert", path=tmp_path / "hubert"), tmp_path / "a.onnx")
    with pytest.raises(ConfigError, match=r"encoder\.path: .*absent\.pth does not exist"):
        write_encoder(EncoderSettings(path=tmp_path / "absent.pth"), tmp_path / "a.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["hubert"]
