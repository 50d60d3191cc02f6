"""What is faster on a GPU, and by how much, each against a loop in float32 on that GPU.

    python -m benchmarks.gpu [--network EFFICIENT_NET_V2_S ...] [--clips 256]

Embedding: files embedded by CLAP 2023, see ``benchmarks.embedding``. Tagging: images made, clips
scored, steps of training, see ``benchmarks.tagging``. ``--device cpu`` tries the program out where
there is no GPU; its figures are then those of all cores.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from pathlib import Path


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--network", nargs="+", default=["EFFICIENT_NET_V2_S", "CONVNEXT_TINY"])
    parser.add_argument("--clips", type=int, default=256, help="number of clips")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each contender")
    parser.add_argument("--device", default="cuda", help="cuda, or cpu to try it out")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    import torch

    from benchmarks import embedding, tagging

    if arguments.device == "cuda" and not torch.cuda.is_available():
        parser.error("there is no GPU here; --device cpu tries the program out")
    device = torch.device(arguments.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "all cores"
    print(f"{name}, {arguments.clips} clips, by the clock, best of {arguments.rounds}")
    with tempfile.TemporaryDirectory() as folder:
        embedding.measure_device(Path(folder), arguments.clips, arguments.rounds, arguments.device)
    with tempfile.TemporaryDirectory() as folder:
        world = tagging.make_world(Path(folder), arguments.clips, device)
        tagging.measure_all(world, arguments.network, arguments.rounds)


if __name__ == "__main__":
    main()
