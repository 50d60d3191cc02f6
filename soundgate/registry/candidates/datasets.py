"""The data set of a candidate as MLflow shows it: an input of the run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlflow.entities import DatasetInput

DATASET_DIGEST_TAG = "dataset.digest"
DATASET_NAME_TAG = "dataset.name"
DATASET_LICENCE_TAG = "dataset.licence"
SHOWN_CHARACTERS = 36
"""MLflow's database keeps no more of a digest; the source holds all of it."""


def dataset_inputs(tags: Mapping[str, str]) -> list[DatasetInput]:
    """The data set that a run's tags name; empty where they name none."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    digest = tags.get(DATASET_DIGEST_TAG)
    if not digest:
        return []
    found = {key: tags[key] for key in (DATASET_DIGEST_TAG, DATASET_LICENCE_TAG) if key in tags}
    dataset = Dataset(
        name=tags.get(DATASET_NAME_TAG) or "unnamed",
        digest=digest[:SHOWN_CHARACTERS],
        source_type="soundgate",
        source=json.dumps(found, sort_keys=True),
    )
    return [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])]
