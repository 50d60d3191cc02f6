"""Which steps an execution need not repeat.

Source: "Caching pipeline steps" of the SageMaker developer guide: a step is the same as an earlier
one of the same pipeline and name where the listed attributes have the same values, references
resolved; only successful ones count, the latest first; ``ExpireAfter`` is counted from its end.
Outputs, resources, roles, limits and tags are no part of it.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from definition_runner.errors import Refused

KEYS = {
    "Processing": ("AppSpecification", "Environment", "ProcessingInputs"),
    "Training": (
        "AlgorithmSpecification",
        "CheckpointConfig",
        "DebugHookConfig",
        "DebugRuleConfigurations",
        "Environment",
        "HyperParameters",
        "InputDataConfig",
    ),
}
_DURATION = re.compile(
    r"P(?=.)(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?=.)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?"
)


@dataclass(frozen=True)
class Result:
    """What a step that succeeded left."""

    execution_arn: str
    ended_at: datetime
    properties: dict[str, Any]
    metadata: dict[str, Any]


class Cache:
    """Results of all executions of an account."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._results: dict[tuple[str, str, str], Result] = {}

    def find(self, pipeline: str, step: dict[str, Any], key: str, at: datetime) -> Result | None:
        """Return the latest result of the same step, where the step wants it and it is in time."""
        if not _enabled(step):
            return None
        with self._lock:
            found = self._results.get((pipeline, step["Name"], key))
        expires = step["CacheConfig"].get("ExpireAfter")
        if found and expires and at - found.ended_at > duration(expires):
            return None
        return found

    def keep(self, pipeline: str, step: dict[str, Any], key: str, result: Result) -> None:
        """Remember a result, where the step has caching enabled."""
        if _enabled(step):
            with self._lock:
                self._results[pipeline, step["Name"], key] = result

    def forget(self, step: str) -> None:
        """Forget all results of the steps of a name."""
        with self._lock:
            self._results = {key: r for key, r in self._results.items() if key[1] != step}


def _enabled(step: dict[str, Any]) -> bool:
    return bool(step.get("CacheConfig", {}).get("Enabled"))


def key_of(kind: str, arguments: dict[str, Any]) -> str:
    """Digest the attributes that count, ``arguments`` having no references any more."""
    chosen = {name: arguments.get(name) for name in KEYS[kind]}
    return hashlib.sha256(json.dumps([kind, chosen], sort_keys=True).encode()).hexdigest()


def duration(written: str) -> timedelta:
    """Read an ISO 8601 duration; a month is 30 days.

    Raises:
        Refused: it is none.
    """
    match = _DURATION.fullmatch(written)
    if not match:
        raise Refused(f"CacheConfig.ExpireAfter: {written!r} is no ISO 8601 duration")
    years, months, weeks, days, hours, minutes, seconds = (int(n or 0) for n in match.groups())
    return timedelta(
        days=365 * years + 30 * months + 7 * weeks + days,
        hours=hours,
        minutes=minutes,
        seconds=seconds,
    )
