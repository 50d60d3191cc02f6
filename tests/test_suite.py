"""What keeps the suite whole."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

from suite_order import LONGEST

TESTS = Path(__file__).resolve().parent


def test_no_two_test_files_share_a_name():
    """Pytest imports them by name: a second one stops the whole suite, though each runs alone."""
    files = TESTS.rglob("test_*.py")
    names = Counter(path.name for path in files if not path.with_name("__init__.py").exists())
    assert [name for name, count in names.items() if count > 1] == []


def test_the_longest_files_are_named_as_they_are():
    assert [name for name in LONGEST if not (TESTS / name).is_file()] == []


CHECKOUT = TESTS.parent
PROGRAMS = [
    CHECKOUT / "pipeline_parameters.py",
    *(p for room in ("soundgate", "steps", "pipelines") for p in (CHECKOUT / room).rglob("*.py")),
]
LONGEST_FILE, LONGEST_FUNCTION, MOST_MODULES = 350, 25, 12
LONGEST_DECLARATION = 100


def test_a_file_holds_one_idea():
    """Its length is a sign of it."""
    lines = {str(path.relative_to(CHECKOUT)): count(path) for path in PROGRAMS}
    assert {name: n for name, n in lines.items() if n > LONGEST_FILE} == {}


def count(path: Path) -> int:
    return path.read_text("utf-8").count("\n")


def test_a_pipeline_s_declaration_is_short():
    """Without docstrings, comments and blank lines."""
    lines = {path.name: len(code(path)) for path in (CHECKOUT / "pipelines").glob("*.py")}
    assert lines["aed.py"] > 50
    assert {name: n for name, n in lines.items() if n >= LONGEST_DECLARATION} == {}


def code(path: Path) -> list[str]:
    """Return the lines that are neither blank nor a comment nor of a docstring."""
    text = path.read_text("utf-8")
    told: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            told |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = enumerate(text.splitlines(), 1)
    return [s for n, s in lines if s.strip() and not s.lstrip().startswith("#") and n not in told]


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
