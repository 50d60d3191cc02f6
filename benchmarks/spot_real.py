"""How well detectors find calls in real recordings, beside a detector of energy on the same files.

    python -m benchmarks.spot_real DATASETS [--only finches hummingbirds] [--out FOLDER]

DATASETS holds the folders bengalese_sober, bengalese_koumura, ohun_lbh, background_guyana and
nps_swth. Everything is done as the pipeline does it: corpora, data sets, training, scores, and a
threshold that the validation recordings choose.

finches       syllables of two Bengalese finches in eight recordings of two laboratories; in two
              turns, each half of the recordings is held out
hummingbirds  songs of a long-billed hermit, pasted at known times and levels into half an hour of
              forest. Songs and seconds of background are others than those that are learnt from
energy        the level of the band in each window, relative to the recording's background
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    import numpy.typing as npt

    from soundgate.audio.config.spot import SpotConfig

    Array = npt.NDArray[Any]

FINCHES = """
general: {batch_size: 256, global_seed: 1}
audio:
  sample_rate_hz: 32000
  sequence_len_ms: 20
  n_fft: 256
  hop_length: 24
  freq_compression: mel
  n_freq_bins: 48
  fmin_hz: 500
  fmax_hz: 10000
  normalisation: reference
model: {name: PLAIN}
augmentation: {pitch: [0.9, 1.1], stretch: [0.9, 1.1], amplitude_db: [-9, 9]}
training: {epochs: 20, batch_size: 32, learning_rate: 0.002, schedule: one_cycle,
           early_stopping_patience_epochs: 20}
"""
HERMITS = """
general: {batch_size: 256, global_seed: 1}
audio:
  sample_rate_hz: 22050
  sequence_len_ms: 150
  n_fft: 512
  hop_length: 147
  freq_compression: mel
  n_freq_bins: 64
  fmin_hz: 1500
  fmax_hz: 10000
model: {name: PLAIN}
augmentation: {pitch: [0.9, 1.1], stretch: [0.8, 1.25]}
training: {epochs: 20, batch_size: 32, learning_rate: 0.002, schedule: one_cycle,
           early_stopping_patience_epochs: 20}
"""
RATE_HZ = 22_050
SNRS_DB = (0.0, 6.0, 12.0)
"""Of the pasted songs: qualities 1, 2 and 3."""


@dataclass(frozen=True)
class Call:
    """A call in a recording."""

    start_s: float
    end_s: float
    low_hz: float
    high_hz: float
    quality: int = 3


@dataclass(frozen=True)
class Recording:
    """A recording and the calls in it."""

    name: str
    samples: Array
    """Float32 (sample,)."""
    rate_hz: int
    calls: tuple[Call, ...]


def calls_of(table: Path, file: str = "") -> Iterator[Call]:
    """The calls of a Raven table, or those of one of its files."""
    with table.open(encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows, delimiter="\t"):
            if file in ("", row["Begin File"]):
                times = float(row["Begin Time (s)"]), float(row["End Time (s)"])
                yield Call(*times, float(row["Low Freq (Hz)"]), float(row["High Freq (Hz)"]))


def finches(datasets: Path) -> list[Recording]:
    """All recordings of both birds."""
    import soundfile

    found = []
    for path in sorted((datasets / "bengalese_sober").glob("*.flac")):
        samples, rate = soundfile.read(path, dtype="float32")
        table = path.with_suffix("").with_name(f"{path.stem}.Table.1.selections.txt")
        found.append(Recording(f"sober-{path.stem}", samples, rate, tuple(calls_of(table))))
    for path in sorted((datasets / "bengalese_koumura").glob("*.flac")):
        samples, rate = soundfile.read(path, dtype="float32")
        table = next(path.parent.glob("*.selections.txt"))
        calls = tuple(calls_of(table, path.name))
        found.append(Recording(f"koumura-{path.stem}", samples, rate, calls))
    return found


def hermits(
    datasets: Path, source: str, *, first_half: bool, tapes: int, minutes: float, seed: int
) -> list[Recording]:
    """Songs of one recording, pasted into background of one half of each background recording."""
    import numpy as np

    from soundgate.audio.files.reading import load

    folder = datasets / "ohun_lbh"
    wave = load(folder / f"{source}.wav", sample_rate_hz=RATE_HZ)
    songs = list(calls_of(folder / f"{source}.Table.1.selections.txt"))
    backgrounds = []
    for path in ("background_guyana/S4A03895_20190522_053000.flac", "nps_swth/SWTH_test_30s.flac"):
        whole = load(datasets / path, sample_rate_hz=RATE_HZ)
        middle = whole.size // 2
        backgrounds.append(whole[:middle] if first_half else whole[middle:])
    made = []
    for number in range(tapes):
        rng = np.random.default_rng([seed, number])
        tape = _forest(backgrounds, round(60 * minutes * RATE_HZ), rng)
        calls, at = [], rng.uniform(1, 5)
        while at < 60 * minutes - 1:
            song, quality = songs[int(rng.integers(len(songs)))], int(rng.integers(len(SNRS_DB)))
            calls.append(_paste(tape, wave, song, at, quality, rng))
            at = calls[-1].end_s + rng.exponential(4.0) + 0.3
        made.append(Recording(f"{source}-{number}", tape, RATE_HZ, tuple(calls)))
    return made


def _forest(backgrounds: Sequence[Array], samples: int, rng: np.random.Generator) -> Array:
    """Pieces of background of 2 to 4 s, one after another with cross-fades."""
    import numpy as np

    fade = round(0.05 * RATE_HZ)
    ramp = np.sin(np.linspace(0, np.pi / 2, fade)).astype(np.float32)
    tape, at = np.zeros(samples + 5 * RATE_HZ, np.float32), 0
    while at < samples:
        background = backgrounds[int(rng.integers(len(backgrounds)))]
        length = round(rng.uniform(2, 4) * RATE_HZ)
        first = rng.integers(background.size - length)
        piece = background[first : first + length] / background.std() * 0.02
        piece[:fade] *= ramp
        piece[-fade:] *= ramp[::-1]
        tape[at : at + length] += piece
        at += length - fade
    return tape[:samples]


def _paste(
    tape: Array, wave: Array, song: Call, at: float, quality: int, rng: np.random.Generator
) -> Call:
    """Add a song at a level above its band's background."""
    piece = wave[round(song.start_s * RATE_HZ) : round(song.end_s * RATE_HZ)].copy()
    first = round(at * RATE_HZ)
    around = tape[max(first - RATE_HZ, 0) : first + piece.size + RATE_HZ]
    wanted = SNRS_DB[quality] + rng.uniform(-1, 1)
    own = power_db(piece, RATE_HZ, song.low_hz, song.high_hz)
    behind = power_db(around, RATE_HZ, song.low_hz, song.high_hz)
    tape[first : first + piece.size] += piece * 10 ** ((behind + wanted - own) / 20)
    end_s = at + piece.size / RATE_HZ
    return Call(at, end_s, song.low_hz, song.high_hz, quality + 1)


def power_db(samples: Array, rate_hz: int, low_hz: float, high_hz: float) -> float:
    """Mean power of a band, dB."""
    import numpy as np

    spectrum = np.abs(np.fft.rfft(samples)) ** 2 / samples.size**2
    hz = np.fft.rfftfreq(samples.size, 1 / rate_hz)
    band = spectrum[(hz >= low_hz) & (hz <= high_hz)].sum()
    return float(10 * np.log10(band + 1e-20))


def write_corpus(folder: Path, recordings: Sequence[Recording]) -> Path:
    """Write recordings, a Raven table each, and the index."""
    import soundfile

    from soundgate.audio.datasets.corpora.indexing.building import build

    folder.mkdir(parents=True)
    columns = [
        *("Selection", "View", "Channel", "Begin Time (s)", "End Time (s)"),
        *("Low Freq (Hz)", "High Freq (Hz)", "Quality"),
    ]
    for recording in recordings:
        soundfile.write(folder / f"{recording.name}.wav", recording.samples, recording.rate_hz)
        rows = ["\t".join(columns)]
        for number, call in enumerate(recording.calls, 1):
            times = f"{call.start_s:.6f}\t{call.end_s:.6f}\t{call.low_hz:.1f}\t{call.high_hz:.1f}"
            rows.append(f"{number}\tSpectrogram 1\t1\t{times}\t{call.quality}")
        table = folder / f"{recording.name}.txt"
        table.write_text("\n".join(rows) + "\n", "utf-8")
    for line in build(folder, [], {}):
        print(line)
    return folder


def judge(place: Path, name: str, config: SpotConfig, hop_s: float, clip_s: float) -> None:
    """Train on ``place/training``, and evaluate it and energy on ``place/benchmark``."""
    from soundgate.audio.datasets.corpora.preparing import prepare
    from soundgate.audio.datasets.corpora.strategies import read_strategy
    from soundgate.audio.detection import energy
    from soundgate.audio.detection.evaluation import evaluation
    from soundgate.audio.detection.evaluation.leakage import used_of
    from soundgate.audio.detection.scoring import prediction, recordings
    from soundgate.audio.detection.training.fit import fit
    from soundgate.audio.formats.datasets.variant import read_variant_index

    training, benchmark, dataset = place / "training", place / "benchmark", place / "dataset"
    values = {"split_strategy": "proportional_by_tape", "noise_per_hum": 6, "clip_s": clip_s}
    values["noise_mining"] = {"margin_s": 0.02}
    values["fractions"] = [0.7, 0.3, 0.0]
    prepare(training, dataset, name, read_strategy(name, values))
    fit(dataset, place / "model", place / "metrics", config)
    regions = {
        "scores": (benchmark, recordings.recordings(benchmark)),
        "validation": (training, recordings.validation_regions(dataset)),
    }
    asked = prediction.Asked(hop_s=hop_s, batch_size=256)
    for what, (corpus, chosen) in regions.items():
        prediction.predict(place / "model", corpus, place / "network" / what, chosen, asked)
        energy.score(
            corpus,
            place / "energy" / what,
            energy.EnergySettings(
                window_s=config.audio.window_s,
                hop_s=hop_s,
                low_hz=config.audio.fmin_hz,
                high_hz=config.audio.fmax_hz,
            ),
            {r.path: (r.start_s, r.end_s) for r in chosen if r.end_s is not None} or None,
        )
    for who in ("network", "energy"):
        folders = evaluation.Folders(
            place / who / "scores", benchmark, place / who / "validation", training
        )
        evaluation.evaluate(
            folders,
            used_of(read_variant_index(dataset)),
            evaluation.Asked(variant=who, collar_s=0.05),
            place / who / "report",
        )


def say(name: str, places: Sequence[Path]) -> None:
    """Print the figures of both detectors."""
    for place in places:
        for who in ("network", "energy"):
            report = json.loads((place / who / "report" / "evaluation.json").read_text("utf-8"))
            metrics = report["metrics"]
            f1 = metrics["event_f1"]
            others = ("event_precision", "event_recall", "collar_f1", "average_precision")
            rest = ", ".join(f"{other} {metrics[other]['value']:.3f}" for other in others)
            qualities = ", ".join(
                f"recall of quality {row['quality']}: {row['recall']['value']:.2f}"
                for row in report.get("qualities", [])
            )
            print(
                f"{name} {place.name} {who:8}: event F1 {f1['value']:.3f} "
                f"({f1['low']:.3f} to {f1['high']:.3f}), {rest}; {qualities}",
                flush=True,
            )


def main(argv: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="detectors on real recordings")
    parser.add_argument("datasets", type=Path)
    parser.add_argument("--only", nargs="+", default=["finches", "hummingbirds"])
    parser.add_argument("--out", type=Path, help="keep what was made here")
    arguments = parser.parse_args(argv)
    import torch

    from soundgate.audio.config.spot import parse_spot

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        out = arguments.out or Path(temporary)
        if "finches" in arguments.only:
            every = finches(arguments.datasets)
            halves = every[::2], every[1::2]
            places = [out / "finches" / turn for turn in ("even", "odd")]
            for place, turn in zip(places, (0, 1), strict=True):
                write_corpus(place / "training", halves[1 - turn])
                write_corpus(place / "benchmark", halves[turn])
                judge(place, "finches", parse_spot(FINCHES, "finches"), 0.0025, 0.1)
            say("finches", places)
        if "hummingbirds" in arguments.only:
            place = out / "hummingbirds"
            learnt = hermits(
                arguments.datasets, "lbh1", first_half=True, tapes=6, minutes=2.0, seed=1
            )
            tested = hermits(
                arguments.datasets, "lbh2", first_half=False, tapes=6, minutes=5.0, seed=2
            )
            write_corpus(place / "training", learnt)
            write_corpus(place / "benchmark", tested)
            judge(place, "hummingbirds", parse_spot(HERMITS, "hermits"), 0.03, 0.3)
            say("hummingbirds", [place])


if __name__ == "__main__":
    main()
