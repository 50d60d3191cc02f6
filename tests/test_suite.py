"""What keeps the suite whole."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

TESTS = Path(__file__).resolve().parent


def test_no_two_test_files_share_a_name():
    """Pytest imports them by name: a second one stops the whole suite, though each runs alone."""
    files = TESTS.rglob("test_*.py")
    names = Counter(path.name for path in files if not path.with_name("__init__.py").exists())
    assert [name for name, count in names.items() if count > 1] == []


CHECKOUT = TESTS.parent
PROGRAMS = [
    CHECKOUT / "pipeline_parameters.py",
    *(p for room in ("soundgate", "steps", "pipelines") for p in (CHECKOUT / room).rglob("*.py")),
]
LONGEST_FILE, LONGEST_FUNCTION, MOST_MODULES = 355, 25, 14


def test_a_file_holds_one_idea():
    """Its length is a sign of it."""
    lines = {str(path.relative_to(CHECKOUT)): count(path) for path in PROGRAMS}
    assert {name: n for name, n in lines.items() if n > LONGEST_FILE} == {}


def count(path: Path) -> int:
    return path.read_text("utf-8").count("\n")


def test_nine_functions_in_ten_fit_a_screen():
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    lengths = sorted(
        node.end_lineno - node.lineno + 1
        for path in PROGRAMS
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, kinds)
    )
    assert lengths[len(lengths) * 9 // 10] < LONGEST_FUNCTION


def test_a_room_of_sound_has_about_a_dozen_modules():
    """Directly: what is in a room within it does not count, nor does ``__init__``."""
    modules = Counter(
        str(path.parent.relative_to(CHECKOUT))
        for path in PROGRAMS
        if "audio" in path.parts and path.name != "__init__.py"
    )
    assert {room: n for room, n in modules.items() if n > MOST_MODULES} == {}
