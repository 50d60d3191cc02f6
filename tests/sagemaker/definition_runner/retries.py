"""Retry policies of a step: for faults of the platform, never for a program that failed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from definition_runner.errors import REASONS, Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_ATTEMPTS = 5


@dataclass
class Patience:
    """How often a step is tried again, and after how long."""

    policies: Sequence[dict[str, Any]]
    _used: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse kinds that no policy can name."""
        for policy in self.policies:
            for kind in policy["ExceptionType"]:
                if kind not in REASONS:
                    raise Refused(f"RetryPolicies: no ExceptionType {kind!r}")

    def wait_s(self, kind: str) -> float | None:
        """Return the seconds until the next attempt after a fault; None where there is none."""
        for index, policy in enumerate(self.policies):
            if kind in policy["ExceptionType"]:
                used = self._used.get(index, 0)
                if used >= policy.get("MaxAttempts", DEFAULT_ATTEMPTS):
                    return None
                self._used[index] = used + 1
                return float(
                    policy.get("IntervalSeconds", 1) * policy.get("BackoffRate", 2.0) ** used
                )
        return None
