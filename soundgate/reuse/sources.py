"""The source a program is made of, found without importing it.

Two versions of a module that differ in comments, docstrings or layout alone count as the same
program, so that polishing a text does not train a model again. Files that are not Python
(templates, tables, schemas) count whole where they lie in the folder of a module that counts, or in
folders below it that hold no module.

Not seen: modules whose names are computed, files elsewhere that are opened by a path in the code.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import sys
import sysconfig
import time
from dataclasses import astuple, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soundgate import runs
from soundgate.checksums import file_sha256
from soundgate.errors import DefinitionError
from soundgate.reuse.digests import Stamp, digest_text
from soundgate.reuse.libraries import Libraries

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.machinery import ModuleSpec

CODE = (".py", ".pyc", ".pyo", ".so", ".pyd")


@dataclass(frozen=True, slots=True)
class Program:
    """What a program is made of."""

    modules: dict[str, str]
    """First-party modules, and files beside them, with their digests."""
    libraries: dict[str, str]
    """Distributions that those modules import, and what these need, with versions."""
    imported: tuple[str, ...]
    """Top-level names of the libraries that the modules name themselves."""
    files: dict[str, Stamp]
    """Every file that was read, by path."""


class Sources:
    """Reads modules' sources; remembers what it found by the stamp of each file."""

    def __init__(self, memory: Path) -> None:
        """Use ``memory`` (a JSON file) to skip files that have not changed."""
        self.memory = memory
        found = runs.read_json(memory)
        self._known: dict[str, Any] = found if isinstance(found, dict) else {}
        self._changed = False
        self._programs: dict[str, Program] = {}
        self._libraries = Libraries(memory.with_name("libraries.json"))

    def program(self, module: str, *, afresh: bool = False) -> Program:
        """Return everything ``module`` is made of.

        Args:
            module: a step's module.
            afresh: look at every file again; otherwise what was found before counts.

        Raises:
            DefinitionError: the module has no source file.
        """
        if afresh or module not in self._programs:
            self._programs[module] = self._collect(module)
        return self._programs[module]

    def _collect(self, module: str) -> Program:
        if find_source(module) is None:
            raise DefinitionError(f"{module}: no such module; a step is a file in steps/")
        modules: dict[str, str] = {}
        files: dict[str, Stamp] = {}
        libraries: set[str] = set()
        folders: set[Path] = set()
        waiting = _with_parents(module)
        while waiting:
            name = waiting.pop()
            path = find_source(name)
            if name in modules or path is None:
                continue
            digest, imports, mentions = self._read(name, path, files)
            modules[name] = digest
            if path.parent not in folders:
                folders.add(path.parent)
                modules.update(self._data(path.parent, files))
            for found in imports:
                top = found.split(".", maxsplit=1)[0]
                if is_own(top):
                    waiting += _with_parents(found)
                elif top not in sys.stdlib_module_names:
                    libraries.add(top)
            waiting += [m for m in mentions if is_own(m.split(".", maxsplit=1)[0])]
        self._save()
        versions = self._libraries.versions(libraries)
        return Program(dict(sorted(modules.items())), versions, tuple(sorted(libraries)), files)

    def _read(
        self, module: str, path: Path, files: dict[str, Stamp]
    ) -> tuple[str, list[str], list[str]]:
        stamp = files[str(path)] = Stamp.of(path.stat())
        known = self._remembered(path, stamp)
        if known is not None and len(known) == 3:
            return known[0], known[1], known[2]
        tree = ast.parse(path.read_text("utf-8"), str(path))
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        imports = sorted(set(_imports(tree, package)))
        mentions = sorted(set(_mentions(tree)))
        digest = digest_text(ast.dump(_without_docstrings(tree)))
        self._remember(path, stamp, [digest, imports, mentions])
        return digest, imports, mentions

    def _data(self, folder: Path, files: dict[str, Stamp]) -> dict[str, str]:
        """Digest the files beside a module that are not Python; a project's root holds none."""
        found: dict[str, str] = {}
        if folder == Path.cwd():
            return found
        for path, status in _data_files(folder):
            stamp = files[str(path)] = Stamp.of(status)
            known = self._remembered(path, stamp)
            if known is None:
                known = [file_sha256(path)]
                self._remember(path, stamp, known)
            found[_shown(path)] = known[0]
        return found

    def _remembered(self, path: Path, stamp: Stamp) -> list[Any] | None:
        known = self._known.get(str(path))
        if not isinstance(known, list) or len(known) < 3 or known[0] != list(astuple(stamp)):
            return None
        # one written just before it was read may have been written again within the clock's tick
        return known[2:] if stamp.tells(known[1]) else None

    def _remember(self, path: Path, stamp: Stamp, found: list[Any]) -> None:
        self._known[str(path)] = [list(astuple(stamp)), time.time_ns(), *found]
        self._changed = True

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
def is_own(top: str) -> bool:
    """Whether a top-level module counts by its source: neither Python's own nor installed.

    So do modules on ``PYTHONPATH`` and editable installs, which have no version that changes with
    them.
    """
    spec = None if top in sys.stdlib_module_names else _top_level(top)
    if spec is None:
        return False
    if top == __name__.partition(".")[0]:
        return True
    origins = list(spec.submodule_search_locations or ()) or [spec.origin or ""]
    installed = {Path(sysconfig.get_path(name)) for name in ("purelib", "platlib")}
    return not any(
        path.is_relative_to(place) or "dist-packages" in path.parts or "site-packages" in path.parts
        for path in map(Path, origins)
        for place in installed
    )


def _data_files(folder: Path) -> list[tuple[Path, os.stat_result]]:
    """Return what is not Python in a folder and in those below it that hold no module."""
    found: list[tuple[Path, os.stat_result]] = []
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda each: each.name):
            hidden = entry.name.startswith((".", "__pycache__"))
            if hidden or entry.name.endswith(CODE):
                continue
            if entry.is_file():
                found.append((Path(entry.path), entry.stat()))
            elif entry.is_dir() and not any(Path(entry.path).glob("*.py")):
                found += _data_files(Path(entry.path))
    return found


def _shown(path: Path) -> str:
    """Name a file as a person finds it: below the project's folder where it lies there."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


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
