"""Sends a pipeline to an executor as ``run-pipeline`` does: rendered once, then submitted."""

from __future__ import annotations

from typing import Any

from soundgate.executors.base import Submission, rendered


def submit(
    executor: Any,
    pipeline: Any,
    run: Any,
    record: dict[str, Any],
    submission: Submission | None = None,
    *,
    use_cache: bool = True,
) -> dict[str, Any]:
    """Render what would be sent now, and send it; return the run's record."""
    request, _ = rendered(executor, pipeline, run, use_cache=use_cache)
    return executor.submit(request, run, record, submission or Submission())
