"""The figures of scored clips, as a tagger's report has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from soundgate.audio.formats.reports.report import (
    Calibration,
    CalibrationBin,
    ClassScores,
    Estimate,
    Headline,
)
from soundgate.audio.formats.reports.tags import Curve, Curves, LabelFigures, TagFigures
from soundgate.audio.metrics import multilabel
from soundgate.audio.metrics.classification import calibration
from soundgate.audio.metrics.ranking import precision_recall_curve, roc_curve
from soundgate.audio.metrics.rounding import rounded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from soundgate.audio.metrics.multilabel import Intervals, Tags
    from soundgate.audio.metrics.ranking import Curve as Points

    Array = npt.NDArray[Any]

SEED: Final = 0
"""Of the bootstrap."""
HISTOGRAM_STEPS: Final = 20
CURVE_POINTS: Final = 101

OVERALL: Final = {
    "macro_f1": ("Macro F1", "mean over labels"),
    "mean_average_precision": ("Mean average precision", "mean over labels, of all thresholds"),
    "micro_f1": ("Micro F1", "over all labels together"),
    "macro_roc_auc": ("ROC AUC", "mean over labels"),
    "macro_precision": ("Macro precision", "mean over labels"),
    "macro_recall": ("Macro recall", "mean over labels"),
    "micro_precision": ("Micro precision", "over all labels together"),
    "micro_recall": ("Micro recall", "over all labels together"),
    "subset_accuracy": ("Subset accuracy", "share of clips with every label decided right"),
    "hamming_distance": ("Hamming distance", "share of decisions that are wrong"),
}
"""Words of each metric of a tagger, in the order of the page."""
LOWER_IS_BETTER: Final = frozenset({"hamming_distance", "calibration_error"})
OF_FAMILIES: Final = ("macro_f1", "mean_average_precision")
_HEADLINE: Final = 6


def overall(found: Intervals) -> dict[str, Estimate]:
    """Metrics by name; one that is undefined is left out."""
    named = {name: estimate(found, name) for name in OVERALL}
    return {name: value for name, value in named.items() if value is not None}


def headline(metrics: Mapping[str, object]) -> tuple[Headline, ...]:
    """The words of those metrics that are known."""
    lines = [
        Headline(
            metric=name,
            title=title,
            description=words,
            lower_is_better=name in LOWER_IS_BETTER,
        )
        for name, (title, words) in OVERALL.items()
        if name in metrics
    ]
    return tuple(lines)


def estimate(found: Intervals, name: str, index: int | None = None) -> Estimate | None:
    """A figure with its interval; None where it is undefined."""
    at = () if index is None else (index,)
    value, low, high = (float(getattr(part, name)[at]) for part in found)
    if not np.isfinite(value):
        return None
    ends = (rounded(low), rounded(high)) if np.isfinite([low, high]).all() else (None, None)
    return Estimate(value=rounded(value), low=ends[0], high=ends[1])


def tag_figures(tags: Tags, found: Intervals, index: int) -> TagFigures:
    """Of one label, or family: number ``index``."""
    cells = multilabel.confusion(tags)[index]
    known = {name: estimate(found, name, index) for name in ("f1", "precision", "recall")}
    return TagFigures(
        f1=_defined(known["f1"]),
        precision=_defined(known["precision"]),
        recall=_defined(known["recall"]),
        average_precision=estimate(found, "average_precision", index),
        roc_auc=estimate(found, "roc_auc", index),
        clips=int(cells.sum()),
        positives=int(cells[1].sum()),
        missed=int(cells[1, 0]),
        false_alarms=int(cells[0, 1]),
    )


def label_figures(tags: Tags, found: Intervals, index: int, threshold: float) -> LabelFigures:
    """Of one label, with its threshold and how its scores lie."""
    known = tags.mask[:, index]
    edges = np.linspace(0, 1, HISTOGRAM_STEPS + 1)
    counts = [
        np.histogram(tags.scores[known & (tags.truth[:, index] == there), index], edges)[0]
        for there in (False, True)
    ]
    return LabelFigures(
        **dict(tag_figures(tags, found, index)),
        threshold=rounded(threshold),
        histogram=tuple(zip(counts[0].tolist(), counts[1].tolist(), strict=True)),
    )


def curves(tags: Tags, index: int) -> Curves:
    """ROC and precision-recall curve of a label, thinned to what a page can show."""
    truth, scores, mask = tags.truth[:, index], tags.scores[:, index], tags.mask[:, index]
    return Curves(
        roc=_thinned(roc_curve(truth, scores, mask)),
        precision_recall=_thinned(precision_recall_curve(truth, scores, mask)),
    )


def per_class(labels: Sequence[str], figures: Mapping[str, TagFigures]) -> tuple[ClassScores, ...]:
    """The rows of the table that all classifiers have."""
    return tuple(
        ClassScores(
            label=label,
            precision=figures[label].precision.value,
            recall=figures[label].recall.value,
            f1=figures[label].f1.value,
            support=figures[label].positives,
        )
        for label in labels
    )


def calibrated(tags: Tags) -> Calibration:
    """How well scores tell how often a label is there, over all annotated ones."""
    error, bins = calibration(tags.scores[tags.mask], tags.truth[tags.mask])
    return Calibration(
        ece=rounded(error),
        bins=tuple(
            CalibrationBin(
                low=rounded(low),
                high=rounded(high),
                clips=clips,
                confidence=rounded(confidence),
                accuracy=rounded(accuracy),
            )
            for low, high, clips, confidence, accuracy in bins
        ),
    )


def _defined(value: Estimate | None) -> Estimate:
    assert value is not None  # precision, recall and F1 are 0 where their denominator is
    return value


def _thinned(points: Points) -> Curve:
    """At most ``CURVE_POINTS`` points, the first and the last among them."""
    if not np.isfinite([*points.x, *points.y]).all():
        return Curve(x=(), y=())
    size = len(points.x)
    kept = np.unique(np.linspace(0, size - 1, min(size, CURVE_POINTS)).round().astype(int))
    return Curve(
        x=tuple(rounded(value) for value in points.x[kept]),
        y=tuple(rounded(value) for value in points.y[kept]),
    )
