"""Fixtures of the tests of annotations."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def spot(real_data):
    """Real recordings and annotation files; skips where they are absent."""
    return real_data("datasets/spot")
