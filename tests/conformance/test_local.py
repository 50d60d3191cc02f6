from __future__ import annotations

import json
import shlex

import pytest

from conformance.engine import Engine
from conformance.suite import Conformance


@pytest.fixture(scope="module")
def engine(toy):
    return Engine("local", toy, (), check_received=check_received)


def check_received(folder, text):
    """What was executed, or is reused, is a line of the script."""
    for path in folder.glob("tasks/*/task.json"):
        mark = json.loads(path.read_text("utf-8"))
        if mark["state"] == "succeeded":
            assert shlex.join(mark["argv"]) in text.splitlines()


class TestLocal(Conformance):
    """Processes of this machine."""
