"""Evaluate a detector on a benchmark, from scores; nothing here needs a GPU.

Reads   scores/      what the model says of every window of the benchmark's recordings
        benchmark/   their corpus: the calls in them
        validation/  what it says of the data set's validation regions
        dataset/     the data set it learnt from: these regions, and which tapes it has seen
        corpus/      the corpus that the data set was cut from
Writes  report/      evaluation.json, events.jsonl, metrics.csv, metrics_per_tape.csv,
                     runs/<variant>/<tag>/evaluation/index.json and selection tables

The threshold is chosen on the validation regions. ``thresholds`` are evaluated beside it.
"""

from __future__ import annotations

from soundgate.step import InputPath, OutputPath, main

EXTRAS = ("spot",)


def evaluate(
    scores: InputPath,
    benchmark: InputPath,
    validation: InputPath,
    dataset: InputPath,
    corpus: InputPath,
    report: OutputPath,
    *,
    variant: str,
    thresholds: list[float],
    iou: float = 0.4,
    collar_s: float = 0.2,
    merge_gap_s: float = 0.0,
    confidence: float = 0.95,
    postrf: bool = False,
) -> None:
    """Write event F1 and the like with intervals over tapes, and the tables of each threshold.

    Args:
        scores: what ``predict`` wrote for the benchmark.
        benchmark: a corpus that the model has not seen.
        validation: what ``predict`` wrote for the validation regions, with the same window.
        dataset: what ``prepare`` wrote.
        corpus: what ``prepare`` read.
        report: the report.
        variant: name of the model.
        thresholds: of the benchmark's variants with this window; may be empty.
        iou: least intersection over union of a detection and its call.
        collar_s: how far both boundaries may be off for ``collar_f1``.
        merge_gap_s: positive windows at most so far apart are one detection.
        confidence: level of the intervals, 0..1.
        postrf: fit a random forest to the validation detections, and evaluate what it keeps too.
    """
    from soundgate.audio.detection.evaluation import evaluation
    from soundgate.audio.detection.evaluation.leakage import used_of
    from soundgate.audio.formats.datasets.variant import read_variant_index

    asked = evaluation.Asked(
        variant=variant,
        thresholds=tuple(thresholds),
        iou=iou,
        collar_s=collar_s,
        merge_gap_s=merge_gap_s,
        confidence=confidence,
        postrf=postrf,
    )
    folders = evaluation.Folders(scores, benchmark, validation, corpus)
    evaluation.evaluate(folders, used_of(read_variant_index(dataset)), asked, report)


if __name__ == "__main__":
    main(evaluate)
