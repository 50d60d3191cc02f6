"""The figures that a version was registered with, and which of them a reviewer sees first.

Metrics are tags ``metric.<name>``; ``metrics.headline`` lists those that the model's report puts
first, with their titles. No metric is known here by name.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

METRIC_TAG = "metric."
HEADLINE_TAG = "metrics.headline"
TEST_TAG = "test.digest"
"""Digest of the test clips that the metrics were measured on: equal for the same clips alone."""


@dataclass(frozen=True, slots=True)
class Headline:
    """A metric that a reviewer sees, and its title."""

    metric: str
    title: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A metric with its value."""

    metric: str
    title: str
    value: float


def figure_tags(metrics: Mapping[str, float], headline: Sequence[Headline]) -> dict[str, str]:
    """The tags of a version for its metrics."""
    tags = {f"{METRIC_TAG}{name}": str(value) for name, value in metrics.items()}
    if headline:
        lines = [asdict(line) for line in headline]
        tags[HEADLINE_TAG] = json.dumps(lines, ensure_ascii=False)
    return tags


def metrics_in(tags: Mapping[str, str]) -> dict[str, float]:
    """The metrics of a version by name."""
    found = {}
    for tag, text in sorted(tags.items()):
        if tag.startswith(METRIC_TAG):
            try:
                found[tag.removeprefix(METRIC_TAG)] = float(text)
            except ValueError:
                continue
    return found


def incomparable(candidate: Mapping[str, str], champion: Mapping[str, str]) -> str:
    """Why the metrics of two versions must not be subtracted; empty where both had one test set.

    Args:
        candidate: tags of a candidate.
        champion: tags of the champion.
    """
    of_candidate, of_champion = candidate.get(TEST_TAG), champion.get(TEST_TAG)
    if not of_candidate or not of_champion:
        return "it is not recorded whether both were measured on the same test clips"
    return "" if of_candidate == of_champion else "they were measured on different test clips"


def headline_in(tags: Mapping[str, str]) -> list[Figure]:
    """The figures that the model's report puts first; none of a version that does not say."""
    metrics = metrics_in(tags)
    try:
        lines = [Headline(**line) for line in json.loads(tags.get(HEADLINE_TAG, "[]"))]
    except (ValueError, TypeError):
        return []
    return [
        Figure(line.metric, line.title, metrics[line.metric])
        for line in lines
        if line.metric in metrics
    ]
