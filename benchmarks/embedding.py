"""How fast recordings are embedded by CLAP 2023, and how exactly, against ``msclap``.

    python -m benchmarks.embedding [--clips 32] [--seconds 7] [--rounds 3]

Random weights of the published shape in one file for all, noise at 48 kHz in WAV files of one
channel. Contenders take turns, and of several rounds the fastest counts:

msclap          ``CLAP.get_audio_embeddings`` a file, as its readme has it; its reader, which needs
                torchcodec, is soundfile, everything after that is its own
msclap batch    the same for 16 files at a time
fp32, bf16      this project's engine
int8            the engine with the program that ``soundgate export-encoder`` writes

One core: CPU time. All cores: the clock, with a thread of the engine for each, and all of torch's
for msclap. Errors are against fp32; msclap's come from its resampler alone.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import warnings
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from soundgate.audio.networks.encoders.interface import Encoder

    Floats = NDArray[np.float32]

RATE_HZ = 48_000
BATCH = 16


@dataclass(frozen=True)
class Clip:
    """A file to embed, whole."""

    record_id: str
    path: str
    start_s: float = 0.0
    duration_s: float | None = None


@dataclass(frozen=True)
class World:
    """Files and weights."""

    folder: Path
    clips: list[Clip]
    weights: Path
    peer: Any
    """A ``msclap.CLAP`` with the same weights."""


def make_world(folder: Path, clips: int, seconds: float, device: str = "cpu") -> World:
    """Write noise and weights."""
    import numpy as np
    import soundfile
    import torch

    rng = np.random.default_rng(0)
    made = [Clip(str(k), f"{k}.wav") for k in range(clips)]
    for clip in made:
        noise = rng.normal(size=round(seconds * RATE_HZ)) * rng.uniform(0.01, 0.2)
        soundfile.write(folder / clip.path, noise, RATE_HZ, subtype="PCM_16")
    torch.manual_seed(0)
    peer = msclap(device)
    weights = folder / "CLAP_weights_2023.pth"
    state = peer.clap.audio_encoder.state_dict()
    torch.save({"model": {f"audio_encoder.{key}": v.cpu() for key, v in state.items()}}, weights)
    return World(folder, made, weights, peer)


def msclap(device: str) -> Any:
    """The package's class without its text tower, with random weights."""
    import soundfile
    import torch
    import torchaudio.transforms
    from msclap import CLAP
    from msclap.models.clap import AudioEncoder

    class Peer(CLAP):  # type: ignore[misc]
        """Everything but reading files is its own."""

        def __init__(self) -> None:
            self.use_cuda = device != "cpu"
            self.args = Namespace(duration=7, sampling_rate=44_100)
            network = AudioEncoder("HTSAT", 768, 1024, 44_100, 1024, 320, 64, 50, 8000, 527)
            self.clap = Namespace(audio_encoder=network.eval().to(device))

        def read_audio(self, audio_path: Path, resample: bool = True) -> tuple[Any, int]:  # noqa: FBT001, FBT002 - as the package has it
            samples, rate_hz = soundfile.read(audio_path, dtype="float32")
            wave = torch.from_numpy(samples)[None]
            if not resample or rate_hz == self.args.sampling_rate:
                return wave, rate_hz
            return torchaudio.transforms.Resample(rate_hz, 44_100)(wave), 44_100

    return Peer()


def contenders(
    world: World, device: str, workers: int, *, int8: bool
) -> dict[str, Callable[[], Floats]]:
    """Functions that embed all files."""
    from soundgate.audio.networks.encoders.catalogue import load_encoder
    from soundgate.audio.networks.encoders.interface import EncoderSettings

    files = [world.folder / clip.path for clip in world.clips]

    def by_peer(count: int) -> Floats:
        groups = [files[first : first + count] for first in range(0, len(files), count)]
        return stacked([world.peer.get_audio_embeddings(group) for group in groups])

    found: dict[str, Callable[[], Floats]] = {
        "msclap": lambda: by_peer(1),
        "msclap batch": lambda: by_peer(BATCH),
    }
    encoders: dict[str, Encoder] = {}
    for precision in ("fp32", "bf16"):
        settings = EncoderSettings(path=world.weights, precision=cast("Any", precision))
        encoders[precision] = load_encoder(settings, device)
    if int8:
        from soundgate.audio.export.encoders.encoder import write_encoder

        program = world.folder / "clap_int8.onnx"
        if not program.exists():
            write_encoder(EncoderSettings(path=world.weights, precision="int8"), program)
        encoders["int8"] = load_encoder(EncoderSettings(name="onnx", path=program))
    for name, encoder in encoders.items():
        found[name] = lambda encoder=encoder: ours(world, encoder, workers)  # type: ignore[misc]
    return found


def ours(world: World, encoder: Encoder, workers: int, batch: int = BATCH) -> Floats:
    """Embed all files with the engine."""
    import numpy as np

    from soundgate.audio.embedding.engine import embed_records
    from soundgate.audio.embedding.windows import EmbeddingSettings

    settings = EmbeddingSettings(batch_size=batch, workers=workers)
    return np.stack(
        [row.vector for row in embed_records(world.clips, world.folder, encoder, settings)]
    )


def stacked(groups: list[Any]) -> Floats:
    """Embeddings of groups of files, float32 (file, size)."""
    import numpy as np

    found: Floats = np.concatenate([group.float().cpu().numpy() for group in groups])
    return found


def measure(
    known: dict[str, Callable[[], Floats]], clips: int, rounds: int, clock: Callable[[], float]
) -> dict[str, float]:
    """Seconds that each takes; prints a row each."""
    import numpy as np

    found = {name: embed() for name, embed in known.items()}  # warm-up, and the figures
    took = dict.fromkeys(known, float("inf"))
    for _ in range(rounds):
        for name, embed in known.items():
            began = clock()
            embed()
            took[name] = min(took[name], clock() - began)
    exact = found["fp32"]
    for name, vectors in found.items():
        lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(exact, axis=1)
        cosine = ((vectors * exact).sum(1) / lengths).min()
        print(
            f"  {name:<14}{clips / took[name]:>9.2f} clips/s{took['msclap'] / took[name]:>8.1f}x"
            f"{np.abs(vectors - exact).max():>12.1e}{cosine:>12.6f}"
        )
    return took


def measure_device(folder: Path, clips: int, rounds: int, device: str) -> None:
    """Embed files on a device: a loop over files beside the engine, and how busy it is."""
    import torch

    torch.set_num_threads(1)
    world = make_world(folder, clips, 7.0, device)
    cores = len(os.sched_getaffinity(0))
    known = contenders(world, device, cores, int8=False)
    del known["msclap batch"]
    print(f"embedding {clips} clips of 7 s, decoding on {cores} cores\n  {'':<31}msclap / it")
    measure(known, clips, rounds, time.perf_counter)
    for precision in ("fp32", "bf16"):
        print(f"  {precision}: {busy(world, device, precision, cores):.0%} of the time computing")


def busy(world: World, device: str, precision: str, workers: int) -> float:
    """Which part of the engine's time its encoder computes; copies to and from it count."""
    from soundgate.audio.networks.encoders.catalogue import load_encoder
    from soundgate.audio.networks.encoders.interface import EncoderSettings

    settings = EncoderSettings(path=world.weights, precision=cast("Any", precision))
    encoder: Any = load_encoder(settings, device)
    spent, scenes = [0.0], encoder.scenes

    def timed(waveforms: Any) -> Any:
        began = time.perf_counter()
        found = scenes(waveforms)
        spent[0] += time.perf_counter() - began
        return found

    encoder.scenes = timed
    began = time.perf_counter()
    ours(world, encoder, workers, 4 * BATCH)
    return spent[0] / (time.perf_counter() - began)


def main() -> None:
    """Print a row a contender, on one core and on all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=7.0, help="length of a clip, at most 7")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--no-int8", dest="int8", action="store_false", help="leave the program out"
    )
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    import torch

    cores = len(os.sched_getaffinity(0))
    head = f"  {'':<14}{'':>17}{'msclap / it':>9}{'difference':>11}{'cosine':>12}"
    with tempfile.TemporaryDirectory() as folder:
        torch.set_num_threads(1)
        world = make_world(Path(folder), asked.clips, asked.seconds)
        known = contenders(world, "cpu", 1, int8=asked.int8)
        print(f"one core, CPU time\n{head}")
        measure(known, asked.clips, asked.rounds, time.process_time)
        torch.set_num_threads(cores)
        known = contenders(world, "cpu", cores, int8=asked.int8)
        print(f"{cores} cores, by the clock\n{head}")
        measure(known, asked.clips, asked.rounds, time.perf_counter)


if __name__ == "__main__":
    main()
