"""Gradient-boosted trees of XGBoost (Chen and Guestrin 2016) on embeddings."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np

from soundgate.errors import DataError, MissingExtra

if TYPE_CHECKING:
    import numpy.typing as npt

    from soundgate.audio.classification.heads.settled import Rows
    from soundgate.audio.formats.models.embedding_classifier import TreesSettings

    Array = npt.NDArray[Any]


def library() -> Any:
    """XGBoost.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        return importlib.import_module("xgboost")
    except ModuleNotFoundError as error:
        raise MissingExtra(
            "heads of kind xgboost need it: pip install 'soundgate[xgboost]'"
        ) from error


def fit(  # noqa: PLR0913 - what is learnt from, how, and when it ends
    rows: Rows,
    held_out: Rows,
    classes: int,
    settings: TreesSettings,
    *,
    patience: int,
    seed: int,
    threads: int,
) -> tuple[bytes, list[dict[str, float]], int]:
    """Train on ``rows``; stop when ``held_out``, if there is any, gets no better.

    Returns:
        The trees up to the best round as UBJSON, a row of figures a round, the best round from 1.
    """
    xgboost = library()
    training = xgboost.DMatrix(rows.values, rows.numbers)
    watched = [(training, "training")]
    if len(held_out):
        watched.append((xgboost.DMatrix(held_out.values, held_out.numbers), "es"))
    found: dict[str, dict[str, list[float]]] = {}
    booster = xgboost.train(
        {
            "objective": "multi:softprob",
            "num_class": classes,
            "eval_metric": ["merror", "mlogloss"],
            "tree_method": "hist",
            "seed": seed,
            "nthread": threads,
            **settings.model_dump(exclude={"kind", "n_estimators"}),
        },
        training,
        settings.n_estimators,
        evals=watched,
        evals_result=found,
        early_stopping_rounds=patience if len(held_out) else None,
        verbose_eval=False,
    )
    history = _history(found)
    best = booster.best_iteration + 1 if len(held_out) else len(history)
    return bytes(booster[:best].save_raw("ubj")), history, best


def _history(found: dict[str, dict[str, list[float]]]) -> list[dict[str, float]]:
    rows = []
    for number, loss in enumerate(found["training"]["mlogloss"]):
        row = {"round": number + 1, "loss": loss}
        row["training_accuracy"] = 1 - found["training"]["merror"][number]
        if "es" in found:
            row["es_loss"] = found["es"]["mlogloss"][number]
            row["es_accuracy"] = 1 - found["es"]["merror"][number]
        rows.append(row)
    return rows


def leaves(booster: bytes) -> int:
    """How many leaves the trees have."""
    loaded = _loaded(booster)
    return sum(text.count("leaf=") for text in loaded.get_dump())


def scores(booster: bytes, values: Array) -> Array:
    """Probabilities float32 ``(row, class)``.

    Raises:
        MissingExtra: XGBoost is not installed.
        DataError: the bytes are no trees.
    """
    found: Array = _loaded(booster).inplace_predict(np.ascontiguousarray(values))
    return found


def _loaded(booster: bytes) -> Any:
    xgboost = library()
    loaded = xgboost.Booster({"nthread": 1})
    try:
        loaded.load_model(bytearray(booster))
    except xgboost.core.XGBoostError as error:
        raise DataError(f"the trees are damaged; train the head again: {error}") from error
    return loaded
