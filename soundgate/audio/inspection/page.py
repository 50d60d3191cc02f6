"""``inspection.html``: one file that needs nothing besides itself."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Final

import jinja2
from markupsafe import Markup

from soundgate.audio.inspection.wording import summary

if TYPE_CHECKING:
    from pathlib import Path

    from soundgate.audio.formats.datasets.inspection import Inspection

PAGE: Final = "inspection.html"


def write_page(folder: Path, inspection: Inspection) -> None:
    """Write the page; the same inspection gives the same bytes."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("soundgate.audio.inspection"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # The review page's own style, so that both pages look alike.
    style = files("soundgate.audio").joinpath("review/templates/report.css").read_text("utf-8")
    page = environment.get_template(PAGE).render(
        inspection=inspection,
        summary=summary(inspection),
        sides=sorted({side for row in inspection.classes for side in row.by_split}),
        style=Markup(style),  # noqa: S704  # our own file
    )
    (folder / PAGE).write_text(page, "utf-8", newline="\n")
