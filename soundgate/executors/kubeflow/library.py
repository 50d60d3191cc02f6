"""kfp, loaded when it is needed and no more of it than that."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Any

from soundgate.errors import MissingExtra

AT_RUNTIME = "_KFP_RUNTIME"
"""Inside of containers kfp sets it and then imports nothing by itself."""


def require_kfp() -> None:
    """Load what compiles pipelines.

    kfp's own ``__init__`` loads its client too, and with it all of Kubernetes' API: three quarters
    of the time, for what no compilation uses.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its dependencies announce what will go
            if "kfp" not in sys.modules:
                _import_quickly()
            from kfp import components, dsl  # noqa: F401
    except ImportError as error:
        raise MissingExtra(
            f"kfp is not installed ({error}); pip install 'soundgate[kubeflow]'"
        ) from error


def _import_quickly() -> None:
    before = os.environ.get(AT_RUNTIME)
    os.environ[AT_RUNTIME] = "true"
    try:
        import kfp
    finally:
        os.environ.pop(AT_RUNTIME)
        os.environ.update({AT_RUNTIME: before} if before is not None else {})
    kfp.__getattr__ = _late


def _late(name: str) -> Any:
    """Return what kfp's ``__init__`` would have imported, when it is asked for."""
    if name != "Client":
        raise AttributeError(f"module 'kfp' has no attribute {name!r}")
    from kfp.client import Client

    return Client
