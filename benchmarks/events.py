"""How long it takes to judge detections, beside predicting them.

    python -m benchmarks.events [--events 10000] [--hours 24]

CPU time of one core, the fastest of three. "matching and metrics" is what a report's figures of one
threshold take, intervals over tapes among them, for as many calls as detections on 100 tapes. The
peer is the loop of earlier tools: for each call the first free detection of its tape, in Python.
The sweep decodes and matches 20 thresholds of a recording of so many hours, a window every 0.05 s;
it stands beside the prediction of that recording, extrapolated from 60 s of it (RESNET18).
"""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING

import numpy as np

from soundgate.audio.detection.evaluation import figures, sweep, tallies
from soundgate.audio.detection.evaluation.decoding import Decoding, Detections, Windows
from soundgate.audio.detection.evaluation.outcome import Outcome, outcome_of, with_collar
from soundgate.audio.detection.evaluation.truth import Truth
from soundgate.audio.detection.tables import metrics as tables
from soundgate.audio.metrics.events.intervals import Intervals

if TYPE_CHECKING:
    from collections.abc import Callable

TAPES, IOU = 100, 0.4
HOP_S, WINDOW_S = 0.05, 0.4


def fastest(run: Callable[[], object], rounds: int = 3) -> float:
    """CPU seconds."""
    best = np.inf
    for _ in range(rounds):
        begun = time.process_time()
        run()
        best = min(best, time.process_time() - begun)
    return float(best)


def made(events: int) -> tuple[Truth, Detections]:
    """Calls, and detections that are some of them, moved a little, and others."""
    rng = np.random.default_rng(0)
    clip = np.sort(rng.integers(0, TAPES, events))
    start = rng.uniform(0, 3600, events)
    truth = Truth(
        Intervals.of(clip, np.zeros(events), start, start + rng.uniform(0.3, 2, events)),
        rng.integers(1, 4, events),
        ("target",),
        tuple(f"{k}.wav" for k in range(TAPES)),
        tuple(f"tape{k}" for k in range(TAPES)),
        np.full(TAPES, 3600.0),
    )
    moved = truth.events.start_s + rng.normal(0, 0.2, events)
    found = Intervals.of(clip, np.zeros(events), moved, moved + rng.uniform(0.3, 2, events))
    return truth, Detections(found, rng.uniform(size=events), rng.normal(size=events))


def judge(truth: Truth, found: Detections) -> Outcome:
    """Every figure and row of one threshold."""
    outcome = outcome_of(truth, found, IOU)
    tallies.intervals(outcome.counts, 0.95)
    with_collar(truth, found, 0.2)
    tables.metrics_row(tables.Named("v1", "len400_hop050_th50", "evaluation", outcome))
    figures.tapes(outcome)
    list(outcome.results())
    return outcome


def greedy(truth: Truth, found: Detections) -> int:
    """Hits of the loop of earlier tools."""
    calls, hits = truth.events, 0
    by_tape: dict[int, list[int]] = {}
    for k in np.argsort(found.events.start_s).tolist():
        by_tape.setdefault(int(found.events.clip[k]), []).append(k)
    taken = [False] * len(found)
    for k in np.argsort(calls.start_s).tolist():
        for d in by_tape.get(int(calls.clip[k]), []):
            if taken[d]:
                continue
            middle = 0.5 * (found.events.start_s[d] + found.events.end_s[d])
            if calls.start_s[k] <= middle <= calls.end_s[k]:
                taken[d] = True
                hits += 1
                break
    return hits


def recording(hours: float) -> tuple[list[Windows], Truth]:
    """Scores of a recording with a call every 20 s, and these calls."""
    rng = np.random.default_rng(1)
    duration_s = 3600 * hours
    count = int((duration_s - WINDOW_S) / HOP_S)
    starts = np.asarray(HOP_S * np.arange(count), np.float64)
    calls = np.arange(10, duration_s - 10, 20.0)
    scores = rng.beta(0.3, 6, len(starts))
    inside = ((starts + WINDOW_S / 2) % 20 > 10) & ((starts + WINDOW_S / 2) % 20 < 11)
    scores[inside] = rng.beta(6, 0.5, inside.sum())
    column = scores.astype(np.float32)[:, None]
    windows = Windows(0, starts, column, column, WINDOW_S, HOP_S, duration_s)
    zeros = np.zeros(len(calls))
    events = Intervals.of(zeros, zeros, calls, calls + 1)
    quality = np.ones(len(calls), np.int64)
    truth = Truth(events, quality, ("target",), ("a.wav",), ("a",), np.array([duration_s]))
    return [windows], truth


def predicting_s(windows: int) -> float:
    """CPU seconds to predict so many windows, extrapolated from those of a minute."""
    import torch

    from benchmarks.spot import HOPS, RATE_HZ, make, ours

    torch.set_num_threads(1)
    cpu = torch.device("cpu")
    samples = 0.1 * np.random.default_rng(0).standard_normal(60 * RATE_HZ).astype(np.float32)
    run = ours(make("RESNET18", HOPS["as ANIMAL-SPOT"], cpu), samples, cpu)
    return windows * fastest(run, 2) / len(run())


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--hours", type=float, default=24.0)
    args = parser.parse_args()
    truth, found = made(args.events)
    ours_s = fastest(lambda: judge(truth, found))
    theirs_s = fastest(lambda: greedy(truth, found), 1)
    hits = len(judge(truth, found).matches.left)
    print(f"matching and metrics of {args.events} calls and detections: {ours_s:.2f} s")
    print(f"  {hits} hits; matching alone in the loop of earlier tools: {theirs_s:.2f} s")
    windows, of_recording = recording(args.hours)
    count = len(windows[0].starts_s)
    levels = np.linspace(0.05, 0.99, 20)
    swept_s = fastest(
        lambda: sweep.sweep(windows, of_recording, Decoding(0.5), IOU, levels.tolist())
    )
    predicted_s = predicting_s(count)
    print(
        f"20 thresholds of {args.hours:g} h, {count} windows: {swept_s:.2f} s, "
        f"{100 * swept_s / predicted_s:.3f} % of predicting them ({predicted_s:.0f} s)"
    )


if __name__ == "__main__":
    main()
