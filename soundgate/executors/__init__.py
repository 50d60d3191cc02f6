"""The executors, by the name a user writes. This table is the one place to add one."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast

from soundgate.errors import ParameterError, nearest

if TYPE_CHECKING:
    from soundgate.executors.base import Executor

EXECUTORS = {
    "local": "soundgate.executors.local:LocalExecutor",
}


def load(name: str) -> Executor:
    """Return the executor a user named; its module is imported only now."""
    if name not in EXECUTORS:
        raise ParameterError(f"--executor {name}: no such executor{nearest(name, EXECUTORS)}")
    module, _, attribute = EXECUTORS[name].partition(":")
    return cast("Executor", getattr(importlib.import_module(module), attribute)())
