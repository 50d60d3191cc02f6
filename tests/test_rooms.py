"""Rooms of sound that must not know one another, for those there are and those to come.

``lint-imports`` holds the directions between rooms that its contracts name. Here the pairs are made
from the folders that stand in ``soundgate/audio``: a new one is held as soon as it is there.
"""

from __future__ import annotations

import ast
from itertools import permutations
from pathlib import Path

import pytest

AUDIO = Path(__file__).resolve().parent.parent / "soundgate" / "audio"
SYSTEMS = {"classification", "detection", "embedding"}
"""What is true of one kind of system alone; what two need moves below both."""
GENERAL = {"networks", "learning", "metrics"}
DOORS = {"serving", "review", "prediction"}
"""They use the systems; nothing uses them, but that the service predicts as ``predict`` does."""
ROOMS = {path.name for path in AUDIO.iterdir() if (path / "__init__.py").exists()}


def imports(tree: ast.AST) -> set[str]:
    """Return every imported module, also of ``TYPE_CHECKING`` and of functions."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def rooms_used(room: str) -> dict[str, str]:
    """Return the rooms of sound that one imports, each with a file that does."""
    used = {}
    for path in sorted((AUDIO / room).rglob("*.py")):
        for module in imports(ast.parse(path.read_text("utf-8"))):
            if module.startswith("soundgate.audio."):
                used.setdefault(module.split(".")[2], str(path.relative_to(AUDIO)))
    return used


@pytest.mark.parametrize("together", [SYSTEMS, GENERAL, DOORS], ids=min)
def test_rooms_know_nothing_of_one_another(together):
    pairs = permutations(sorted(together & ROOMS), 2)
    used = [(one, other) for one, other in pairs if other in rooms_used(one)]
    assert [pair for pair in used if pair != ("serving", "prediction")] == []


def test_only_doors_are_above_the_systems():
    """What a system is made of knows no system."""
    below = ROOMS - SYSTEMS - DOORS - {"export"}  # export checks its programs by the evaluation
    users = {room: sorted(set(rooms_used(room)) & (SYSTEMS | DOORS | {"export"})) for room in below}
    assert {room: used for room, used in users.items() if used} == {}


def test_nothing_below_uses_a_door():
    users = {room: sorted(set(rooms_used(room)) & DOORS) for room in ROOMS - DOORS}
    assert {room: used for room, used in users.items() if used} == {}


def test_general_rooms_know_no_stored_format_and_no_config():
    known = {room: sorted(set(rooms_used(room)) & {"formats", "config"}) for room in GENERAL}
    assert {room: used for room, used in known.items() if used} == {}


def test_imports_in_functions_and_for_types_are_seen():
    text = "if TYPE_CHECKING:\n    from soundgate.audio import export\ndef f():\n    import a.b\n"
    assert imports(ast.parse(text)) == {"soundgate.audio", "soundgate.audio.export", "a.b"}
