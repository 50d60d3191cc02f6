"""``review.json`` beside the review page: which page it is, and how many clips it shows.

Version 1 is the first with a ``format``; files of before are read as version 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from soundgate.audio.formats.record import JsonObject, Record, read_record, write_record

if TYPE_CHECKING:
    from pathlib import Path

FORMAT: Final = "soundgate.review_page/1"
PAGE: Final = "report.html"
SUMMARY: Final = "review.json"


class PageSummary(Record):
    """``review.json``."""

    format: Literal["soundgate.review_page/1"] = FORMAT
    digest: str
    """Of the page: ``sha256:`` and 64 hexadecimal digits."""
    bytes: int
    """Size of the page."""
    clips_shown: int
    clips_tested: int


def read_summary(folder: Path) -> PageSummary:
    """The summary in ``folder``.

    Raises:
        DataError: the file is missing, damaged or of an unknown format.
    """
    return read_record(
        folder / SUMMARY, PageSummary, remedy="make the page again", upgrade=_with_format
    )


def write_summary(folder: Path, summary: PageSummary) -> None:
    """Write ``review.json``."""
    write_record(folder / SUMMARY, summary)


def _with_format(fields: JsonObject) -> JsonObject:
    return {"format": FORMAT, **fields}
