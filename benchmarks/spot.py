"""How fast a detector scores recordings, beside one window at a time, and in how much memory.

    python -m benchmarks.spot [--seconds 60] [--rounds 3] [--network RESNET18 ...]
    python -m benchmarks.spot --hours 24 [--hop 0.4] [--network RESNET10]

The first measures on one core, in CPU time; contenders take turns, and of several rounds the
fastest counts. Windows of 0.4 s every 0.05 s of a recording of noise at 48 kHz, in memory; ours is
what a prediction does after decoding: frames, batches of 64, the network, probabilities. The peer
is a loop with the same network in torch that takes a window, transforms it with ``torch.stft`` and
scores it, as ANIMAL-SPOT does. "shared" has frames every 0.01 s, so that windows share them.

The second writes a recording of so many hours (silence, which costs no disk), scores it by the
program's own prediction and prints the growth of the peak of memory above the imports. ``--device
cuda`` measures either on a GPU, by the clock.
"""

from __future__ import annotations

import argparse
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.peak import peak_mb

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt
    import torch

    from soundgate.audio.networks.detector import Detector

    Array = npt.NDArray[Any]

RATE_HZ, WINDOW, HOP = 48_000, 19_200, 2_400
LONG_RATE_HZ = 16_000
HOPS = {"as ANIMAL-SPOT": 1024, "shared": 480}
MOST = 600
"""Windows of the peer: the rest would take as long each."""


def make(network: str, hop_length: int, device: torch.device) -> Detector:
    """A detector with fresh weights."""
    from soundgate.audio.networks.detector import DetectorSettings, make_detector
    from soundgate.audio.signal.front_ends.detector_settings import DetectorFrontEndSettings

    front = DetectorFrontEndSettings(hop_length=hop_length)
    return make_detector(DetectorSettings(network=network, front_end=front), 2).eval().to(device)


def ours(detector: Detector, samples: Array, device: torch.device) -> Callable[[], Array]:
    """Score all windows as a prediction does."""
    import numpy as np

    from soundgate.audio.detection.scoring import prediction, scorer
    from soundgate.audio.detection.scoring.blocks import BLOCK_S, joined

    size = prediction.GPU_BATCH_SIZE if device.type == "cuda" else prediction.BATCH_SIZE
    made = scorer.Scorer(scorer.prepared(detector, device), WINDOW, size, device)
    step = round(BLOCK_S * RATE_HZ)

    def run() -> Array:
        blocks = (samples[first : first + step] for first in range(0, samples.size, step))
        stretches = (scorer.Stretch(0, *pair) for pair in joined(blocks, WINDOW, HOP))
        odds = [scorer.log_odds(logits) for _, logits in made(stretches)]
        return scorer.probabilities(np.concatenate(odds))[:, 0]

    return run


def loop(detector: Detector, samples: Array, device: torch.device) -> Callable[[], Array]:
    """Score the first ``MOST`` windows, one at a time."""
    import numpy as np
    import torch
    from torch.nn import functional

    spec = detector.front_end.settings
    window = torch.hann_window(spec.n_fft, device=device)
    first = int(spec.n_fft * spec.fmin_hz / RATE_HZ)
    last = int(-(-spec.n_fft * spec.fmax_hz // RATE_HZ))
    sound = torch.from_numpy(samples)

    def image(piece: torch.Tensor) -> torch.Tensor:
        piece = torch.cat([piece[:1], piece[1:] - spec.pre_emphasis * piece[:-1]])
        spectrum = torch.stft(
            piece, spec.n_fft, spec.hop_length, window=window, center=False, return_complex=True
        )
        power = (spectrum / window.square().sum().sqrt()).abs().square().T[None]
        power = functional.interpolate(power[..., first:last], spec.n_freq_bins, mode="nearest")
        level = 10 * power.clamp(min=1e-10).log10()
        level = level - level.min()
        return level / level.max()

    def run() -> Array:
        found = []
        with torch.no_grad():
            for start in range(0, samples.size - WINDOW + 1, HOP)[:MOST]:
                piece = sound[start : start + WINDOW].to(device)
                logits = detector.from_images(image(piece)[None]).cpu()
                found.append(float(logits.softmax(1)[0, 1]))
        return np.array(found)

    return run


def fastest(
    contenders: dict[str, Callable[[], Array]], rounds: int, clock: Any
) -> dict[str, float]:
    """Windows a second of each contender; they take turns."""
    best = dict.fromkeys(contenders, 0.0)
    for _ in range(rounds):
        for name, run in contenders.items():
            begun = clock()
            count = len(run())
            best[name] = max(best[name], count / (clock() - begun))
    return best


def compare(networks: list[str], seconds: float, rounds: int, device: torch.device) -> None:
    """Print windows a second, ours beside the loop's, and that both say the same."""
    import numpy as np
    import torch

    rng = np.random.default_rng(0)
    samples = (0.1 * rng.standard_normal(round(seconds * RATE_HZ))).astype(np.float32)
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    print("\nwindows a second, 0.4 s every 0.05 s")
    for network in networks:
        for name, hop_length in HOPS.items():
            torch.manual_seed(0)
            detector = make(network, hop_length, device)
            pair = {
                "ours": ours(detector, samples, device),
                "loop": loop(detector, samples, device),
            }
            scores = {who: run() for who, run in pair.items()}  # and warms up
            apart = np.abs(scores["ours"][: len(scores["loop"])] - scores["loop"]).max()
            best = fastest(pair, rounds, clock)
            ratio = best["ours"] / best["loop"]
            print(
                f"{network:>10}  {name:>14}  ours {best['ours']:8.0f}  loop {best['loop']:6.0f}  "
                f"ratio {ratio:5.2f}  ({best['ours'] * HOP / RATE_HZ:.1f} times real time; scores "
                f"{apart:.0e} apart)",
                flush=True,
            )


def make_silence(path: Path, hours: float) -> None:
    """Write a WAV of silence: a header, and a hole for the samples."""
    size = round(hours * 3600 * LONG_RATE_HZ) * 2
    head = b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt "
    head += struct.pack("<IHHIIHH", 16, 1, 1, LONG_RATE_HZ, 2 * LONG_RATE_HZ, 2, 16)
    with path.open("wb") as file:
        file.write(head + b"data" + struct.pack("<I", size))
        file.truncate(len(head) + 8 + size)


def make_model(folder: Path, network: str) -> None:
    """Write a model folder with fresh weights, for recordings at 16 kHz."""
    from soundgate.audio.config.spot import SpotConfig
    from soundgate.audio.detection import network as networks
    from soundgate.audio.formats import model

    config = SpotConfig().with_values(
        {
            "audio.sample_rate_hz": LONG_RATE_HZ,
            "audio.n_fft": 512,
            "audio.hop_length": 160,
            "model.name": network,
            "model.width": 8,
        }
    )
    detector, _ = networks.fresh(config, ("noise", "target"))
    about = networks.described(detector.settings, ("noise", "target"))
    model.write(folder, about, detector.state_dict(), [])


def predict(folder: Path, hop_s: float) -> None:
    """Score the long recording; print the growth of memory in MB. Run in a process of its own."""
    import torch

    from soundgate.audio.detection.scoring import prediction
    from soundgate.audio.detection.scoring.recordings import Region

    torch.set_num_threads(1)
    before = peak_mb()
    asked = prediction.Asked(hop_s=hop_s, batch_size=prediction.usual_batch_size())
    begun = time.process_time()
    prediction.predict(folder / "model", folder, folder / "scores", [Region("long.wav")], asked)
    passed = time.process_time() - begun
    after = peak_mb()
    print(f"{after - before:.0f} MB above the imports, {passed:.0f} s of CPU time")


def long(hours: float, hop_s: float, network: str) -> None:
    """Score a recording of so many hours in a process of its own."""
    with tempfile.TemporaryDirectory() as place:
        make_silence(Path(place) / "long.wav", hours)
        make_model(Path(place) / "model", network)
        command = [sys.executable, "-m", "benchmarks.spot", "--predict", place, "--hop", str(hop_s)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        print(f"\n{hours:g} hours, {network} of width 8, a window every {hop_s:g} s")
        print("\n".join(done.stdout.splitlines()[-2:]), flush=True)


def main(argv: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="speed and memory of detectors")
    parser.add_argument("--network", nargs="+", default=["RESNET18", "PLAIN"])
    parser.add_argument("--seconds", type=float, default=40.0, help="length of the recording")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each contender")
    parser.add_argument("--device", default="cpu", help="cpu, one core of it, or cuda")
    parser.add_argument("--hours", type=float, help="measure memory on a recording of this length")
    parser.add_argument("--hop", type=float, default=0.4, help="of the long recording, seconds")
    parser.add_argument("--predict", type=Path, help="used by the benchmark itself")
    arguments = parser.parse_args(argv)
    if arguments.predict:
        predict(arguments.predict, arguments.hop)
        return
    if arguments.hours:
        long(arguments.hours, arguments.hop, arguments.network[0])
        return
    import torch

    torch.set_num_threads(1)
    compare(arguments.network, arguments.seconds, arguments.rounds, torch.device(arguments.device))


if __name__ == "__main__":
    main()
