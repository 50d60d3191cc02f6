"""Put several artifacts into one, for an engine whose jobs read only a few.

Reads   parts/      folders or files, in order
Writes  gathered/   0/, 1/, ...: what the folder of that number held, or the file under its name
"""

from __future__ import annotations

import shutil

from soundgate.step import InputPaths, OutputPath, main
from soundgate.text.progress import track


def gather(parts: InputPaths, gathered: OutputPath) -> None:
    """Copy part ``i`` to ``gathered/<i>``."""
    for i, part in enumerate(track(parts, total=len(parts), label="gathering")):
        target = gathered / str(i)
        if part.is_dir():
            shutil.copytree(part, target)
        else:
            target.mkdir(parents=True)
            shutil.copy2(part, target / part.name)


if __name__ == "__main__":
    main(gather)
