"""How fast clips are predicted, beside loops over files, and that a long file costs no memory.

    python -m benchmarks.prediction [--esc10 ESC-10] [--model MODEL] [--clips 80] [--rounds 3]

One core, CPU time, from file to table of scores; the contenders take turns, and of several rounds
the fastest counts. Without ``--esc10`` the clips are noise in 16-bit WAV; without ``--model`` the
network is an untrained one of the default size, whose speed is the same. Peers:

librosa         one loop over the files: librosa.load, effects.split, feature.melspectrogram, the
                network on the clip's patches, a row of a CSV
plain torch     the same loop with the functions that training and evaluation are made of
onnx, int8      the exported programs, where the model has them (``export/``)

Memory is the peak above the imports of a process that predicts one file of stereo 44.1 kHz.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.peak import peak_mb

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from soundgate.audio.prediction.choices import Format, Runtime

CLASSES = tuple(f"class {k}" for k in range(10))


def make_model(folder: Path) -> Path:
    """Write an untrained network of the default architecture."""
    import numpy as np

    from soundgate.audio.config import FeatureExtraction, Preprocessing
    from soundgate.audio.formats import model as model_format
    from soundgate.audio.networks import models
    from soundgate.audio.signal.standardisation import Standardisation

    options = FeatureExtraction()
    ones = np.ones(options.n_mels, np.float32)
    description = model_format.Description(
        architecture="plain",
        size={},
        classes=CLASSES,
        multi_label=False,
        preprocessing=Preprocessing(),
        feature_extraction=options,
        standardisation=Standardisation(-4 * ones, ones),
    )
    network = models.build("plain", len(CLASSES), {})
    model_format.write(folder, description, network.state_dict(), [])
    return folder


def make_noise(path: Path, seconds: float, *, channels: int = 1, seed: int = 0) -> Path:
    """Write noise of 44.1 kHz as 16-bit WAV, second by second."""
    import numpy as np
    import soundfile

    rng = np.random.default_rng(seed)
    with soundfile.SoundFile(path, "w", 44_100, channels) as file:
        for _ in range(round(seconds)):
            file.write(0.1 * rng.standard_normal((44_100, channels)))
    return path


def contenders(model: Path, clips: Path, out: Path) -> dict[str, Callable[[], object]]:
    """Ways to predict all of ``clips``, by name."""
    from soundgate.audio.prediction import prediction
    from soundgate.audio.prediction.settings import Settings

    def ours(runtime: Runtime, table: Format) -> object:
        settings = Settings(runtime=runtime, format=table)
        return prediction.predict(model, clips, out / f"{runtime}-{table}", settings)

    found: dict[str, Callable[[], object]] = {
        "ours": lambda: ours("torch", "csv"),
        "ours, to Parquet": lambda: ours("torch", "parquet"),
        "librosa": lambda: _loop(model, clips, out / "librosa.csv", _librosa_frames),
        "plain torch": lambda: _loop(model, clips, out / "plain.csv", _plain_frames),
    }
    if (model / "export").is_dir():
        found["onnx"] = lambda: ours("onnx", "csv")
        found["int8"] = lambda: ours("int8", "csv")
    return found


def _loop(model: Path, clips: Path, table: Path, frames: Callable[[Path], Any]) -> None:
    """One file after another, as a script does it."""
    from soundgate.audio.classification import inference

    classifier = inference.load(model)
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        for path in sorted(clips.iterdir()):
            scores = classifier.patch_scores(frames(path))
            writer.writerow([path.name, *scores.mean(0)])


def _plain_frames(path: Path) -> Any:
    import torch

    from soundgate.audio.config import FeatureExtraction, Preprocessing
    from soundgate.audio.signal import waveforms
    from soundgate.audio.signal.log_mel import log_mel

    samples, _ = waveforms.waveform(path, Preprocessing())
    with torch.inference_mode():
        mel = log_mel(torch.from_numpy(samples), FeatureExtraction(), 16_000)
    return mel.half().numpy()


def _librosa_frames(path: Path) -> Any:
    import librosa
    import numpy as np

    from benchmarks.preprocessing import librosa_mel

    samples, _ = librosa.load(path, sr=16_000, duration=10)
    kept = librosa.effects.split(samples, top_db=60, frame_length=3200, hop_length=3200)
    samples = np.concatenate([samples[first:last] for first, last in kept])
    mel = librosa_mel(samples if samples.size >= 16_000 else np.resize(samples, 16_000))
    return mel.T.astype(np.float16)


def measure(run: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """CPU seconds of each contender, the best of several rounds."""
    fastest_s = dict.fromkeys(run, float("inf"))
    names = list(run)
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            began = time.process_time()
            run[name]()
            fastest_s[name] = min(fastest_s[name], time.process_time() - began)
    return fastest_s


def speed(model: Path, clips: Path, out: Path, rounds: int) -> None:
    """Print clips per second of CPU time."""
    import soundfile

    held = [soundfile.info(path).duration for path in sorted(clips.iterdir())]
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123
        shown, sys.stdout = sys.stdout, nowhere
        try:
            fastest_s = measure(contenders(model, clips, out), rounds)
        finally:
            sys.stdout = shown
    print(f"\n{len(held)} clips, {sum(held):.0f} s; one core, CPU time, best of {rounds}")
    print(f"{'':18}{'clips/s':>9}{'audio s/s':>11}{'ours is':>9}")
    for name, took_s in fastest_s.items():
        ratio = took_s / fastest_s["ours"]
        rates = f"{len(held) / took_s:9.0f}{sum(held) / took_s:11.0f}"
        print(f"{name:18}{rates}{ratio:8.2f}x")


def memory(model: Path, folder: Path, minutes: Sequence[int]) -> None:
    """Print the peak above the imports, for files of different lengths."""
    print("\none file of stereo 44.1 kHz, peak memory above the imports")
    for length in minutes:
        path = make_noise(folder / f"{length}.wav", 60.0 * length, channels=2)
        command = [sys.executable, "-m", "benchmarks.prediction", "--one", str(path)]
        command += ["--model", str(model)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        figures = json.loads(done.stdout.splitlines()[-1])
        size_mb = path.stat().st_size / 1e6
        path.unlink()
        print(
            f"{length:4d} min, {size_mb:5.0f} MB{figures['grew_mb']:8.1f} MB, "
            f"{figures['audio_s_per_s']:.0f} s of audio a second"
        )


def one(model: Path, path: Path) -> None:
    """Predict one file; print by how much the peak grew. Run in a process of its own."""
    from soundgate.audio.prediction import prediction

    before = peak_mb()
    with tempfile.TemporaryDirectory() as out:
        summary = prediction.predict(model, path, Path(out), workers=2)
    grew_mb = round(peak_mb() - before, 1)
    print(json.dumps({"grew_mb": grew_mb, "audio_s_per_s": summary.audio_s_per_s}))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--esc10", type=Path, help="folder of ESC-10")
    parser.add_argument("--model", type=Path, help="folder model/ of a training")
    parser.add_argument("--clips", type=int, default=80, help="number of clips")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each contender")
    parser.add_argument("--minutes", type=int, nargs="+", default=[1, 60])
    parser.add_argument("--one", type=Path, help="used by the benchmark itself")
    arguments = parser.parse_args()
    if arguments.one:
        one(arguments.model, arguments.one)
        return
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    warnings.simplefilter("ignore")
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (clips := folder / "clips").mkdir()
        (out := folder / "out").mkdir()
        model = arguments.model or make_model(folder / "model")
        paths = sorted(arguments.esc10.rglob("*.ogg")) if arguments.esc10 else []
        for number, path in enumerate(paths[:: max(1, len(paths) // arguments.clips)]):
            (clips / f"{number:04d}.ogg").symlink_to(path.absolute())
        for number in range(0 if paths else arguments.clips):
            make_noise(clips / f"{number:04d}.wav", 5.0, seed=number)
        mine = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(mine)})
        speed(model, clips, out, arguments.rounds)
        os.sched_setaffinity(0, mine)
        memory(model, folder, arguments.minutes)


if __name__ == "__main__":
    main()
