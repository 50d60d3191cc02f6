from __future__ import annotations

import pytest
from fake import FakeSlurm


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A Slurm that answers from a script."""
    return FakeSlurm(tmp_path / "fake", monkeypatch)
