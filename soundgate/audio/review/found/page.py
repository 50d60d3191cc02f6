"""``found.html``: one file with the sounds that a search found, which saves labels as CSV."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Final

import jinja2
from markupsafe import Markup

from soundgate.audio.config.sections.sound import FeatureExtraction, Preprocessing
from soundgate.audio.files.threads import one_torch_thread
from soundgate.audio.formats.front_end import FrontEnd
from soundgate.audio.review.media import media
from soundgate.errors import DataError
from soundgate.text.progress import track

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from soundgate.audio.formats.embeddings.found import FoundRow
    from soundgate.audio.review.media import Media

PAGE: Final = "found.html"
RATE_HZ: Final = 16_000
"""Of the spectrograms."""


@dataclass(frozen=True)
class Card:
    """A segment to hear."""

    row: FoundRow
    media: Media | None
    problem: str
    """Why there is no sound; empty where there is."""


def write_page(path: Path, asked: str, rows: Sequence[FoundRow], clips: Path) -> int:
    """Write the page; return how many of the segments can be heard.

    Args:
        path: of the page.
        asked: what was looked for, in words.
        rows: what was found.
        clips: folder that paths are relative to.
    """
    with one_torch_thread():
        cards = [_card(row, clips) for row in track(rows, total=len(rows), label="sounds")]
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("soundgate.audio.review"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    own = files("soundgate.audio.review").joinpath("templates")
    script = own.joinpath("found.js").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    page = environment.get_template(PAGE).render(
        asked=asked,
        cards=cards,
        style=Markup(own.joinpath("report.css").read_text("utf-8")),  # noqa: S704  # our own file
        script=Markup(script),  # noqa: S704  # our own file
        script_digest=digest,
    )
    path.write_text(page, "utf-8", newline="\n")
    return sum(card.media is not None for card in cards)


def _card(row: FoundRow, clips: Path) -> Card:
    front_end = FrontEnd(
        Preprocessing(target_rate=RATE_HZ, max_length=max(row.end_s - row.start_s, 1.0)),
        FeatureExtraction(fmax=RATE_HZ / 2),
    )
    try:
        return Card(row, media(clips / row.path, row.start_s, row.end_s, front_end), "")
    except DataError as error:
        return Card(row, None, str(error))
