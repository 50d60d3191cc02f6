"""PSDS, its bootstrap and tuned boxes beside published evaluators: CPU seconds and memory.

    python -m benchmarks.event_metrics [--clips 300] [--peers PYTHON]

Each measurement is a process of its own, on one core: CPU seconds from scores in memory to the
figure, and by how much the peak of its memory grew. ``--peers`` is an interpreter of an environment
with sed_scores_eval 0.0.4, psds_eval 0.5.3, NumPy 1.26 and pandas 2.2, which need other versions
than Soundgate; without it only Soundgate is measured.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.peak import peak_mb

FRAME_S, FRAMES = 0.064, 156
CASES = {"psds1": (0.7, 0.7, None, 0.0), "psds2": (0.1, 0.1, 0.3, 0.5)}


def made(clips: int, classes: int) -> tuple[np.ndarray, list[tuple[int, int, int, int]]]:
    """Scores (clip, frame, class), and events as clip, class and frames; each class has one."""
    rng = np.random.default_rng(0)
    scores = rng.beta(0.3, 12, (clips, FRAMES, classes))
    events = []
    for clip in range(clips):
        chosen = {clip % classes, *rng.integers(0, classes, 3).tolist()}
        for label in chosen:
            begin = int(rng.integers(0, FRAMES - 20))
            end = min(FRAMES, begin + int(rng.integers(5, 80)))
            events.append((clip, label, begin, end))
            first, last = np.clip(np.array((begin, end)) + rng.integers(-6, 7, 2), 0, FRAMES)
            if rng.random() < 0.8 and first < last:
                scores[clip, first:last, label] = rng.beta(4, 2, last - first)
    return scores, events


def tuned(scores: np.ndarray, events: list[tuple[int, int, int, int]]) -> float:
    """The mean PSDS 1 of classes with boxes that were tuned: 128 settings."""
    from soundgate.audio.clips.annotations.dcase import ScoreTable
    from soundgate.audio.detection.postprocessing.tuning import Grid, tune
    from soundgate.audio.detection.sound_events.systems import Frames
    from soundgate.audio.detection.sound_events.truth import Truth
    from soundgate.audio.metrics.events.intervals import Intervals

    clips = tuple(f"k{k:06d}" for k in range(len(scores)))
    classes = tuple(f"c{k}" for k in range(scores.shape[2]))
    edges = np.arange(FRAMES + 1, dtype=np.float64) * FRAME_S
    tables = {k: ScoreTable(classes, edges, each) for k, each in zip(clips, scores, strict=True)}
    clip, label, begin, end = np.array(events).T
    found = Intervals.of(clip, label, begin * FRAME_S, end * FRAME_S)
    truth = Truth(clips, np.full(len(clips), edges[-1]), classes, found, len(found))
    record = tune(truth, Frames(classes, tables), Grid(none=False, medians_s=()))
    return float(np.mean([each.score or 0.0 for each in record.classes.values()]))


def ours(what: str, scores: np.ndarray, events: list[tuple[int, int, int, int]]) -> float:
    """One figure of Soundgate."""
    from soundgate.audio.metrics.events import psds
    from soundgate.audio.metrics.events.intervals import Intervals
    from soundgate.audio.metrics.events.levels import of_scores
    from soundgate.audio.metrics.events.samples import draw, sampled

    if what == "tuning":
        return tuned(scores, events)
    clip, label, begin, end = np.array(events).T
    truth = Intervals.of(clip, label, begin * FRAME_S, end * FRAME_S)
    edges = [np.arange(FRAMES + 1, dtype=np.float64) * FRAME_S] * len(scores)
    seconds = np.full(len(scores), FRAMES * FRAME_S)
    setting = psds.PSDS2 if what == "psds2" else psds.PSDS1
    samples = draw(len(scores), draws=20 if what == "bootstrap" else 0, seed=0)
    weights = np.concatenate((np.ones((1, len(scores)), np.int64), samples))
    peaks = scores.max(axis=1)
    floors = psds.silence_floor(peaks, truth, seconds, setting.most_false_alarms, weights)
    levels = of_scores(list(scores), edges, floors)
    evaluation = psds.evaluation(levels, truth, seconds, scores.shape[2], setting)
    if what == "bootstrap":
        values = sampled(lambda w: np.array([evaluation.score(w).score]), samples)
        return float(values.std())
    return evaluation.score().score


PEER = """
import json, sys, time
import numpy as np
def peak_mb():
    lines = open("/proc/self/status").read().splitlines()
    return int(next(x for x in lines if x.startswith("VmHWM:")).split()[1]) / 1024
what, path = sys.argv[1:]
z = np.load(path); scores, events = z["scores"], z["events"]
if what == "points":  # it needs 16 MiB a clip
    scores = scores[:60]; events = events[events[:, 0] < 60]
n, frames, classes = scores.shape; names = [f"c{k}" for k in range(classes)]
edges = np.arange(frames + 1) * 0.064
if what == "points":
    import pandas as pd
    from psds_eval import PSDSEval
    gt = pd.DataFrame([(f"k{c}", b * 0.064, e * 0.064, names[l]) for c, l, b, e in events],
                      columns=["filename", "onset", "offset", "event_label"])
    meta = pd.DataFrame({"filename": [f"k{c}" for c in range(n)], "duration": frames * 0.064})
    lists = []
    for t in np.linspace(0.01, 0.99, 50):
        rows = []
        for c in range(n):
            on = np.zeros((frames + 2, classes), int); on[1:-1] = scores[c] > t
            step = np.diff(on, axis=0)
            for l in range(classes):
                for b, e in zip(np.flatnonzero(step[:, l] == 1), np.flatnonzero(step[:, l] == -1)):
                    rows.append((f"k{c}", b * 0.064, e * 0.064, names[l]))
        lists.append(pd.DataFrame(rows, columns=gt.columns))
    before = peak_mb(); t0 = time.process_time()
    ev = PSDSEval(0.7, 0.7, 0.3, ground_truth=gt, metadata=meta)
    for each in lists: ev.add_operating_point(each)
    value = ev.psds(0.0, 1.0, 100).value
else:
    from sed_scores_eval import intersection_based as ib
    from sed_scores_eval.base_modules.scores import create_score_dataframe as frame
    sc = {f"k{c}": frame(scores[c], edges, names) for c in range(n)}
    gt = {f"k{c}": [] for c in range(n)}
    for c, l, b, e in events: gt[f"k{c}"].append((b * 0.064, e * 0.064, names[l]))
    durations = {k: frames * 0.064 for k in gt}
    dtc, gtc, cttc, alpha = json.loads(what)
    before = peak_mb(); t0 = time.process_time()
    value = ib.psds(scores=sc, ground_truth=gt, audio_durations=durations, dtc_threshold=dtc,
                    gtc_threshold=gtc, cttc_threshold=cttc, alpha_ct=alpha, alpha_st=1,
                    unit_of_time="hour", max_efpr=100.0)[0]
after = peak_mb()
print(json.dumps([time.process_time() - t0, after - before, value]))
"""


def measured(what: str, path: str) -> list[float]:
    """CPU seconds, MiB and value of Soundgate, in this process."""
    stored = np.load(path)
    scores, events = stored["scores"], list(map(tuple, stored["events"].tolist()))
    ours("psds1", scores[:2], [each for each in events if each[0] < 2])  # what is imported once
    before, begun = peak_mb(), time.process_time()
    value = ours(what, scores, events)
    seconds = time.process_time() - begun
    after = peak_mb()
    return [seconds, after - before, value]


def run(*words: str) -> list[float] | None:
    """What a process of its own prints last; None where it fails."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"  failed: {done.stderr.strip().splitlines()[-1:]}")
        return None
    found: list[float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def compare(clips: int, classes: int, peers: str | None, folder: Path) -> None:
    """Print the rows of one number of classes."""
    scores, events = made(clips, classes)
    path = str(folder / f"{classes}.npz")
    np.savez(path, scores=scores, events=np.array(events))
    print(f"{clips} clips of {FRAMES} frames, {classes} classes, {len(events)} events")
    for what in ("psds1", "psds2", "bootstrap", "tuning"):
        own = run(sys.executable, "-m", "benchmarks.event_metrics", "--measure", what, path)
        if own:
            print(f"  {what}: {own[0]:.2f} s, {own[1]:.0f} MiB, {own[2]:.12f}")
        if peers and what in CASES:
            peer = run(peers, "-c", PEER, json.dumps(CASES[what]), path)
            if own and peer:
                print(
                    f"    sed_scores_eval: {peer[0]:.2f} s ({peer[0] / own[0]:.0f} times), "
                    f"{peer[1]:.0f} MiB, {peer[2]:.12f}"
                )
    if peers and classes <= 10 and (peer := run(peers, "-c", PEER, "points", path)):
        print(f"  psds_eval, 50 thresholds of 60 clips: {peer[0]:.2f} s, {peer[1]:.0f} MiB")


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=300)
    parser.add_argument("--classes", type=int, nargs="+", default=[10, 120])
    parser.add_argument("--peers", help="interpreter of an environment with the peers")
    parser.add_argument("--folder", type=Path, default=Path("/tmp"))
    parser.add_argument("--measure", nargs=2, metavar=("WHAT", "SCORES"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        print(json.dumps(measured(*args.measure)))
        return
    for classes in args.classes:
        compare(args.clips, classes, args.peers, args.folder)


if __name__ == "__main__":
    main()
