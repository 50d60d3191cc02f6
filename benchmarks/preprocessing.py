"""How fast features are computed, beside the ways in which they are computed elsewhere.

    python -m benchmarks.preprocessing --esc10 ESC-10 [--wav] [--clips 160] [--rounds 3]

Everything runs on one core and is measured in CPU time. The contenders take turns on the same eight
clips, so that a machine that changes its pace meets them all alike; for each clip the fastest of
several rounds counts. Peers:

decode only     soundfile.read, the limit of anything that reads the files
librosa         librosa.load, effects.split, feature.melspectrogram, log: one loop over the files
model zoo       the chain that the STM32 model zoo documents: the same calls with its arguments, a
                clip repeated up to a second, cut into patches one by one
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CHUNK = 8


@dataclass(frozen=True)
class Contender:
    """A way of working: ``run`` takes one of the ``items``, one for each clip."""

    name: str
    run: Callable[[Any], object]
    items: Sequence[Any]


def measure(contenders: Sequence[Contender], rounds: int) -> dict[str, float]:
    """Clips per second of CPU time of each contender, taking turns."""
    total = len(contenders[0].items)
    fastest_s = {contender.name: [float("inf")] * total for contender in contenders}
    for contender in contenders:
        contender.run(contender.items[0])
    for start in range(0, total, CHUNK):
        for number in range(rounds):
            shift = (number + start // CHUNK) % len(contenders)
            for contender in (*contenders[shift:], *contenders[:shift]):
                times_s = fastest_s[contender.name]
                for index in range(start, min(start + CHUNK, total)):
                    began = time.process_time()
                    contender.run(contender.items[index])
                    times_s[index] = min(times_s[index], time.process_time() - began)
    return {name: total / sum(times_s) for name, times_s in fastest_s.items()}


def whole_chain(paths: Sequence[Path], cache: Path) -> list[Contender]:
    """From file to patches: the limit, ours with and without a filled cache, and the peers."""
    import librosa
    import numpy as np
    import soundfile
    import torch

    from soundgate.audio.config import FeatureExtraction, Preprocessing
    from soundgate.audio.signal import waveforms
    from soundgate.audio.signal.log_mel import log_mel
    from soundgate.audio.signal.patches import patch_starts

    steps, options = Preprocessing(), FeatureExtraction()

    def decode(path: Path) -> object:
        return soundfile.read(path, dtype="float32")

    def ours(path: Path, cache: Path | None = None) -> object:
        samples, _ = waveforms.waveform(path, steps, cache=cache)
        with torch.inference_mode():
            mel = log_mel(torch.from_numpy(samples), options, 16000).half().numpy()
        starts = patch_starts(len(mel), options.patch_length, options.overlap)
        return np.stack([mel[start : start + options.patch_length] for start in starts])

    def by_librosa(path: Path) -> Any:
        samples, _ = librosa.load(path, sr=16000, duration=10)
        kept = librosa.effects.split(samples, top_db=60, frame_length=3200, hop_length=3200)
        samples = np.concatenate([samples[first:last] for first, last in kept])
        return librosa_mel(samples if samples.size >= 16000 else np.resize(samples, 16000))

    def zoo(path: Path) -> object:
        mel = by_librosa(path)
        patches = []
        for start in range(0, mel.shape[1] - 96 + 1, 72):
            patches.append(mel[:, start : start + 96].astype(np.float32))  # noqa: PERF401
        return np.stack(patches)

    for path in paths:
        ours(path, cache)
    return [
        Contender("decode only", decode, paths),
        Contender("ours", ours, paths),
        Contender("ours, from the cache", lambda path: ours(path, cache), paths),
        Contender("librosa", by_librosa, paths),
        Contender("model zoo", zoo, paths),
    ]


def mel_stage(paths: Sequence[Path]) -> list[Contender]:
    """From a 16 kHz waveform to log-mel frames."""
    import torch
    import torchaudio

    from soundgate.audio.config import FeatureExtraction, Preprocessing
    from soundgate.audio.signal import waveforms
    from soundgate.audio.signal.log_mel import log_mel

    options = FeatureExtraction()
    held = [waveforms.waveform(path, Preprocessing())[0] for path in paths]
    transform = torchaudio.transforms.MelSpectrogram(
        sample_rate=16000,
        n_fft=512,
        win_length=400,
        hop_length=160,
        f_min=125,
        f_max=7500,
        n_mels=64,
        power=1.0,
        center=False,
    )

    def ours(samples: Any) -> object:
        with torch.inference_mode():
            return log_mel(torch.from_numpy(samples), options, 16000)

    def by_torchaudio(samples: Any) -> object:
        with torch.inference_mode():
            return torch.log(transform(torch.from_numpy(samples)) + 1e-4)

    return [
        Contender("ours", ours, held),
        Contender("librosa", librosa_mel, held),
        Contender("torchaudio", by_torchaudio, held),
    ]


def librosa_mel(samples: Any) -> Any:
    """Log-mel spectrogram (mel, frame) with YAMNet's parameters."""
    import librosa
    import numpy as np

    mel = librosa.feature.melspectrogram(
        y=samples,
        sr=16000,
        n_fft=512,
        hop_length=160,
        win_length=400,
        center=False,
        power=1.0,
        n_mels=64,
        fmin=125,
        fmax=7500,
        norm=None,
        htk=True,
    )
    return np.log(mel + 1e-4)


def report(title: str, rates: dict[str, float]) -> None:
    """Print clips per second, and by what factor ours differs from each."""
    print(f"\n{title}\n{'':22}{'clips/s':>10}{'ours is':>12}")
    for name, rate in rates.items():
        print(f"{name:22}{rate:10.0f}{rates['ours'] / rate:11.2f}x")


def as_wav(paths: Sequence[Path], folder: Path) -> list[Path]:
    """Copies as 16-bit WAV at the rate of the original."""
    import soundfile

    copies = []
    for number, path in enumerate(paths):
        samples, rate_hz = soundfile.read(path)
        copies.append(folder / f"{number}.wav")
        soundfile.write(copies[-1], samples, rate_hz, subtype="PCM_16")
    return copies


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--esc10", type=Path, required=True, help="folder of ESC-10")
    parser.add_argument("--wav", action="store_true", help="measure 16-bit WAV copies too")
    parser.add_argument("--clips", type=int, default=160, help="number of clips, evenly chosen")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each contender")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    # Libraries read these when they are imported, which the functions above do.
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    warnings.simplefilter("ignore")
    import torch

    torch.set_num_threads(1)
    paths = sorted(arguments.esc10.rglob("*.ogg"))
    if not paths:
        parser.error(f"{arguments.esc10}: holds no .ogg file")
    paths = paths[:: max(1, len(paths) // arguments.clips)][: arguments.clips]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"{len(paths)} clips, one core, CPU time, best of {arguments.rounds}")
        rates = measure(whole_chain(paths, folder / "cache"), arguments.rounds)
        report("OGG 44.1 kHz to patches", rates)
        print(f"ours reaches {rates['ours'] / rates['decode only']:.0%} of the decoding limit")
        if arguments.wav:
            copies = as_wav(paths, folder)
            rates = measure(whole_chain(copies, folder / "cache"), arguments.rounds)
            report("WAV 44.1 kHz to patches", rates)
        report("16 kHz to log-mel", measure(mel_stage(paths), arguments.rounds))


if __name__ == "__main__":
    main()
