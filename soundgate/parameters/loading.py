"""Collect parameters from everywhere a user may set them, each source over the one before."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from soundgate.bounds import bare, hints
from soundgate.errors import ParameterError, nearest
from soundgate.parameters.assignments import split
from soundgate.parameters.config_file import ConfigFile
from soundgate.parameters.names import named
from soundgate.parameters.table import Parameter, is_group, parameters_of
from soundgate.parameters.user_configs import read_configs
from soundgate.parameters.values import read

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


@dataclass(slots=True)
class Loaded:
    """Values of parameters by name, and what set each of them."""

    kind: type
    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    """``--set``, ``--kwargs``, ``--profile`` or the path of a user config, by parameter."""

    def set(self, name: str, value: Any, origin: str, where: str) -> None:
        """Take a value over what was there.

        Raises:
            ParameterError: there is no such parameter, or the value does not fit it.
        """
        known = parameters_of(self.kind)
        if name not in known:
            raise ParameterError(f"{where}: no such parameter{nearest(name, known)}")
        parameter = known[name]
        if parameter.is_file:
            if not isinstance(value, str) or not value:
                raise ParameterError(f"{where}: expected the path of a YAML file, not {value!r}")
            self.values[name] = ConfigFile(value)
        else:
            self.values[name] = read(where, parameter.hint, value)
        self.origins[name] = origin

    def flattened(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Write the parameters of held groups, which may stand in mappings, as dotted names."""
        return _flattened(self.kind, given)

    def build(self) -> Any:
        """Make the parameter object; what nobody set has its default.

        Raises:
            ParameterError: a parameter without default was not set.
        """
        return _build(self.kind, self, "", None)


def _flattened(kind: type, given: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    held = {name for name, hint in hints(kind).items() if is_group(hint)}
    found: dict[str, Any] = {}
    for name, value in given.items():
        if name in held and isinstance(value, dict):
            found |= _flattened(bare(hints(kind)[name]), value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found


def _build(kind: type, loaded: Loaded, prefix: str, fallback: Any) -> Any:
    """Make one dataclass; ``fallback`` has the defaults of a group that is held."""
    declared, found = hints(kind), {}
    for each in dataclasses.fields(kind):
        if not each.init:
            continue
        name = f"{prefix}{each.name}"
        if is_group(declared[each.name]):
            usual = _default(each, name, fallback, needed=False)
            found[each.name] = _build(bare(declared[each.name]), loaded, f"{name}.", usual)
            continue
        value = loaded.values[name] if name in loaded.values else _default(each, name, fallback)
        found[each.name] = named(value, Parameter(name, None, each, kind).engine_name)
    return kind(**found)


def _default(
    declared: dataclasses.Field[Any], name: str, fallback: Any, *, needed: bool = True
) -> Any:
    if fallback is not None:
        return getattr(fallback, declared.name)
    if declared.default is not dataclasses.MISSING:
        return declared.default
    if declared.default_factory is not dataclasses.MISSING:
        return declared.default_factory()
    if needed:
        raise ParameterError(f"parameter {name} has no default; pass --set {name}=VALUE")
    return None


def load(
    kind: type,
    *,
    config: Path | None = None,
    kwargs: Mapping[str, Any] | None = None,
    assignments: Sequence[str] = (),
    defaults: Mapping[str, Any] | None = None,
) -> Any:
    """Return the parameter object; arguments and errors as for ``resolve``."""
    return resolve(
        kind, config=config, kwargs=kwargs, assignments=assignments, defaults=defaults
    ).build()


def resolve(
    kind: type,
    *,
    config: Path | None = None,
    kwargs: Mapping[str, Any] | None = None,
    assignments: Sequence[str] = (),
    defaults: Mapping[str, Any] | None = None,
) -> Loaded:
    """Collect the values that users and sites set, each source over the one before.

    Args:
        kind: a frozen dataclass.
        defaults: what the site's profile sets; it serves many pipelines, so that names this one
            does not have are passed over.
        config: the first user config; the ``pipeline:`` section of each user config sets
            parameters.
        kwargs: values by parameter name (``--kwargs``).
        assignments: ``name=value``, or ``section.key=value`` for a user config (``--set``).

    Raises:
        ConfigError: a user config is absent or cannot be read.
        ParameterError: an unknown name or a value of the wrong type.
    """
    known = parameters_of(kind)
    files = [name for name, parameter in known.items() if parameter.is_file]
    asked = split(assignments, known)
    if not files and (config is not None or asked.dotted):
        raise ParameterError(f"{kind.__name__} takes no user config")
    loaded = Loaded(kind)
    given = loaded.flattened(kwargs or {})
    for name, value in loaded.flattened(defaults or {}).items():
        if name in known:
            loaded.set(name, value, "--profile", f"--profile: parameters.{name}")
    if files:
        read_configs(loaded, files, config, asked, given)
    for option, values in (("--kwargs", given), ("--set", asked.own)):
        for name, value in values.items():
            if name not in files:
                loaded.set(name, value, option, f"{option} {name}")
    return loaded


def to_json(parameters: Any) -> dict[str, Any]:
    """Return plain JSON values of a parameter object, for ``run.json``."""
    if parameters is None:
        return {}
    found = {}
    for each in dataclasses.fields(parameters):
        value = getattr(parameters, each.name)
        if isinstance(value, ConfigFile):
            value = {"path": str(value.path), "overrides": [list(o) for o in value.overrides]}
        elif dataclasses.is_dataclass(value):
            value = to_json(value)
        found[each.name] = value
    return found
