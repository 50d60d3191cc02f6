"""YAML that remembers its lines: data only, no duplicate keys, no code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from soundgate.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

Path = tuple[str | int, ...]


class Document:
    """A parsed YAML file: its ``data`` and where each value stands."""

    def __init__(self, text: str, name: str) -> None:
        """Parse ``text``; ``name`` is what to call it in an error, usually its path.

        Raises:
            ConfigError: the text is no YAML mapping, or repeats a key.
        """
        self.name = name
        self._root: Any = None
        try:
            data = self._read(text)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = mark.line + 1 if mark else None
            raise self.error(f"not valid YAML: {error.problem}", line=line) from None
        except (yaml.YAMLError, ValueError) as error:
            raise self.error(f"not valid YAML: {error}") from None
        except RecursionError:
            raise self.error("nested too deeply") from None
        if not isinstance(data, dict | None):
            raise self.error("expected sections (key: value lines)", line=1)
        self.data: dict[str, Any] = data or {}

    def _read(self, text: str) -> Any:
        loader = yaml.SafeLoader(text)
        try:
            self._root = loader.get_single_node()
            for mark, problem in _problems(self._root):
                raise self.error(problem, line=mark.line + 1)
            return None if self._root is None else loader.construct_document(self._root)
        finally:
            loader.dispose()

    def error(self, problem: str, *, line: int | None = None) -> ConfigError:
        """A ConfigError in one line, with the file and the line in front."""
        where = self.name if line is None else f"{self.name}:{line}"
        return ConfigError(f"{where}: {' '.join(problem.split())}")

    def line(self, path: Path) -> int | None:
        """The line, counted from 1, of the value at ``path`` or of its nearest ancestor."""
        node, found = self._root, None
        for part in path:
            child = _child(node, part)
            if child is None:
                break
            found, node = child
        return found


def _child(node: Any, part: str | int) -> tuple[int, Any] | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        item = node.value[part]
        return item.start_mark.line + 1, item
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == part:
                return key.start_mark.line + 1, value
    return None


def _problems(root: Any) -> Iterator[tuple[Any, str]]:
    """Keys that are no text or stand twice in one mapping, and anchors that hold themselves."""
    seen: set[int] = set()
    stack: list[tuple[Any, frozenset[int]]] = [(root, frozenset())]
    while stack:
        node, above = stack.pop()
        if id(node) in above:
            yield node.start_mark, "an anchor refers to itself"
            return
        if node is None or id(node) in seen or isinstance(node, yaml.ScalarNode):
            continue
        seen.add(id(node))
        inside = above | {id(node)}
        if isinstance(node, yaml.SequenceNode):
            stack.extend((item, inside) for item in node.value)
            continue
        names: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag not in _KEY_TAGS:
                yield key.start_mark, "a key must be text; put it in quotes"
                return
            if key.value in names and not key.tag.endswith(":merge"):
                yield key.start_mark, f"key {key.value!r} stands twice in one section"
            names.add(key.value)
            stack.append((value, inside))


_KEY_TAGS = frozenset({"tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"})
