"""What keeps the suite whole."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

TESTS = Path(__file__).resolve().parent


def test_no_two_test_files_share_a_name():
    """Pytest imports them by name: a second one stops the whole suite, though each runs alone."""
    files = TESTS.rglob("test_*.py")
    names = Counter(path.name for path in files if not path.with_name("__init__.py").exists())
    assert [name for name, count in names.items() if count > 1] == []
