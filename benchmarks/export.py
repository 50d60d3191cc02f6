"""How fast exported programs are, beside the torch model they were made of.

    python -m benchmarks.export [--clips 32] [--rounds 3] [--model plain]

Everything runs on one core and is measured in CPU time; the contenders take turns on the same
clips, and for each the fastest of several rounds counts. Weights hardly matter for the speed, so
the model is trained for one epoch on made-up sounds. Peers:

torch           waveforms.prepare, log_mel and the classifier, as evaluation runs them
torch program   model.pt2
ONNX            model.onnx under ONNX Runtime, float32
ONNX int8       model_int8.onnx: the same front end, the network in 8 bits
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.preprocessing import Contender, measure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from soundgate.audio.config import UserConfig

DURATION_S = 5.0


def make(folder: Path, settings: UserConfig) -> None:
    """Clips, features, a model and its programs below ``folder``."""
    from soundgate.audio import datasets, export
    from soundgate.audio.classification.fit import fit
    from soundgate.audio.extraction.log_mel import extract

    datasets.prepare("synthetic", [], folder / "clips", options={"clips_per_class": 5})
    extract(folder / "clips", folder / "features", settings)
    fit(folder / "features", folder / "model", folder / "metrics", settings)
    began, cpu = time.monotonic(), time.process_time()
    export.write(folder / "features", folder / "model", folder / "exported", settings)
    print(f"export: {time.monotonic() - began:.1f} s, {time.process_time() - cpu:.1f} s of CPU")


def whole_programs(folder: Path, waveforms: Sequence[Any]) -> list[Contender]:
    """From a waveform at the model's rate to the clip's scores."""
    import torch

    from soundgate.audio.classification import inference
    from soundgate.audio.export.classifier import reference
    from soundgate.audio.export.runtime import session
    from soundgate.audio.formats.model import read_description

    description = read_description(folder / "model")
    classifier = inference.load(folder / "model", torch.device("cpu"))
    traced = torch.export.load(folder / "exported/model.pt2").module()
    graphs = {
        name: session(folder / "exported" / name, threads=1)
        for name in ("model.onnx", "model_int8.onnx")
    }

    def in_torch(waveform: Any) -> object:
        return reference(waveform, description, classifier).mean(0)

    def in_program(waveform: Any) -> object:
        with torch.inference_mode():
            return traced(torch.from_numpy(waveform[None]))[0]

    def in_onnx(name: str) -> Any:
        return lambda waveform: graphs[name].run(["scores"], {"waveform": waveform[None]})

    return [
        Contender("torch", in_torch, waveforms),
        Contender("torch program", in_program, waveforms),
        Contender("ONNX", in_onnx("model.onnx"), waveforms),
        Contender("ONNX int8", in_onnx("model_int8.onnx"), waveforms),
    ]


def networks(folder: Path, items: int) -> list[Contender]:
    """From eight standardised patches to their scores."""
    import numpy as np
    import torch

    from soundgate.audio.classification import inference
    from soundgate.audio.export.runtime import session

    classifier = inference.load(folder / "model", torch.device("cpu"))
    spec = classifier.feature_extraction
    shape = (8, 1, spec.n_mels, spec.patch_length)
    rng = np.random.default_rng(0)
    floats = [rng.normal(size=shape).astype(np.float32) for _ in range(items)]
    whole = [np.clip(np.round(patches * 40), -128, 127).astype(np.int8) for patches in floats]
    full, small = (
        session(folder / "exported" / name, threads=1)
        for name in ("network.onnx", "network_int8.onnx")
    )

    def in_torch(patches: Any) -> object:
        with torch.inference_mode():
            return classifier.network(torch.from_numpy(patches)).softmax(1)

    return [
        Contender("torch", in_torch, floats),
        Contender("ONNX", lambda patches: full.run(None, {"patches": patches}), floats),
        Contender("ONNX int8", lambda patches: small.run(None, {"patches": patches}), whole),
    ]


def report(title: str, unit: str, rates: dict[str, float]) -> None:
    """Print rates, and how many times as fast as torch each is."""
    print(f"\n{title}\n{'':16}{unit:>12}{'to torch':>12}")
    for name, rate in rates.items():
        print(f"{name:16}{rate:12.0f}{rate / rates['torch']:11.2f}x")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clips", type=int, default=32, help="number of clips")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each contender")
    parser.add_argument("--model", default="plain", help="architecture: plain, yamnet, miniresnet")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    # Libraries read these when they are imported, which the functions above do.
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    warnings.simplefilter("ignore")
    import torch

    from soundgate.audio.config import UserConfig
    from soundgate.audio.signal import waveforms

    torch.set_num_threads(1)
    learning = {"model": {"name": arguments.model}, "epochs": 1, "precision": "float32"}
    settings = UserConfig.model_validate({"training": learning})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            make(folder, settings)
        print(said.getvalue().splitlines()[-1])
        paths = sorted((folder / "clips").rglob("*.wav"))[: arguments.clips]
        held = [waveforms.waveform(path, settings.preprocessing)[0] for path in paths]
        print(f"{arguments.model}, {len(held)} clips of {DURATION_S:g} s, one core, CPU time")
        rates = measure(whole_programs(folder, held), arguments.rounds)
        report("16 kHz waveform to clip scores", "clips/s", rates)
        rates = measure(networks(folder, arguments.clips), arguments.rounds)
        report("patches to scores", "patches/s", {key: 8 * value for key, value in rates.items()})


if __name__ == "__main__":
    main()
