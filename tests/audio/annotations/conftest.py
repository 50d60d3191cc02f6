"""Fixtures of the tests of annotations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def spot(shared) -> Path:
    """Real recordings and annotation files; skips where they are absent."""
    folder = shared / "datasets" / "spot"
    if not folder.is_dir():
        pytest.skip("the recordings of animals are not in the folder of real data")
    return folder
