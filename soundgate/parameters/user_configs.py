"""The user configs of a pipeline: which files they are, what they set, what overrides them.

Most pipelines have one, given with ``--config``. Where there are several, ``--config`` is the first
that the dataclass declares; the others have defaults, and are set like any parameter, in the
``pipeline:`` section of the first, too.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soundgate.errors import ConfigError, ParameterError
from soundgate.parameters.assignments import Assignments, check_groups, route
from soundgate.parameters.config_file import SECTION, ConfigFile
from soundgate.parameters.table import parameters_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from soundgate.parameters.loading import Loaded

OWNS = "sections"
"""Metadata of a user config's field: the sections that are its own, present in the file or not."""


def read_configs(
    loaded: Loaded,
    files: Sequence[str],
    config: Path | None,
    asked: Assignments,
    kwargs: Mapping[str, Any],
) -> None:
    """Read every user config, and take the parameters that their ``pipeline:`` sections set.

    Args:
        loaded: values so far; is added to.
        files: parameters that are user configs, in the order of their declaration.
        config: path of the first (``--config``).
        asked: the ``--set`` options.
        kwargs: the ``--kwargs``, by parameter.

    Raises:
        ConfigError: a file is absent or cannot be read, or two set one parameter.
        ParameterError: a parameter that one sets is unknown or wrong.
    """
    first, *others = files
    for option, names in (("--set", asked.own), ("--kwargs", kwargs)):
        if first in names:
            raise ParameterError(f"{option} {first}: give it with --config FILE")
    file = ConfigFile(config) if config else _usual(loaded, first)
    _take_section(loaded, file.overridden(_of_parameters(asked, first)), others)
    loaded.values[first] = file
    for name in others:
        for option, given in (("--kwargs", kwargs), ("--set", asked.own)):
            if name in given:
                loaded.set(name, given[name], option, f"{option} {name}")
        loaded.values.setdefault(name, _usual(loaded, name))
        _take_section(loaded, loaded.values[name], ())
    if config:
        loaded.origins[first] = "--config"
    _override(loaded, files, asked)


def _override(loaded: Loaded, files: Sequence[str], asked: Assignments) -> None:
    """Give each key of the ``--set`` options to the file that it belongs to."""
    sections = {name: _sections(loaded, name) for name in files}
    check_groups(asked, sections)
    for name, overrides in route(asked.dotted, sections).items():
        loaded.values[name] = loaded.values[name].overridden(overrides)


def _usual(loaded: Loaded, name: str) -> ConfigFile:
    """Return the file that the declaration names; one that may be absent where it names none."""
    field = parameters_of(loaded.kind)[name].field
    if isinstance(field.default, ConfigFile):
        return field.default
    if field.default_factory is not dataclasses.MISSING:
        made: ConfigFile = field.default_factory()
        return made
    return ConfigFile(Path(), must_exist=False)


def _of_parameters(asked: Assignments, first: str) -> list[tuple[str, Any]]:
    """Overrides of the first user config's own ``pipeline:`` section."""
    pairs = [(name.removeprefix(f"{first}."), value) for name, value in asked.dotted]
    return [(name, value) for name, value in pairs if name.startswith(f"{SECTION}.")]


def _sections(loaded: Loaded, name: str) -> set[str]:
    declared = parameters_of(loaded.kind)[name].field.metadata.get(OWNS, ())
    return {*declared, *loaded.values[name].written}


def _take_section(loaded: Loaded, file: ConfigFile, others: Sequence[str]) -> None:
    """Set what a file's ``pipeline:`` section names; ``others`` are the files it may name."""
    section, origin = file.document.get(SECTION) or {}, str(file.path)
    if not isinstance(section, dict):
        raise ConfigError(f"{origin}: {SECTION}: expected parameters by name, not {section!r}")
    for name, value in loaded.flattened(section).items():
        where = f"{origin}: {SECTION}.{name}"
        before = loaded.origins.get(name, "")
        if before.endswith((".yaml", ".yml")) and before != origin:
            raise ConfigError(f"{where}: {before} sets it too; keep one of them")
        known = parameters_of(loaded.kind).get(name)
        if known is not None and known.is_file and name not in others:
            raise ParameterError(f"{where}: give it with --config, or with --set {name}=FILE")
        loaded.set(name, value, origin, where)
