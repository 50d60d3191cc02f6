"""Which libraries a pipeline's steps need that are not installed, and what installs them.

A step imports its libraries where it uses them, so that a missing one shows only when the step
runs, after everything before it. Here sources are read instead, and nothing is imported. A library
that some module imports in a ``try`` is one that its program can do without; a step that cannot
says so with ``EXTRAS = ("export",)``, names of this project's extras.
"""

from __future__ import annotations

import ast
import importlib.util
import re
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from soundgate.errors import MissingExtra
from soundgate.reuse.libraries import NAME, normalised
from soundgate.reuse.sources import find_source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from soundgate.reuse.sources import Sources

PROJECT = "soundgate"
IMPORT_NAMES = {
    "aws-cdk-lib": "aws_cdk",
    "cfn-lint": "cfnlint",
    "faiss-cpu": "faiss",
    "pillow": "PIL",
    "pyyaml": "yaml",
    "scikit-learn": "sklearn",
    "xgboost-cpu": "xgboost",
}
"""Distribution to import name, where it is not the same with ``_`` for ``-``."""
MOST_NAMES = 5
"""Libraries and steps that an error names; the rest are counted."""


@dataclass(frozen=True, slots=True)
class Missing:
    """What is not installed."""

    steps: tuple[str, ...] = ()
    """Modules of the steps that need it."""
    libraries: tuple[str, ...] = ()
    """Import names."""
    packages: tuple[str, ...] = ()
    """What ``pip install`` is given."""

    def __str__(self) -> str:
        """Say it in one line, with the command that mends it."""
        one = len(self.libraries) == 1
        return (
            f"{_listed(self.libraries)} {'is' if one else 'are'} not installed, and "
            f"{_listed(self.steps)} {'needs' if len(self.steps) == 1 else 'need'} "
            f"{'it' if one else 'them'}: {self.command}"
        )

    @property
    def command(self) -> str:
        """The command that installs it."""
        return f"pip install {' '.join(self.packages)}"


def require(modules: Iterable[str], sources: Sources) -> None:
    """Refuse to start steps whose libraries are not installed.

    Raises:
        MissingExtra: one line that names libraries, steps and the command that installs them.
    """
    missing = find(modules, sources)
    if missing.libraries:
        raise MissingExtra(str(missing))


def find(modules: Iterable[str], sources: Sources) -> Missing:
    """Return what the steps in ``modules`` need and this interpreter does not find."""
    extras = _extras()
    steps: list[str] = []
    libraries: dict[str, str] = {}
    for module in dict.fromkeys(modules):
        program = sources.program(module)
        absent = {name for name in program.imported if not _is_installed(name)}
        needed = {
            name: extra
            for name in sorted(absent)
            if (extra := _needed(name, program.files, extras)) is not None
        }
        for extra in declared_extras(module):
            names = [name for name, of in extras.items() if of == extra]
            needed |= {name: extra for name in names if not _is_installed(name)}
        if needed:
            steps.append(module)
            libraries |= needed
    wanted = sorted({extra for extra in libraries.values() if extra})
    packages = [f"'{PROJECT}[{','.join(wanted)}]'"] if wanted else []
    packages += sorted(name for name, extra in libraries.items() if not extra)
    return Missing(tuple(steps), tuple(sorted(libraries)), tuple(packages))


def declared_extras(module: str) -> tuple[str, ...]:
    """Return the ``EXTRAS`` of a step, read from its source."""
    source = find_source(module)
    tree = ast.parse(source.read_text("utf-8")) if source else ast.Module([], [])
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "EXTRAS":
            return tuple(ast.literal_eval(node.value))
    return ()


def _needed(name: str, files: Iterable[str], extras: Mapping[str, str]) -> str | None:
    """Return the extra that brings a library, "" where none does; None where it can be absent."""
    importers = [path for path in files if _mentions(path, name)]
    if any(_is_guarded(path, name) for path in importers):
        return None
    own = Path(__file__).parents[1]
    foreign = any(not Path(path).is_relative_to(own) for path in importers)
    # what no extra names comes with a library that one does, unless it is a step's own choice
    return extras.get(name, "" if foreign else None)


@cache
def _mentions(path: str, name: str) -> bool:
    if not path.endswith(".py"):
        return False
    pattern = rf"\b(?:import|from)\s+{re.escape(name)}\b"
    return re.search(pattern, Path(path).read_text("utf-8")) is not None


@cache
def _is_guarded(path: str, name: str) -> bool:
    """Whether the library is imported in a ``try`` that goes on, or says so, without it."""
    for node in ast.walk(ast.parse(Path(path).read_text("utf-8"))):
        if isinstance(node, ast.Try) and any(map(_is_about_imports, node.handlers)):
            inside = (found for item in node.body for found in ast.walk(item))
            if any(name in _imported(found) for found in inside):
                return True
    return False


def _is_about_imports(handler: ast.ExceptHandler) -> bool:
    caught = ast.unparse(handler.type) if handler.type else ""
    return "ImportError" in caught or "ModuleNotFoundError" in caught


def _imported(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name.partition(".")[0] for alias in node.names}
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return {node.module.partition(".")[0]}
    return set()


@cache
def _is_installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _extras() -> dict[str, str]:
    """Return the extra of the project that brings a library, by import name.

    A library of several extras is counted to the first, one that is always there to none.
    """
    found: dict[str, str] = {}
    for name, extra in _requirements():
        found.setdefault(IMPORT_NAMES.get(name, name.replace("-", "_")), extra)
    return {name: extra for name, extra in found.items() if extra}


def _requirements() -> Iterator[tuple[str, str]]:
    """Yield (distribution, extra or "") as the project's metadata lists them."""
    try:
        required = metadata.requires(PROJECT) or []
    except metadata.PackageNotFoundError:  # a checkout on the path
        return
    for text in required:
        name = NAME.match(text)
        extra = re.search(r"extra == ['\"]([\w-]+)['\"]", text)
        if name and normalised(name.group()) != PROJECT:
            yield normalised(name.group()), extra.group(1) if extra else ""


def _listed(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:MOST_NAMES])
    rest = len(names) - MOST_NAMES
    return f"{shown} and {rest} more" if rest > 0 else shown
