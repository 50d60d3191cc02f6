"""A user config: a YAML file of values, and what a command line overrides in it."""

from __future__ import annotations

import copy
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soundgate.errors import ConfigError
from soundgate.task import File

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SECTION = "pipeline"
"""Section of a user config that sets pipeline parameters."""


class ConfigFile:
    """A user config: where it lies, and its values with overrides applied.

    Reading is put off until a value is asked for, so that declaring a pipeline reads nothing.
    """

    def __init__(
        self,
        path: str | Path,
        overrides: Sequence[tuple[str, Any]] = (),
        *,
        must_exist: bool = True,
    ) -> None:
        """Name a file; ``overrides`` are (dotted key, value)."""
        self.path = Path(path)
        self.overrides = tuple(overrides)
        self.must_exist = must_exist

    def __repr__(self) -> str:
        """Show the path and what overrides it."""
        return f"ConfigFile({str(self.path)!r}, {list(self.overrides)!r})"

    def overridden(self, overrides: Sequence[tuple[str, Any]]) -> ConfigFile:
        """Return the same file with other overrides; what was read of it is not read again."""
        copied = ConfigFile(self.path, overrides, must_exist=self.must_exist)
        copied.__dict__["written"] = self.written
        return copied

    @cached_property
    def written(self) -> dict[str, Any]:
        """The parsed document as it stands in the file; empty where it need not exist.

        Raises:
            ConfigError: the file is absent, is not YAML, or is not a mapping.
        """
        return self._read()

    @cached_property
    def document(self) -> dict[str, Any]:
        """The whole parsed document, overrides applied.

        Raises:
            ConfigError: as ``written``; or an override is below a value that has no fields.
        """
        return self.overriding(self.written)

    def overriding(self, sections: Mapping[str, Any]) -> dict[str, Any]:
        """Return a copy of ``sections`` with the overrides applied.

        Raises:
            ConfigError: an override is below a value that has no fields.
        """
        values: dict[str, Any] = copy.deepcopy(dict(sections))
        for dotted, value in self.overrides:
            section = values
            *parents, last = dotted.split(".")
            for parent in parents:
                if section.get(parent) is None:  # absent, or a heading with nothing below it
                    section[parent] = {}
                section = section[parent]
                if not isinstance(section, dict):
                    raise ConfigError(f"--set {dotted}: {parent!r} in {self.path} has no fields")
            section[last] = value
        return values

    def _read(self) -> dict[str, Any]:
        from soundgate.text import yaml as yaml_text

        try:
            text = self.path.read_text("utf-8")
        except FileNotFoundError:
            if self.must_exist:
                raise ConfigError(f"{self.path}: no such user config") from None
            return {}
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{self.path}: cannot be read ({error})") from error
        try:
            values = yaml_text.load(text)
        except ValueError as error:
            raise ConfigError(f"{self.path}: not YAML: {error}") from error
        if values is None:
            return {}
        if not isinstance(values, dict):
            raise ConfigError(f"{self.path}: a user config is a mapping of sections")
        return values

    @property
    def values(self) -> dict[str, Any]:
        """Every section a step may read: the document without ``pipeline:``."""
        return {name: value for name, value in self.document.items() if name != SECTION}

    def adopt(self, values: Mapping[str, Any]) -> None:
        """Take the values in the spelling that steps read, once they have been checked."""
        section = self.document.get(SECTION)
        kept = {} if section is None else {SECTION: section}
        self.document = {**values, **kept}

    def get(self, dotted: str, default: Any = None) -> Any:
        """Return one value by its dotted key, or ``default``."""
        section: Any = self.document
        for part in dotted.split("."):
            if not isinstance(section, dict) or section.get(part) is None:
                return default
            section = section[part]
        return section

    def only(self, *sections: str) -> File:
        """Return an artifact of these sections alone.

        A step that is handed only what it reads is run anew only when that changes.
        """
        kept = {name: self.values[name] for name in sections if name in self.values}
        return File("user_config.yaml", self.path, dump_yaml(kept))


def dump_yaml(values: Mapping[str, Any]) -> str:
    """Return YAML with keys in the order given."""
    import yaml

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = yaml.dump(dict(values), Dumper=dumper, sort_keys=False, allow_unicode=True)
    return text
