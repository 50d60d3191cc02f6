"""Audio files damaged on purpose: headers that lie, pieces missing, bytes that are noise."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile

if TYPE_CHECKING:
    from collections.abc import Iterator

RATE_HZ = 16_000
FORMATS = {
    "wav": ("WAV", "PCM_16"),
    "f32.wav": ("WAV", "FLOAT"),
    "ima.wav": ("WAV", "IMA_ADPCM"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "aiff": ("AIFF", "PCM_24"),
    "au": ("AU", "ULAW"),
    "w64": ("W64", "PCM_16"),
    "caf": ("CAF", "PCM_16"),
}
MOST_BYTES = 1_500_000_000
"""Peak memory of the process that reads all of them, libraries and model included."""
SECONDS_A_FILE = 2.0


def sound(rng: np.random.Generator) -> np.ndarray:
    """Half a second to two of a tone in noise, float32 (sample,)."""
    at = np.arange(int(rng.integers(RATE_HZ // 2, 2 * RATE_HZ))) / RATE_HZ
    tone = np.sin(2 * np.pi * rng.uniform(200, 4000) * at)
    return (0.3 * tone + 0.05 * rng.standard_normal(at.size)).astype(np.float32)


def whole(rng: np.random.Generator) -> tuple[str, bytes]:
    """A sound file as it should be: extension and bytes."""
    extension = str(rng.choice(list(FORMATS)))
    container, subtype = FORMATS[extension]
    buffer = io.BytesIO()
    soundfile.write(buffer, sound(rng), RATE_HZ, format=container, subtype=subtype)
    return extension, buffer.getvalue()


def damage(data: bytes, rng: np.random.Generator) -> bytes:  # noqa: C901 - a table
    """The bytes of a file after one or two of the things that happen to files."""
    content = bytearray(data)
    for _ in range(int(rng.integers(1, 3))):
        size = max(len(content), 1)
        at = int(rng.integers(0, min(size, 96)))
        match int(rng.integers(0, 9)):
            case 0:  # a field of the header at its largest
                content[at : at + 4] = b"\xff\xff\xff\x7f"
            case 1:
                content[at : at + 8] = b"\xff" * 8
            case 2:
                content[at : at + 4] = bytes(4)
            case 3:  # a rate of 1 Hz, where WAV has it
                content[24:28] = b"\1\0\0\0"
            case 4:
                del content[int(rng.integers(0, size)) :]
            case 5:
                for place in rng.integers(0, size, 16):
                    content[int(place) % max(len(content), 1) : int(place) + 1] = rng.bytes(1)
            case 6:  # a block that another block replaced
                start = int(rng.integers(0, size))
                content[start : start + 512] = rng.bytes(min(512, size - start))
            case 7:
                content = content + content[: size // 2]
            case _:
                content = bytearray(rng.bytes(size))
    return bytes(content)


def write_all(folder: Path, count: int, seed: int = 0) -> list[Path]:
    """Write so many damaged files, the same ones from the same seed."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(count):
        extension, data = whole(rng)
        paths.append(folder / f"{number:05d}.{extension}")
        paths[-1].write_bytes(damage(data, rng))
    return paths


def read_one(path: Path) -> str:
    """What is wrong with the way a file was read; empty where nothing is."""
    from soundgate.audio.files import reading
    from soundgate.errors import DataError

    try:
        with reading.Reader(path) as file:
            end_s = min(file.info.duration_s, 30.0)
            samples = file.load(sample_rate_hz=RATE_HZ, start_s=0.0, end_s=end_s)
    except DataError as refused:
        line = str(refused)
        if "\n" in line or not line.startswith(str(path)):
            return f"refused, but not in one line that names it: {line!r}"
        return ""
    if not np.isfinite(samples).all():
        return "gave samples that are no numbers"
    return "" if samples.size <= 31 * RATE_HZ else f"gave {samples.size} samples of 30 s"


def main() -> None:
    """Read the files named on standard input; print a JSON object for each, then the memory."""
    for line in sys.stdin:
        path = Path(line.rstrip("\n"))
        try:
            wrong = read_one(path)
        except BaseException as error:  # noqa: BLE001 - any other end is what is looked for
            wrong = f"{type(error).__name__}: {error}"
        print(json.dumps({"path": str(path), "wrong": wrong}), flush=True)
    print(json.dumps({"peak": peak_bytes()}), flush=True)


def peak_bytes() -> int:
    """The most memory that this program has held.

    ``ru_maxrss`` would count what the process held before it became this program: the tests that
    started it.
    """
    status = Path("/proc/self/status").read_text("utf-8")
    (line,) = (each for each in status.splitlines() if each.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def attack(folder: Path, count: int) -> Iterator[str]:
    """Yield what went wrong with each of ``count`` files; empty where nothing did.

    They are read in a process of their own: a decoder that crashes ends that one.
    """
    paths = write_all(folder, count)
    done = subprocess.run(
        [sys.executable, __file__],
        input="".join(f"{path}\n" for path in paths),
        capture_output=True,
        text=True,
        timeout=60 + SECONDS_A_FILE * count,
        check=False,
    )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    told = {row["path"]: row["wrong"] for row in rows if "path" in row}
    for path in paths:
        lost = f"the reader ended with {done.returncode} before it: {done.stderr[-200:]}"
        yield told.get(str(path), lost)
    peak = rows[-1].get("peak", 0) if rows else 0
    yield "" if 0 < peak < MOST_BYTES else f"peak memory {peak / 1e9:.1f} GB"


if __name__ == "__main__":
    main()
