"""The tables of docs/datasets.md are written from the catalogue."""

from __future__ import annotations

from pathlib import Path

from soundgate.audio import datasets
from soundgate.audio.datasets import libraries

PAGE = Path(__file__).resolve().parents[3] / "docs" / "datasets.md"
HEAD = "<!-- Written by `pytest tests/audio/datasets/test_catalogue_page.py --update-golden`. -->"
LONGEST = 100
"""Characters of a licence that are shown."""


def table(*rows: tuple[str, ...]) -> str:
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    lines.insert(1, "| " + " | ".join("---" for _ in rows[0]) + " |")
    return "\n".join(lines)


def folds_of(dataset) -> str:
    if dataset.folds is None:
        return "made"
    count = dataset.folds(dataset.options())
    return {None: "as the table says", 0: "own split"}.get(count, str(count))


def short(text: str) -> str:
    return text if len(text) <= LONGEST else text[:LONGEST].rpartition(" ")[0] + " …"


def library(name: str) -> list[str]:
    rows, unsupported = libraries.tables(name)
    listed = [("data set", "labels", "folds", "licence, as the library states it", "note")]
    for given, row in rows.items():
        dataset = datasets.load(f"{name}:{given}")
        said = "; ".join(filter(None, [row.request, row.note]))
        licence = short(dataset.papers()["licence"]).replace("<", "").replace(">", "")
        listed.append((f"`{dataset.name}`", row.labels, folds_of(dataset), licence, said))
    left_out = [("not read", "because it"), *((f"`{n}`", why) for n, why in unsupported.items())]
    return [f"### {name}", table(*listed), table(*left_out)]


def catalogue() -> str:
    known = [("data set", "title", "licence", "size", "folds")]
    for name in datasets.DATASETS:
        dataset = datasets.load(name)
        title = f"[{dataset.title}]({dataset.homepage})" if dataset.homepage else dataset.title
        known.append((f"`{name}`", title, dataset.licence, dataset.size, folds_of(dataset)))
    parts = [HEAD, "## Catalogue", table(*known)]
    for name in libraries.TABLES:
        parts += library(name)
    return "\n\n".join(parts) + "\n"


def test_the_page_lists_every_data_set(update_golden):
    written, _, shown = PAGE.read_text("utf-8").partition(HEAD)
    if update_golden:
        PAGE.write_text(written + catalogue(), "utf-8")
        shown = catalogue().removeprefix(HEAD)
    assert HEAD + shown == catalogue(), f"run {HEAD.strip('<!-> ')}"
