"""How well instruments are tagged in real sound and across sources, beside simple peers.

    python -m benchmarks.tagging_real TAGGING [--only NAME ...] [--work runs/tagging_real]

``TAGGING`` is a folder with ``real/notes_A``, ``real/mixtures``, ``gm/notes`` and ``gm/mixtures``.

within     real notes; tested on mixtures of held-out notes
to-real    rendered notes of several sound banks; tested on mixtures of real notes
to-gm      real notes; tested on rendered mixtures

Each is a run of ``pipelines.tagging`` whose command is printed; a finished run is reused. Peers, on
the very same test clips:

regression  logistic regression on mean and standard deviation of 64 log-mel bands, trained on 600
            mixtures of the training notes
commonest   always the labels that are commonest in these mixtures

Thresholds, and the strength of the regression's penalty, are chosen on the validation clips. The
intervals (95 %) are a bootstrap over the test clips; they do not tell how other notes would do.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import tagging_notes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from soundgate.audio.formats.waveforms import WaveformSet
    from soundgate.audio.metrics.multilabel import Tags

    Array = npt.NDArray[Any]
    Notes = Mapping[str, Sequence[Array]]

CONFIG = "user_configs/tagging_notes.yaml"
MIXTURES = 600
PENALTIES = (0.01, 0.1, 1.0)
BANDS = 64
SEED = 0
OUTPUTS = (("prepare", "waveforms"), ("train", "model"))
"""Tasks and what is wanted of them."""


@dataclass(frozen=True)
class Setting:
    """What is learnt from and what is tested."""

    notes: str
    """Folder of the notes, below the data."""
    shares: tuple[float, float]
    """Of the notes: for training and for validation."""
    test: str | None
    """Folder of mixtures below the data; None: mixtures of the rest of the notes."""
    sets: tuple[str, ...] = ()
    """What is set besides the user config."""


EQUALISED = ("augmentation.names=[SUM_N_SAMPLES,SPEED,SEVEN_BAND_EQ,GAIN,FREQ_MASK]",)
NOISY = ("augmentation.names=[SUM_N_SAMPLES,SPEED,SEVEN_BAND_EQ,COLOR_NOISE,GAIN,FREQ_MASK]",)
SETTINGS = {
    "within": Setting("real/notes_A", (0.6, 0.15), None),
    "to-real": Setting("gm/notes", (0.75, 0.25), "real/mixtures", NOISY),
    "to-gm": Setting("real/notes_A", (0.8, 0.2), "gm/mixtures", EQUALISED),
}


def run(name: str, data: Path, work: Path) -> Notes:
    """Make the tables, run the pipeline, fetch what it made; return the training notes."""
    setting, folder = SETTINGS[name], work / name
    training = tagging_notes.make(data / setting.notes, folder, setting.shares)
    test = f"irmastest:{data / setting.test}" if setting.test else f"csv:{folder}/test/clips.csv"
    sets = (
        f"train_paths=csv:{folder}/training/clips.csv",
        f"val_paths=csv:{folder}/validation/clips.csv",
        f"test_paths={test}",
        *setting.sets,
    )
    words = [word for each in sets for word in ("--set", each)]
    shown = ["run-pipeline", "-n", "pipelines.tagging", "--config", CONFIG, *words]
    print(f"\n{name}\n$ {' '.join(shown)}", flush=True)
    # The store and the registry of a benchmark are its own; a missed gate would end it.
    quiet = ("q_macro_f1_threshold=0", "q_mean_average_precision_threshold=0")
    more = [word for each in (*quiet, f"store={work}/store") for word in ("--set", each)]
    _call(folder, *shown, *more)
    for task, output in OUTPUTS:
        shutil.rmtree(folder / output, ignore_errors=True)
        _call(folder, "get-output", "last", task, output, "--to", str(folder / output))
    return training


def _call(folder: Path, *words: str) -> None:
    env = {**os.environ, "SOUNDGATE_RUNS": str(folder / "runs")}
    subprocess.run([sys.executable, "-m", "soundgate.cli", *words], env=env, check=True)


def judge(folder: Path, training: Notes) -> None:
    """Print the figures of the network and of its peers."""
    from soundgate.audio.classification.tagging import evaluation
    from soundgate.audio.classification.tagging.inference import load
    from soundgate.audio.formats.waveforms import read_waveforms
    from soundgate.audio.metrics import multilabel

    clips = read_waveforms(folder / "waveforms")
    description, scorer = load(folder / "model")
    rows = clips.of("test")
    network = evaluation.tag(clips, scorer, description, rows, 64).tags
    known = tagging_notes.mixtures(training, MIXTURES, 1)
    peers = {"regression": regression(clips, known), "commonest": commonest(clips, known)}
    groups = [row.path for row in rows]
    print(f"{len(rows)} test clips\n{'':12}{'mean average precision':>28}{'macro F1':>24}")
    for name, tags in {"network": network, **peers}.items():
        print(f"{name:12}{_shown(multilabel.intervals(tags, groups, seed=SEED))}")
    gap = multilabel.differences(network, peers["regression"], groups, seed=SEED)
    print(f"{'gain':12}{_shown(gap)}   network less regression, paired")


def regression(clips: WaveformSet, known: Sequence[tagging_notes.Clip]) -> Tags:
    """What logistic regression on statistics of log-mel bands says of the test clips."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    from soundgate.audio.metrics import multilabel
    from soundgate.audio.metrics.thresholds import best_thresholds

    scale = StandardScaler().fit(statistics([clip.samples for clip in known]))
    learnt = scale.transform(statistics([clip.samples for clip in known]))
    truth = np.array([[label in clip.labels for label in clips.labels] for clip in known])
    sides = {side: clips.of(side) for side in ("validation", "test")}
    seen = {
        side: scale.transform(statistics([clips.waveform(row) for row in rows]))
        for side, rows in sides.items()
    }
    right = {side: clips.targets(rows) >= 0.5 for side, rows in sides.items()}
    best, found = -1.0, None
    for penalty in PENALTIES:
        models = [LogisticRegression(C=penalty, max_iter=1000).fit(learnt, y) for y in truth.T]
        scores = {
            side: np.stack([model.predict_proba(x)[:, 1] for model in models], 1)
            for side, x in seen.items()
        }
        chosen = np.array(best_thresholds(right["validation"], scores["validation"], None).values)
        judged = multilabel.figures(
            multilabel.tags(right["validation"], scores["validation"], chosen)
        )
        if float(judged.mean_average_precision) > best:
            best = float(judged.mean_average_precision)
            found = multilabel.tags(right["test"], scores["test"], chosen)
    assert found is not None
    return found


def commonest(clips: WaveformSet, known: Sequence[tagging_notes.Clip]) -> Tags:
    """The same labels for every test clip: as many as a clip has on average, the commonest."""
    from soundgate.audio.metrics import multilabel

    rows = clips.of("test")
    often = np.array([sum(x in clip.labels for clip in known) for x in clips.labels]) / len(known)
    number = round(float(often.sum()))
    truth = clips.targets(rows) >= 0.5
    return multilabel.tags(truth, np.tile(often, (len(rows), 1)), float(np.sort(often)[-number]))


def statistics(waveforms: Sequence[Array]) -> Array:
    """Mean and standard deviation over time of log-mel bands, float64 (clip, 2 * band)."""
    import torch

    from soundgate.audio.signal.front_ends import FrontEndSettings, front_end

    front = front_end(FrontEndSettings(hop_length=320, n_mels=BANDS))
    found = []
    for samples in waveforms:
        image = front.images(torch.tensor(samples)[None])[0, 0].double()
        found.append(torch.cat([image.mean(1), image.std(1)]).numpy())
    return np.stack(found)


def _shown(found: Any) -> str:
    cells = []
    for name in ("mean_average_precision", "macro_f1"):
        value, low, high = (
            float(getattr(part, name)) for part in (found.value, found.low, found.high)
        )
        cells.append(f"{value:.3f} ({low:.3f} to {high:.3f})")
    return f"{cells[0]:>28}{cells[1]:>24}"


def main() -> None:
    """Train, judge, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("tagging", type=Path, help="folder with real/ and gm/")
    parser.add_argument("--only", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--work", type=Path, default=Path("runs/tagging_real"))
    arguments = parser.parse_args()
    for name in arguments.only:
        training = run(name, arguments.tagging, arguments.work)
        judge(arguments.work / name, training)


if __name__ == "__main__":
    main()
