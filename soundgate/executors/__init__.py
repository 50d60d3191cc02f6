"""The executors, by the name a user writes. This table is the one place to add one."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, cast

from soundgate.errors import ParameterError, nearest
from soundgate.executors.base import Options

if TYPE_CHECKING:
    from soundgate.executors.base import Executor

EXECUTORS = {
    "local": "soundgate.executors.local:LocalExecutor",
    "slurm": "soundgate.executors.slurm.executor:SlurmExecutor",
    "sagemaker": "soundgate.executors.sagemaker.executor:SageMakerExecutor",
    "kubeflow": "soundgate.executors.kubeflow.executor:KubeflowExecutor",
}


def load(name: str, options: Options = Options()) -> Executor[Any]:
    """Return the executor a user named; its module is imported only now.

    Args:
        name: a key of ``EXECUTORS``.
        options: the site, and who runs there.

    Raises:
        ParameterError: there is no such executor, or it knows no profiles.
        ConfigError: the profile is wrong.
    """
    if name not in EXECUTORS:
        raise ParameterError(f"--executor {name}: no such executor{nearest(name, EXECUTORS)}")
    module, _, attribute = EXECUTORS[name].partition(":")
    kind = getattr(importlib.import_module(module), attribute)
    if options.profile and not kind.capabilities.has_profiles:
        raise ParameterError(
            f"--profile {options.profile}: the {name} executor does not use profiles; remove "
            "--profile"
        )
    return cast("Executor[Any]", kind(options))
