"""A compiled pipeline, read strictly: the messages of KFP's IR and of its Kubernetes platform.

The SDK passes unknown executor fields, because ``deploymentSpec`` is an untyped structure in its
eyes; here every executor is parsed as what the backend takes it for. The generated message classes
are loaded from their files: importing ``kfp`` costs 1.7 s of CPU and nothing of it is wanted.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from google.protobuf import json_format


def _generated(path: str) -> Any:
    package = importlib.util.find_spec("kfp")
    if package is None or package.origin is None:
        raise ImportError("kfp is not installed: pip install 'soundgate[kubeflow]'")
    file = Path(package.origin).parent / path
    spec = importlib.util.spec_from_file_location(f"ir_runner_{file.stem}", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


pb = _generated("pipeline_spec/pipeline_spec_pb2.py")
kubernetes_pb = _generated("kubernetes/kubernetes_executor_config_pb2.py")


class IRError(Exception):
    """The document is not a pipeline that a backend would take."""


class _Loader(yaml.SafeLoader):
    """Refuses a key that is written twice: YAML readers silently keep the last."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    keys: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in keys:
            line = key_node.start_mark.line + 1
            raise IRError(f"line {line}: the key {key!r} is written twice")
        keys.add(key)
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


@dataclass(frozen=True)
class IR:
    """A pipeline and what its platform documents say of its executors."""

    document: dict[str, Any]
    spec: Any
    executors: dict[str, Any]
    kubernetes: dict[str, Any]


def documents(text: str) -> list[dict[str, Any]]:
    """Read the YAML (or JSON) documents of a compiled pipeline.

    Raises:
        IRError: it is not YAML, holds no document, or a key is written twice.
    """
    try:
        found = [each for each in yaml.load_all(text, _Loader) if each]
    except yaml.YAMLError as error:
        raise IRError(f"not YAML: {error}") from error
    if not found or not all(isinstance(each, dict) for each in found):
        raise IRError("no pipeline: a compiled pipeline is one or more YAML mappings")
    return found


def parse(value: Any, message: Any, where: str) -> Any:
    """Parse ``value`` into ``message``; what it does not know is an error.

    Raises:
        IRError: naming ``where``.
    """
    try:
        return json_format.ParseDict(value, message, ignore_unknown_fields=False)
    except (json_format.ParseError, TypeError, AttributeError, ValueError) as error:
        raise IRError(f"{where}: {error}") from error


def load(text: str) -> IR:
    """Parse a compiled pipeline with everything that is in it.

    Raises:
        IRError: naming the part that does not parse.
    """
    return of_documents(documents(text))


def of_documents(found: list[dict[str, Any]]) -> IR:
    """Parse the documents of a compiled pipeline: the specification, then its platforms.

    Raises:
        IRError: naming the part that does not parse.
    """
    document, *platforms = found
    spec = parse(document, pb.PipelineSpec(), "pipeline")
    deployment = parse(
        document.get("deploymentSpec", {}), pb.PipelineDeploymentConfig(), "deploymentSpec"
    )
    kubernetes = {}
    for number, each in enumerate(platforms, 2):
        platform = parse(each, pb.PlatformSpec(), f"document {number}")
        for name in platform.platforms:
            configured = each["platforms"][name].get("deploymentSpec", {}).get("executors", {})
            if name == "kubernetes":
                kubernetes.update(_executor_configurations(configured))
    return IR(document, spec, dict(deployment.executors), kubernetes)


def _executor_configurations(configured: dict[str, Any]) -> dict[str, Any]:
    return {
        label: parse(
            value, kubernetes_pb.KubernetesExecutorConfig(), f"platforms.kubernetes: {label}"
        )
        for label, value in configured.items()
    }
