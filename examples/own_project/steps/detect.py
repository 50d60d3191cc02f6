"""Find tone bursts in a recording made of noise, and count what was found."""

import json
import random

from soundgate.step import OutputPath, main


def detect(counts: OutputPath, *, level: float, snr_db: float, seed: int = 0) -> None:
    """Call every frame a burst whose amplitude is above ``level``."""
    rng, burst = random.Random(f"{seed} {snr_db}"), 10 ** (snr_db / 20)
    found = {"hits": 0, "false_alarms": 0, "misses": 0}
    for frame in range(400):
        is_burst = frame % 4 == 0
        heard = abs(rng.gauss(burst if is_burst else 0.0, 1.0)) > level
        if is_burst or heard:
            found["hits" if is_burst and heard else "misses" if is_burst else "false_alarms"] += 1
    (counts / "counts.json").write_text(json.dumps(found))
    print(found)


if __name__ == "__main__":
    main(detect)
