"""Real clips through a real encoder: ESC-10, YAMNet of 256 numbers, ridge."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from soundgate.audio.classification.heads.evaluation import evaluate
from soundgate.audio.classification.heads.fit import fit
from soundgate.audio.classification.heads.head import read_head
from soundgate.audio.embedding.engine import embed_records
from soundgate.audio.embedding.windows import EmbeddingSettings
from soundgate.audio.export.runtime import session
from soundgate.audio.formats.embeddings.segments import Segment, record_id
from soundgate.audio.formats.embeddings.vectors import EncoderUsed, write_embeddings
from soundgate.audio.formats.models.embedding_classifier import head_settings
from soundgate.audio.networks.encoders.catalogue import load_encoder
from soundgate.audio.networks.encoders.interface import EncoderSettings
from soundgate.cli import main

SHARED = Path(__file__).resolve().parents[4] / "shared"
CLIPS, WEIGHTS = SHARED / "datasets/ESC-10", SHARED / "weights/yamnet_256_f32.h5"
FOLDS = (1, 2, 3, 4)
GATE = 0.90

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CLIPS.is_dir(), reason=f"{CLIPS} is absent"),
    pytest.mark.skipif(not WEIGHTS.is_file(), reason=f"{WEIGHTS} is absent"),
]


def segment(path: Path, test_fold: int) -> Segment:
    """The first five seconds of a clip, 1-100032-A.ogg: fold, recording, take."""
    fold, source, _ = path.stem.split("-")
    name = path.relative_to(CLIPS).as_posix()
    return Segment(
        record_id=record_id(name, 0, 1),
        track_id=source,
        class_name=path.parent.name[6:],
        subclass="",
        path=name,
        split="test" if int(fold) == test_fold else "train",
        start_s=0.0,
        duration_s=5.0,
        round=1,
        noise=False,
        track=0,
        bucket=0,
        number=0,
    )


def test_ridge_on_yamnet_passes_a_gate_of_nine_in_ten_clips(tmp_path):
    encoder = load_encoder(EncoderSettings(name="yamnet", path=WEIGHTS))
    used = EncoderUsed(
        name=encoder.name,
        digest=encoder.digest,
        sample_rate_hz=encoder.sample_rate_hz,
        embedding_size=encoder.embedding_size,
    )
    paths = sorted(CLIPS.rglob("*.ogg"))
    rows = [segment(path, 0) for path in paths]
    made = embed_records(rows, CLIPS, encoder, EmbeddingSettings(batch_size=16))
    vectors = np.stack([each.vector for each in made])
    classes = sorted({row.class_name for row in rows})
    found = []
    for fold in FOLDS:
        folder = tmp_path / str(fold)
        rows = [segment(path, fold) for path in paths]
        write_embeddings(folder, used, classes, rows, vectors)
        fit(folder, folder / "m", folder / "h", head_settings("ridge", ["regularisation=10"]))
        report = evaluate(folder, folder / "m", folder / "report")
        assert report.clips == 80
        found.append(report.metrics["clip_accuracy"].value)
    program = tmp_path / "head.onnx"
    assert (
        main(["export-head", str(tmp_path / "1/m"), str(program), "--encoder", str(WEIGHTS)]) == 0
    )
    sound = np.random.default_rng(0).normal(scale=0.1, size=(2, 80_000)).astype(np.float32)
    (scores,) = session(program, threads=1).run(None, {"waveforms": sound})
    wanted = read_head(tmp_path / "1/m").scores(encoder.scenes(torch.from_numpy(sound)).numpy())
    assert scores == pytest.approx(wanted, abs=1e-4)
    assert found[0] >= GATE
    assert np.mean(found) >= GATE, found
