"""The attacks in their short form; ``make attack`` makes all of them."""

from __future__ import annotations

import attack
import pytest


@pytest.mark.slow
@pytest.mark.parametrize("kind", attack.kinds(), ids=lambda kind: kind.name)
def test_nothing_falls(kind, tmp_path):
    tried = list(kind.attack(tmp_path / "attacked", kind.short))
    assert len(tried) >= kind.short
    assert [each for each in tried if each] == []
