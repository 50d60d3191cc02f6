"""Histograms, confusion matrices and ROC curves as PNG files, drawn with matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from soundgate.audio.review.tag_export.counts import METRICS
from soundgate.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from soundgate.audio.formats.reports.tags import Curve
    from soundgate.audio.review.tag_export.counts import Matrix

_DPI = 100
_BINS = 20


def require() -> None:
    """Look for the library that draws.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import matplotlib  # noqa: F401, ICN001
    except ImportError as error:
        message = "matplotlib is not installed; pip install 'soundgate[tagging]'"
        raise MissingExtra(message) from error


def histograms(together: Path, folder: Path, clips: Sequence[Mapping[str, float]]) -> list[Path]:
    """Draw how each figure is spread over clips: in one picture, and in one each below ``folder``.

    Args:
        together: the picture of all.
        folder: where the others go.
        clips: figures of each clip, 0 to 1.
    """
    folder.mkdir()
    whole, places = _figure(1, len(METRICS))
    for name, place in zip(METRICS, places, strict=True):
        alone, (own,) = _figure(1, 1)
        for each in (place, own):
            each.hist([clip[name] for clip in clips if name in clip], _BINS, range=(0, 1))
            each.set(title=name.replace("_", " "), xlabel="of a clip", ylabel="clips")
        _save(alone, folder / f"{name}.png")
    _save(whole, together)
    return [together, folder]


def confusion(folder: Path, found: Sequence[tuple[str, str, Matrix]]) -> Path:
    """Draw the matrix of each pair of labels."""
    folder.mkdir()
    for first, second, matrix in found:
        figure, (place,) = _figure(1, 1)
        place.imshow(matrix, cmap="Blues")
        names = ("neither", first, second, "both")
        place.set(xticks=range(4), yticks=range(4), xticklabels=names, yticklabels=names)
        place.set(xlabel="decision", ylabel="truth")
        for row, line in enumerate(matrix):
            for column, clips in enumerate(line):
                color = "white" if clips > max(map(max, matrix)) / 2 else "black"
                place.text(column, row, clips, ha="center", va="center", color=color)
        _save(figure, folder / f"{_file_name(first)}_{_file_name(second)}.png")
    return folder


def roc(folder: Path, curves: Mapping[str, Curve], areas: Mapping[str, float]) -> Path:
    """Draw the ROC curve of each label."""
    folder.mkdir()
    for label, curve in curves.items():
        figure, (place,) = _figure(1, 1)
        place.plot(curve.x, curve.y, label=f"area {areas[label]:.3f}")
        place.plot([0, 1], [0, 1], linestyle=":", color="gray")
        place.set(title=label, xlabel="false-positive rate", ylabel="true-positive rate")
        place.legend(loc="lower right")
        _save(figure, folder / f"{_file_name(label)}.png")
    return folder


def _figure(rows: int, columns: int) -> tuple[Any, list[Any]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4 * columns, 4 * rows), layout="constrained")
    return figure, list(figure.subplots(rows, columns, squeeze=False).flat)


def _save(figure: Any, path: Path) -> None:
    # Without the date and the version: the same report gives the same bytes.
    figure.savefig(path, dpi=_DPI, metadata={"Software": None})


def _file_name(label: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-. " else "-" for letter in label)
