"""The files of a candidate: its model's, and those that a reviewer judges it by."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from soundgate.errors import DataError
from soundgate.registry.versions.bundle import EXPORT, files_of, refuse_pickles

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


def model_files(model: Path, exported: Path | None) -> dict[str, Path]:
    """The model's files by the path they will have; all needed ones, and none of them a pickle."""
    needed = [model / "model.json"]
    if exported is not None:
        needed.append(exported / "export.json")
    _require(needed)
    files = files_of(model)
    if len(files) == 1:
        raise DataError(f"{model} holds model.json alone; its weights are needed to register it")
    if exported is not None:
        files |= files_of(exported, f"{EXPORT}/")
    refuse_pickles(files)
    return files


def evidence_files(report: Path, review: Path | None) -> tuple[dict[str, Path], str]:
    """Files by their artifact path, and the path of the page that the reviewer judges by."""
    _require([report / "evaluation.json", *([review / "report.html"] if review else [])])
    files = files_of(report, "report/")
    if review is None:
        return files, "report/evaluation.json"
    return files | files_of(review, "review/"), "review/report.html"


def _require(files: Sequence[Path]) -> None:
    for needed in files:
        if not needed.is_file():
            raise DataError(f"{needed} is missing; a model cannot be registered without it")


def lay_out(files: Mapping[str, Path], folder: Path) -> None:
    """Copy files below ``folder``, to the paths they are to have."""
    for name, path in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
