"""Read YAML as data; a key that is given twice is a mistake, not a value that silently wins."""

from __future__ import annotations

from typing import Any

import yaml

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C one where it was built

DEEPEST = 100


class _UniqueKeys(_Loader):  # type: ignore[misc]
    """Refuses a mapping with a key that is given twice, which YAML forbids and PyYAML lets pass."""

    def construct_mapping(self, node: yaml.MappingNode, *, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key, _ in node.value:
            name = (key.tag, key.value if isinstance(key, yaml.ScalarNode) else id(key))
            if name in seen and not key.tag.endswith(":merge"):
                raise yaml.constructor.ConstructorError(
                    problem=f"key {key.value!r} is given twice", problem_mark=key.start_mark
                )
            seen.add(name)
        found: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return found


def load(text: str) -> Any:
    """Return what a YAML text holds; nothing in it is evaluated.

    Raises:
        ValueError: it is not YAML, repeats a key, or is nested too deeply; one line.
    """
    try:
        _refuse_deep(text)
        return yaml.load(text, _UniqueKeys)  # noqa: S506 - a safe loader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"line {mark.line + 1}: " if mark else ""
        raise ValueError(f"{line}{' '.join(str(error.problem).split())}") from error
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error


def _refuse_deep(text: str) -> None:
    """Look how deep a text is nested before it is loaded: libyaml would overflow the C stack."""
    depth = 0
    for event in yaml.parse(text, _Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                raise ValueError("it is nested too deeply")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
