from __future__ import annotations

import inspect
from pathlib import Path

from conformance import suite, table

HERE = Path(__file__).parent


def test_the_page_shows_the_table(update_golden):
    text = table.PAGE.read_text("utf-8")
    if update_golden:
        table.PAGE.write_text(table.page(text), "utf-8")
    assert table.PAGE.read_text("utf-8") == table.page(text), "run: pytest --update-golden"


def test_every_test_of_the_suite_is_a_row():
    tests = [n for n, _ in inspect.getmembers(suite.Conformance) if n.startswith("test_")]
    assert {f"test_{key}" for key in table.ROWS} == set(tests)


def test_every_column_is_run():
    """A column whose suite nobody runs would be a promise."""
    texts = [path.read_text("utf-8") for path in HERE.glob("test_*.py")]
    run = [t for t in texts if "(Conformance):" in t and "def engine(" in t]
    for name in table.ENGINES:
        assert sum(f'"{name}", ' in text for text in run) == 1, name


def test_every_deviation_is_of_a_row_and_a_column():
    assert {engine for engine, _ in table.DEVIATIONS} <= set(table.ENGINES)
    assert {row for _, row in table.DEVIATIONS} <= set(table.ROWS)
