"""A corpus, a tiny encoder, two configs and a file of directives: a campaign of seconds."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile

ROOT = Path(__file__).resolve().parent.parent
RATE_HZ = 8000

CONFIG = """
classes: [dog, rain]
sampling_rate: 8000
noise_perc: 0.3
seed: {seed}
valid_cut_secs: [1]
train_size: 8
es_size: 2
valid_size: 2
test_size: 2
dataset: {{name: folder}}
encoder: {{name: onnx, path: {encoder}, sample_rate_hz: 8000, batch_size: 2}}
"""

CLAP_CONFIG = """
classes: [dog, rain, rooster]
sampling_rate: 44100
noise_perc: 0.3
seed: {seed}
valid_cut_secs: [7]
train_size: 14
es_size: 3
valid_size: 3
test_size: 3
dataset: {{name: folder}}
encoder: {{name: clap-2023, path: {encoder}, batch_size: 4}}
"""
ESC10 = {"dog": "001 - Dog bark", "rain": "002 - Rain", "rooster": "009 - Rooster"}

DIRECTIVES = """\
# GLOBAL SCHEDULER PARAMETERS (HEADER)
CLAP_WEIGHTS      | {encoder}
DATASEC_GLOBAL    | {corpus}
SLURM_ACCOUNT     | IscrC_Pb-skite
SLURM_PARTITION   | boost_usr_prod
SLURM_TIME        | 23:59:59

# EXECUTION LIST (Format: config | format | octave)
one.yaml | wav  | 1
one.yaml | wav  | 3
two.yaml | wav  | 1
two.yaml | wav  | 3
"""

RESULTS = ("plan/records", "merge/embeddings", "merge-bands-1/bands", "merge-bands-3/bands")
"""Outputs whose bytes are those of an undisturbed campaign; the log tells of time."""


def write_encoder(path: Path) -> None:
    """A program (clip, 8000) -> (clip, 4): sums of the waveform with four fixed weights."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = np.random.default_rng(0).normal(0, 0.01, (RATE_HZ, 4)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["waveform", "weights"], ["embedding"])],
        "encoder",
        [helper.make_tensor_value_info("waveform", TensorProto.FLOAT, ["clip", RATE_HZ])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["clip", 4])],
        [numpy_helper.from_array(weights, "weights")],
    )
    opset = helper.make_opsetid("", 17)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=8), path)


def write_world(folder: Path) -> Path:
    """Write everything; return the file of directives."""
    random = np.random.default_rng(1)
    for name in ("dog", "rain"):
        for n in range(5):
            path = folder / "corpus" / name / "street" / f"{n}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            samples = random.normal(0, 0.1, RATE_HZ * (n + 2) // 2)
            soundfile.write(path, samples, RATE_HZ, subtype="PCM_16")
    encoder = folder / "encoder.onnx"
    write_encoder(encoder)
    return _write_campaign(folder, CONFIG, encoder)


def write_esc10_world(folder: Path, esc10: Path) -> Path:
    """The same of real clips, and CLAP 2023 of the published shape with random weights."""
    from soundgate.audio.networks.encoders.clap.htsat import Geometry
    from tests.audio.encoders.clap_files import write_clap

    for name, place in ESC10.items():
        (folder / "corpus" / name / "esc").mkdir(parents=True)
        for path in sorted((esc10 / place).glob("*.ogg")):
            samples, rate_hz = soundfile.read(path)
            target = folder / "corpus" / name / "esc" / f"{path.stem}.wav"
            soundfile.write(target, samples, rate_hz, subtype="PCM_16")
    encoder = write_clap(folder / "CLAP_weights_2023.pth", geometry=Geometry(), size=1024)
    return _write_campaign(folder, CLAP_CONFIG, encoder)


def _write_campaign(folder: Path, config: str, encoder: Path) -> Path:
    (folder / "configs").mkdir()
    for seed, name in enumerate(("one", "two"), 1):
        text = config.format(seed=seed, encoder=encoder)
        (folder / "configs" / f"{name}.yaml").write_text(text)
    directives = folder / "job_directives.txt"
    directives.write_text(DIRECTIVES.format(encoder=encoder, corpus=folder / "corpus"))
    return directives


def words(directives: Path, runs: Path, *further: str) -> list[str]:
    """The command line of the campaign."""
    program = [sys.executable, "-m", "soundgate.cli", "run-campaign", str(directives)]
    return [*program, *further, "--set", "shards=2", "--set", f"store={runs / 'store'}"]


def run(directives: Path, runs: Path, *further: str) -> subprocess.CompletedProcess[str]:
    """Run the campaign to its end."""
    return subprocess.run(
        words(directives, runs, *further),
        cwd=ROOT,
        env={**os.environ, "SOUNDGATE_RUNS": str(runs)},
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )


def digests(runs: Path) -> dict[str, str]:
    """SHA-256 of every result file, by run (in their order), task, output and name."""
    found = {}
    newest = [path for path in sorted(runs.glob("sec/2*")) if _succeeded(path)]
    for number, folder in enumerate(newest):
        for result in RESULTS:
            for path in sorted((folder / "tasks" / result).glob("*")):
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                found[f"{number}/{result}/{path.name}"] = digest
    return found


def _succeeded(run: Path) -> bool:
    return '"state": "succeeded"' in (run / "run.json").read_text().partition('"tasks"')[0]
