"""Folders of a Processing job's container, and the texts of a model package: what AWS refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from soundgate.executors.sagemaker.validation.shapes import Mistake

ROOT = "/opt/ml/processing"
MOST_METADATA_CHARACTERS = 1024
"""Of all names and values together that can be known before an execution starts."""


def mistakes(arguments: Mapping[str, Any]) -> Iterator[Mistake]:
    """Yield what a Processing job would be refused for: names given twice, folders elsewhere."""
    config = arguments.get("ProcessingOutputConfig")
    outputs = config.get("Outputs") if isinstance(config, dict) else None
    found = [
        ("ProcessingInputs", arguments.get("ProcessingInputs"), "InputName", "S3Input"),
        ("ProcessingOutputConfig.Outputs", outputs, "OutputName", "S3Output"),
    ]
    folders: dict[str, str] = {}
    for field, entries, key, below in found:
        names: set[str] = set()
        for index, entry in enumerate(entries if isinstance(entries, list) else []):
            at = f"Arguments.{field}[{index}]"
            if not isinstance(entry, dict):
                continue
            name = entry.get(key)
            if isinstance(name, str) and name in names:
                yield f"{at}.{key}", f"two of them are called {name!r}"
            names.add(str(name))
            yield from _folder_mistakes(entry.get(below), f"{at}.{below}.LocalPath", folders)


def _folder_mistakes(mount: Any, at: str, folders: dict[str, str]) -> Iterator[Mistake]:
    path = mount.get("LocalPath") if isinstance(mount, dict) else None
    if not isinstance(path, str):
        return
    if path != ROOT and not path.startswith(f"{ROOT}/"):
        yield at, f"{path!r} does not lie below {ROOT}"
    if path in folders:
        yield at, f"{path!r} is the folder of {folders[path]}, too"
    folders[path] = at.removeprefix("Arguments.")


def metadata_mistakes(arguments: Mapping[str, Any]) -> Iterator[Mistake]:
    """Yield what a model package's own properties would be refused for."""
    at = "Arguments.CustomerMetadataProperties"
    properties = arguments.get("CustomerMetadataProperties")
    if not isinstance(properties, dict):
        return
    texts = (text for pair in properties.items() for text in pair if isinstance(text, str))
    total = sum(map(len, texts))
    if total > MOST_METADATA_CHARACTERS:
        yield at, f"{total} characters in all: at most {MOST_METADATA_CHARACTERS}"
