"""How fast levels in fractional-octave bands are measured, and how exactly.

    python -m benchmarks.octave [--seconds 7] [--rounds 3]

One core, CPU time, white noise at 44.1 kHz in blocks of 0.1 s; the contenders take turns, and of
several rounds the fastest counts. Filters are designed beforehand for all. Errors are the largest
of all blocks and bands after the first second, against scipy's filters in float64; PyOctaveBand
resamples low bands, whose signals are later and cannot be compared block by block. Peers:

scipy           sosfilt a band, float64
PyOctaveBand    its filter bank of order 4, levels of the same blocks from its band signals
float32         torchaudio's lfilter a section, float32, all bands at once
"""

from __future__ import annotations

import argparse
import time
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

RATE_HZ = 44_100
BLOCK = RATE_HZ // 10
FRACTIONS = (1, 3, 12, 24)


def in_blocks(filtered: Floats) -> Floats:
    """Levels, dB (block, band), of band signals, (band, sample)."""
    import numpy as np

    blocks = filtered[:, : filtered.shape[1] // BLOCK * BLOCK].reshape(len(filtered), -1, BLOCK)
    squares = np.einsum("kbt,kbt->bk", blocks, blocks) / BLOCK
    levels: Floats = 10 * np.log10(np.maximum(squares, 1e-30))
    return levels


def contenders(per_octave: int, samples: Floats) -> dict[str, Callable[[], Floats]]:
    """Functions that measure the levels of ``samples``, filters designed."""
    import numpy as np
    import torch
    from pyoctaveband import OctaveFilterBank
    from scipy import signal
    from torchaudio.functional import lfilter

    from soundgate.audio.signal.octave import filters
    from soundgate.audio.signal.octave.bands import bands
    from soundgate.audio.signal.octave.levels import OctaveLevels

    found = bands(per_octave, RATE_HZ)
    sos = filters.sections(found, RATE_HZ)
    ours = OctaveLevels(found, RATE_HZ)
    bank = OctaveFilterBank(RATE_HZ, fraction=per_octave, order=4, limits=[20, 20_000])
    above, below = (
        torch.from_numpy(sos[..., part].copy()).float() for part in (slice(3), slice(3, 6))
    )
    single = torch.from_numpy(samples.astype(np.float32))

    def in_float32() -> Floats:
        filtered = single.expand(len(found), -1)
        for section in range(sos.shape[1]):
            filtered = lfilter(filtered, below[:, section], above[:, section], clamp=False)
        made: Floats = in_blocks(filtered.double().numpy())
        return made

    def by_bank() -> Floats:
        _, _, signals = bank.filter(samples, sigbands=True)
        return in_blocks(np.stack([np.resize(each, samples.size) for each in signals]))

    return {
        "this project": lambda: ours.push(samples),
        "scipy": lambda: in_blocks(np.stack([signal.sosfilt(each, samples) for each in sos])),
        "PyOctaveBand": by_bank,
        "float32": in_float32,
    }


def main() -> None:
    """Print a row a fraction and contender."""
    import numpy as np
    import torch

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=7.0)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", UserWarning)  # PyOctaveBand's, of bands above half the rate
    samples = np.random.default_rng(0).standard_normal(round(asked.seconds * RATE_HZ))
    print(f"{'1/n octave':<12}{'':<16}{'ms':>8}{'ratio':>8}{'largest error':>16}")
    for per_octave in FRACTIONS:
        known = contenders(per_octave, samples)
        levels = {name: measure() for name, measure in known.items()}  # warm-up, and the figures
        took = dict.fromkeys(known, float("inf"))
        for _ in range(asked.rounds):
            for name, measure in known.items():
                began = time.process_time()
                measure()
                took[name] = min(took[name], time.process_time() - began)
        exact = levels["scipy"][10:]
        for name in known:
            found = levels[name][10:]
            alike = name != "PyOctaveBand"
            error = f"{np.abs(found - exact).max():.1e} dB" if alike else "-"
            ratio = took[name] / took["this project"]
            print(f"{per_octave:<12}{name:<16}{1000 * took[name]:>8.0f}{ratio:>8.1f}{error:>16}")


if __name__ == "__main__":
    main()
