"""A data set is looked at before it is trained on: figures, rules, a page, a table in the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from soundgate.audio.formats.datasets.inspection import read_inspection, write_inspection
from soundgate.audio.inspection.collection import Collection
from soundgate.audio.inspection.page import write_page
from soundgate.audio.inspection.rules import inspect
from soundgate.audio.inspection.wording import reasons, summary, table
from soundgate.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from soundgate.audio.config.sections.inspection import Inspection

__all__ = ["Collection", "check", "report"]


def report(collection: Collection, rules: Inspection, folder: Path) -> None:
    """Judge what was collected; write ``inspection.json`` and its page, print a table."""
    inspection = inspect(collection, rules)
    folder.mkdir(parents=True, exist_ok=True)
    write_inspection(folder, inspection)
    write_page(folder, inspection)
    print(table(inspection))
    print(summary(inspection))  # last: it stands for the task in the table of a run


def check(folder: Path) -> str:
    """Say that a data set may be trained on.

    Raises:
        DataError: it may not; one line with the reasons.
    """
    inspection = read_inspection(folder)
    if inspection.refusals:
        raise DataError(reasons(inspection))
    told = len(inspection.findings)
    return f"{inspection.clips} clips of {len(inspection.classes)} classes accepted; {told} remarks"
