"""What is wrong with a component that runs something: command, placeholders, outputs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from ir_runner.placeholders import STRUCTURED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Say = Callable[[str, str], None]

REFERENCE = re.compile(
    r"\{\{\$\.(?P<side>inputs|outputs)\.(?P<kind>parameters|artifacts)\['(?P<name>.+?)'\]"
    r"(?P<part>\.\w+)?\}\}"
)
RUN_TIME = re.compile(r"\{\{\$\.(?!inputs|outputs|workspace_path).+?\}\}")
QUANTITY = re.compile(r"\d+(\.\d+)?(m|[kMGTPE]|[KMGTPE]i|[eE][+-]?\d+)?")
PARTS = {
    ("inputs", "parameters"): (None,),
    ("outputs", "parameters"): (".output_file",),
    ("inputs", "artifacts"): (".path", ".uri"),
    ("outputs", "artifacts"): (".path", ".uri"),
}
PVC_IMAGES = ("argostub/createpvc", "argostub/deletepvc")
"""No container is made for these: the driver does what they say."""


def leaf(say: Say, name: str, component: Any, executors: Mapping[str, Any]) -> None:
    """Look at a component that runs something."""
    label = component.executor_label
    if not label:
        say(name, "has neither dag nor executorLabel")
    elif label not in executors:
        say(name, f"executorLabel: there is no executor {label!r}")
    elif (executor := executors[label]) is not None:
        kind = executor.WhichOneof("spec")
        if kind == "container":
            _container(say, f"{name}: {label}", component, executor.container)
        elif kind == "importer":
            wanted = executor.importer.artifact_uri.runtime_parameter
            if wanted and wanted not in component.input_definitions.parameters:
                say(f"{name}: {label}", f"artifactUri reads undeclared input {wanted!r}")
        else:
            say(f"{name}: {label}", f"{kind or 'an empty executor'} runs nothing in KFP")


def _container(say: Say, where: str, component: Any, container: Any) -> None:
    if container.image in PVC_IMAGES:
        return
    if not container.image:
        say(where, "container.image is empty")
    words = [*container.command, *container.args]
    if not words:
        say(where, "container.command and container.args are empty: the launcher refuses that")
    elif "{{$" in words[0] and not words[0].startswith(STRUCTURED):
        say(where, f"container.command[0] {words[0]!r}: a program is not substituted")
    for word in words:
        _word(say, where, component, word)
    for variable in container.env:
        if "{{$" in variable.value:
            say(where, f"env {variable.name}: placeholders are not replaced there")
    _unwritten(say, where, component, words)


def _word(say: Say, where: str, component: Any, word: str) -> None:
    if word.startswith('{"Concat":'):
        say(where, "args: Concat is not expanded by today's driver and launcher")
    sides = {"inputs": component.input_definitions, "outputs": component.output_definitions}
    for found in REFERENCE.finditer(word):
        side, kind, name, part = found.group("side", "kind", "name", "part")
        if name not in getattr(sides[side], kind):
            say(where, f"{found.group()}: {side}.{kind} {name!r} is not declared")
        elif part not in PARTS[side, kind]:
            say(where, f"{found.group()}: {part or 'nothing'} of {side}.{kind} is no text")
    for found in RUN_TIME.finditer(word):
        say(where, f"args: {found.group()} is replaced in inputs of tasks only")


def _unwritten(say: Say, where: str, component: Any, words: list[str]) -> None:
    """An output that no word names cannot be written: the task then fails, or its reader."""
    text = "\n".join(words)
    if "{{$}}" in text:
        return
    outputs = component.output_definitions
    for kind in ("parameters", "artifacts"):
        for name in getattr(outputs, kind):
            if f"$.outputs.{kind}['{name}']" not in text:
                say(where, f"outputs.{kind} {name!r}: no argument says where to write it")


def resources(say: Say, where: str, asked: Any) -> None:
    """Look at what a container asks for."""
    named = [
        (name, getattr(asked, name))
        for name in type(asked).DESCRIPTOR.fields_by_name
        if name.startswith("resource_")
    ]
    named.append(("accelerator.resourceCount", asked.accelerator.resource_count))
    for name, value in named:
        if value and "{{$" not in value and not QUANTITY.fullmatch(value):
            say(where, f"resources.{name}: {value!r} is no quantity (500m, 2, 16Gi)")
