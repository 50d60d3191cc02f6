from __future__ import annotations

import pytest

from conformance.engine import Engine
from conformance.suite import Conformance


@pytest.fixture(scope="module")
def engine(toy):
    return Engine("local", toy, ())


class TestLocal(Conformance):
    """Processes of this machine."""
