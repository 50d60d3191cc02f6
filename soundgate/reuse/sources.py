"""The source a program is made of, found without importing it.

Two versions of a module that differ in comments, docstrings or layout alone count as the same
program, so that polishing a text does not train a model again.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soundgate import runs
from soundgate.errors import DefinitionError
from soundgate.reuse.digests import digest_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.machinery import ModuleSpec

DISTRIBUTIONS = {"yaml": "PyYAML", "sklearn": "scikit-learn"}
"""Import name to distribution, where they differ."""


@dataclass(frozen=True, slots=True)
class Program:
    """First-party modules with their digests, and the libraries they import with versions."""

    modules: dict[str, str]
    libraries: dict[str, str]


class Sources:
    """Reads modules' sources; remembers what it found by size and time of each file."""

    def __init__(self, memory: Path) -> None:
        """Use ``memory`` (a JSON file) to skip files that have not changed."""
        self.memory = memory
        found = runs.read_json(memory)
        self._known: dict[str, Any] = found if isinstance(found, dict) else {}
        self._changed = False
        self._programs: dict[str, Program] = {}

    def program(self, module: str) -> Program:
        """Return everything ``module`` is made of.

        Raises:
            DefinitionError: the module has no source file.
        """
        if module not in self._programs:
            self._programs[module] = self._collect(module)
        return self._programs[module]

    def _collect(self, module: str) -> Program:
        if find_source(module) is None:
            raise DefinitionError(f"{module}: no such module; a step is a file below steps/")
        own = {module.split(".", maxsplit=1)[0], "soundgate"}
        modules: dict[str, str] = {}
        libraries: set[str] = set()
        waiting = _with_parents(module)
        while waiting:
            name = waiting.pop()
            path = find_source(name)
            if name in modules or path is None:
                continue
            digest, imports, mentions = self._read(name, path)
            modules[name] = digest
            for found in imports:
                top = found.split(".", maxsplit=1)[0]
                if top in own or is_local(top):
                    waiting += _with_parents(found)
                elif top not in sys.stdlib_module_names:
                    libraries.add(top)
            waiting += [m for m in mentions if m.split(".", maxsplit=1)[0] in own]
        self._save()
        versions = {name: v for name in sorted(libraries) if (v := _version(name))}
        return Program(dict(sorted(modules.items())), versions)

    def _read(self, module: str, path: Path) -> tuple[str, list[str], list[str]]:
        stat = path.stat()
        stamp = [stat.st_size, stat.st_mtime_ns]
        known = self._known.get(str(path))
        if known is not None and known[0] == stamp:
            return known[1], known[2], known[3]
        tree = ast.parse(path.read_text("utf-8"), str(path))
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        imports = sorted(set(_imports(tree, package)))
        mentions = sorted(set(_mentions(tree)))
        digest = digest_text(ast.dump(_without_docstrings(tree)))
        self._known[str(path)] = [stamp, digest, imports, mentions]
        self._changed = True
        return digest, imports, mentions

    def _save(self) -> None:
        if self._changed:
            runs.write_json(self.memory, self._known)
            self._changed = False


@cache
def find_source(module: str) -> Path | None:
    """Return the file of a module, or None where it has none; nothing is imported."""
    top, *rest = module.split(".")
    spec = _top_level(top)
    if spec is None or not rest:
        origin = spec.origin if spec is not None else None
        return Path(origin) if origin and origin.endswith(".py") else None
    for location in spec.submodule_search_locations or ():
        path = Path(location, *rest)
        for candidate in (path.with_name(f"{path.name}.py"), path / "__init__.py"):
            if candidate.is_file():
                return candidate
    return None


@cache
def _top_level(name: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None


@cache
def is_local(top: str) -> bool:
    """Whether a top-level module lies in the project at hand, not among installed libraries."""
    spec = None if top in sys.stdlib_module_names else _top_level(top)
    if spec is None:
        return False
    places = list(spec.submodule_search_locations or ()) or [spec.origin or ""]
    paths = [Path(place) for place in places]
    return any(p.is_relative_to(Path.cwd()) and "site-packages" not in p.parts for p in paths)


@cache
def _version(library: str) -> str | None:
    import importlib.metadata  # pulls in email: 10 ms

    try:
        return importlib.metadata.version(DISTRIBUTIONS.get(library, library))
    except importlib.metadata.PackageNotFoundError:
        return None


def _with_parents(name: str) -> list[str]:
    """``a.b.c`` runs ``a``, ``a.b`` and ``a.b.c``."""
    parts = name.split(".")
    return [".".join(parts[: i + 1]) for i in range(len(parts))]


def _is_type_checking(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    )


def _walk(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk what is executed: imports for type checkers alone are left out."""
    skipped = tree.body if isinstance(tree, ast.If) and _is_type_checking(tree) else []
    for child in ast.iter_child_nodes(tree):
        if child not in skipped:
            yield child
            yield from _walk(child)


def _imports(tree: ast.AST, package: str) -> Iterator[str]:
    for node in _walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: 1 - node.level or None] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            yield base
            # `from package import module` names a module; a function's name finds no source
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _mentions(tree: ast.AST) -> Iterator[str]:
    """Dotted names in tables, ``"esc10": "soundgate.audio.datasets.esc10"``."""
    for node in _walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            name = node.value.partition(":")[0]
            if re.fullmatch(r"[a-z_]\w*(\.[a-z_]\w*)+", name):
                yield name


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if not isinstance(body, list) or not body:
            continue
        kept = [
            item
            for item in body
            if not (isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant))
        ]
        node.body = kept or [ast.Pass()]  # type: ignore[attr-defined]
    return tree
