"""How fast taggers are fed and how fast they score, beside the plain way.

    python -m benchmarks.tagging [--clips 48] [--rounds 3] [--network PLAIN ...]

The clips are 3 s of noise in 16-bit stereo WAV of 44.1 kHz, as IRMAS has them. Everything runs on
one core and is measured in CPU time; contenders take turns, and of several rounds the fastest
counts. Making them, and a first round, are left out. Ours is what a training does (``gathered``,
the augmentations, the front end), from files that were decoded once, and what evaluation does.
Peers:

librosa            one file at a time, float32: librosa.load, each transform, melspectrogram, dB
librosa, decoded   the same from samples in memory

"scored" ends with the network's scores, ours with the decoding of the files. "learnt" is a step of
training, input pipeline included, beside a loop in float32 over images that librosa made.
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
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    import numpy.typing as npt

    from soundgate.audio.classification.tagging.plan import Plan
    from soundgate.audio.classification.tagging.system import Tagging
    from soundgate.audio.networks.tagger import Tagger

    Array = npt.NDArray[Any]

RATE_HZ, FILE_RATE_HZ, SECONDS, LABELS = 16_000, 44_100, 3, 11
N_FFT, HOP_LENGTH, BANDS = 1024, 320, 64
PLAIN_AUGMENTATION: tuple[str, ...] = ()
FULL_AUGMENTATION = ("TIME_STRETCH", "PITCH", "TIME_SHIFT", "FREQ_MASK")
CONFIG = """
general: {{batch_size: 32}}
audio_transform: {{n_fft: 1024, hop_length: 320, n_mels: 64}}
model: {{name: {network}, head: LINEAR}}
augmentation: {{names: [{names}]}}
training: {{batch_size: 16, chunk_s: 3, finetune_head: false, skip_validation: true}}
"""


@dataclass(frozen=True)
class World:
    """Clips on disk, and as a training reads them."""

    files: Sequence[Path]
    waveforms: Path
    device: Any


@dataclass(frozen=True)
class Ours:
    """A training of the product, taken apart."""

    plan: Plan
    tagger: Tagger
    system: Tagging


def make_clips(folder: Path, count: int) -> list[Path]:
    """Write the clips."""
    import numpy as np
    import soundfile

    rng = np.random.default_rng(0)
    files = [folder / f"{number:04d}.wav" for number in range(count)]
    for file in files:
        samples = 0.1 * rng.standard_normal((SECONDS * FILE_RATE_HZ, 2))
        soundfile.write(file, samples, FILE_RATE_HZ, subtype="PCM_16")
    return files


def prepare(files: Sequence[Path], folder: Path) -> Path:
    """Decode the clips once, as ``steps/tagging/prepare.py`` does."""
    from soundgate.audio.clips.manifest import Clip
    from soundgate.audio.files import reading
    from soundgate.audio.formats.waveforms import Writer

    labels = [f"label {k}" for k in range(LABELS)]
    with Writer(folder, sample_rate_hz=RATE_HZ, labels=labels) as writer:
        for k, file in enumerate(files):
            clip = Clip(file.name, (labels[k % LABELS],), split="training", source=file.name)
            writer.add(reading.load(file, sample_rate_hz=RATE_HZ), clip)
    return folder


def taken_apart(world: World, network: str, names: Sequence[str]) -> Ours:
    """A training of ``network`` with the augmentations ``names``."""
    from soundgate.audio.classification.tagging import network as networks
    from soundgate.audio.classification.tagging.plan import Plan
    from soundgate.audio.classification.tagging.system import Tagging
    from soundgate.audio.config.tagging import parse_tagging
    from soundgate.audio.learning.distributed import Group
    from soundgate.audio.networks.models import to_device

    config = parse_tagging(CONFIG.format(network=network, names=", ".join(names)), "benchmark")
    plan = Plan(world.waveforms, config, None)
    tagger = to_device(networks.fresh(config, plan.clips), world.device)
    return Ours(plan, tagger, Tagging(plan, tagger, "whole", (), Group(0, 1, world.device)))


def one_epoch(ours: Ours, forward: Callable[..., Any], after: Callable[[Any], None]) -> None:
    """Every batch of an epoch through the loss, with ``forward`` for the network."""
    import contextlib

    import numpy as np

    from soundgate.audio.learning.system import Step

    rng = np.random.default_rng(0)
    for number, batch in enumerate(ours.system.epoch(0)):
        step = Step(number, 0, rng, forward, contextlib.nullcontext)
        after(ours.system.loss(batch, step).total)


def feeding(world: World, names: Sequence[str]) -> dict[str, Callable[[], object]]:
    """From files, or what was decoded of them, to images."""
    import librosa
    import numpy as np
    import torch

    ours = taken_apart(world, "PLAIN", names)
    held = [librosa.load(file, sr=RATE_HZ)[0] for file in world.files]
    rng = np.random.default_rng(0)

    def no_network(images: Any, _: Any) -> Any:
        return torch.zeros(len(images), LABELS, device=images.device)

    def loaded() -> None:
        for file in world.files:
            librosa_image(librosa.load(file, sr=RATE_HZ)[0], names, rng)

    def decoded() -> None:
        for samples in held:
            librosa_image(samples, names, rng)

    return {
        "ours": lambda: one_epoch(ours, no_network, lambda _: None),
        "librosa": loaded,
        "librosa, decoded": decoded,
    }


def librosa_image(samples: Array, names: Sequence[str], rng: np.random.Generator) -> Array:
    """An augmented log-mel image float32 (band, frame), one transform after another."""
    import librosa
    import numpy as np

    if "TIME_STRETCH" in names:
        changed = librosa.effects.time_stretch(samples, rate=float(rng.uniform(0.8, 1.25)))
        samples = librosa.util.fix_length(changed, size=samples.size)
    if "PITCH" in names:
        steps = float(rng.uniform(-2, 2))
        samples = librosa.effects.pitch_shift(samples, sr=RATE_HZ, n_steps=steps)
    if "TIME_SHIFT" in names:
        samples = np.roll(samples, int(rng.uniform(-0.5, 0.5) * samples.size))
    mel = librosa.feature.melspectrogram(
        y=samples, sr=RATE_HZ, n_fft=N_FFT, hop_length=HOP_LENGTH, n_mels=BANDS
    )
    image = librosa.power_to_db(mel, top_db=None)
    if "FREQ_MASK" in names:
        width = int(rng.integers(31))
        first = int(rng.integers(BANDS - width + 1))
        image[first : first + width] = image.mean()
    return np.asarray(image, np.float32)


def scoring(world: World, network: str) -> dict[str, Callable[[], object]]:
    """From files to scores."""
    import librosa
    import numpy as np
    import torch

    from soundgate.audio.classification.tagging.inference import TagScorer
    from soundgate.audio.files import reading

    ours = taken_apart(world, network, PLAIN_AUGMENTATION)
    tagger = ours.tagger.eval()
    scorer = TagScorer(tagger, ours.plan.chunks, RATE_HZ, world.device)

    def batches() -> None:
        scorer.chunk_scores([reading.load(file, sample_rate_hz=RATE_HZ) for file in world.files])

    def one_by_one() -> None:
        for file in world.files:
            image = librosa_image(librosa.load(file, sr=RATE_HZ)[0], (), np.random.default_rng())
            with torch.inference_mode():
                images = torch.from_numpy(image)[None, None].to(world.device)
                tagger.from_images(images).sigmoid().cpu().numpy()

    return {"ours": batches, "librosa": one_by_one}


def learning(world: World, network: str) -> dict[str, Callable[[], object]]:
    """Steps of training on augmented clips."""
    import librosa
    import numpy as np
    import torch

    ours = taken_apart(world, network, FULL_AUGMENTATION)
    held = [librosa.load(file, sr=RATE_HZ)[0] for file in world.files]
    rng, module = np.random.default_rng(0), ours.system.network.train()
    optimiser = torch.optim.AdamW(module.parameters(), 1e-6)
    targets = torch.zeros(16, LABELS, device=world.device)

    def update(loss: Any) -> None:
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    def forward(images: Any, frames: Any) -> Any:
        if world.device.type == "cpu":
            return module(images, frames)
        with torch.autocast(world.device.type, torch.bfloat16):
            return module(images, frames).float()

    def loop() -> None:
        for first in range(0, len(held), 16):
            some = [librosa_image(x, FULL_AUGMENTATION, rng) for x in held[first : first + 16]]
            images = torch.from_numpy(np.stack(some))[:, None].to(world.device)
            update(
                torch.nn.functional.binary_cross_entropy_with_logits(
                    module(images, None), targets[: len(images)]
                )
            )

    return {"ours": lambda: one_epoch(ours, forward, update), "librosa, decoded": loop}


def measure(
    contenders: Mapping[str, Callable[[], object]], rounds: int, device: Any
) -> dict[str, float]:
    """Seconds of each contender, the best of several rounds."""
    import torch

    clock = time.process_time if device.type == "cpu" else time.perf_counter
    fastest_s = dict.fromkeys(contenders, float("inf"))
    names = list(contenders)
    for run in contenders.values():
        run()
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            began = clock()
            contenders[name]()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            fastest_s[name] = min(fastest_s[name], clock() - began)
    return fastest_s


def report(title: str, fastest_s: Mapping[str, float], clips: int) -> None:
    """Print clips per second, and by what factor ours differs from each."""
    print(f"\n{title}\n{'':20}{'clips/s':>9}{'ours is':>10}")
    for name, took_s in fastest_s.items():
        print(f"{name:20}{clips / took_s:9.0f}{took_s / fastest_s['ours']:9.2f}x", flush=True)


def make_world(folder: Path, count: int, device: Any) -> World:
    """Clips in ``folder``, and what a training reads of them."""
    (clips := folder / "clips").mkdir()
    files = make_clips(clips, count)
    return World(files, prepare(files, folder / "waveforms"), device)


def measure_all(world: World, networks: Sequence[str], rounds: int) -> None:
    """Measure and print every part."""
    parts = {
        "to images, not augmented": feeding(world, PLAIN_AUGMENTATION),
        f"to images, {' '.join(FULL_AUGMENTATION)}": feeding(world, FULL_AUGMENTATION),
    }
    for network in networks:
        parts[f"scored by {network}"] = scoring(world, network)
        parts[f"learnt by {network}"] = learning(world, network)
    for title, contenders in parts.items():
        report(title, measure(contenders, rounds, world.device), len(world.files))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clips", type=int, default=48, help="number of clips")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each contender")
    parser.add_argument("--network", nargs="+", default=["PLAIN"], help="what learns and scores")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    # Libraries read these when they are imported, which the functions above do.
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    import torch

    torch.set_num_threads(1)
    print(f"{arguments.clips} clips of {SECONDS} s, one core, CPU time, best of {arguments.rounds}")
    with tempfile.TemporaryDirectory() as folder:
        world = make_world(Path(folder), arguments.clips, torch.device("cpu"))
        measure_all(world, arguments.network, arguments.rounds)


if __name__ == "__main__":
    main()
