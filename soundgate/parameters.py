"""Parameters of a pipeline: default < profile < user config's ``pipeline:`` < --kwargs < --set.

A pipeline asks for its parameters by annotating ``get_pipeline(p: AedParameters)``; the type is a
frozen dataclass with a docstring under every field. Values are checked against the types here,
once. A value handed straight on to a step keeps its parameter's name, so that an executor whose
engine has parameters (SageMaker, Kubeflow) can leave it open until the start of an execution.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

from soundgate.arguments import SCALARS, parse_scalar, spell
from soundgate.errors import ConfigError, ParameterError, nearest
from soundgate.task import File

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from soundgate.pipeline import Pipeline

SECTION = "pipeline"
"""Section of a user config that sets pipeline parameters."""

TEMPLATE_KEYWORDS = (
    "base_job_prefix",
    "default_bucket",
    "model_package_group_name",
    "pipeline_name",
    "region",
    "role",
    "sagemaker_project_arn",
    "sagemaker_project_id",
    "sagemaker_project_name",
    "usecase_name",
)
"""What SageMaker's project templates pass in --kwargs: for the executor, not for a pipeline."""


class NamedInt(int):
    """An int that knows which parameter it is; arithmetic gives a plain int."""

    parameter: str


class NamedFloat(float):
    """A float that knows which parameter it is; arithmetic gives a plain float."""

    parameter: str


class NamedStr(str):
    """A str that knows which parameter it is; anything made of it is a plain str."""

    __slots__ = ("parameter",)
    parameter: str


def named(value: Any, parameter: str) -> Any:
    """Return ``value`` carrying its parameter's name; bools and lists are returned as they are."""
    for plain, carrier in ((str, NamedStr), (int, NamedInt), (float, NamedFloat)):
        if type(value) is plain:
            tagged = carrier(value)
            tagged.parameter = parameter
            return tagged
    return value


def parameter_of(value: Any) -> str | None:
    """Return the parameter a task's argument was handed straight from, or None."""
    return getattr(value, "parameter", None)


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

    @cached_property
    def document(self) -> dict[str, Any]:
        """The whole parsed document, overrides applied.

        Raises:
            ConfigError: the file is absent, is not YAML, or is not a mapping.
        """
        values = self._read()
        for dotted, value in self.overrides:
            place = values
            *parents, last = dotted.split(".")
            for parent in parents:
                if place.get(parent) is None:  # absent, or a heading with nothing below it
                    place[parent] = {}
                place = place[parent]
                if not isinstance(place, dict):
                    raise ConfigError(f"--set {dotted}: {parent!r} in {self.path} has no fields")
            place[last] = value
        return values

    def _read(self) -> dict[str, Any]:
        import yaml

        try:
            text = self.path.read_text("utf-8")
        except FileNotFoundError:
            if self.must_exist:
                raise ConfigError(f"{self.path}: no such user config") from None
            return {}
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{self.path}: cannot be read ({error})") from error
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        try:
            values = yaml.load(text, loader)  # noqa: S506 - a safe loader, the C one where built
        except yaml.YAMLError as error:
            raise ConfigError(f"{self.path}: not YAML: {' '.join(str(error).split())}") from error
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
        place: Any = self.document
        for part in dotted.split("."):
            if not isinstance(place, dict) or place.get(part) is None:
                return default
            place = place[part]
        return place

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


def parameter_type(get_pipeline: Callable[..., Pipeline]) -> type | None:
    """Return the dataclass a ``get_pipeline`` asks for; None where it takes nothing."""
    names = list(inspect.signature(get_pipeline).parameters)
    if not names:
        return None
    kind = get_type_hints(get_pipeline).get(names[0])
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        raise ParameterError(
            f"{get_pipeline.__module__}.get_pipeline: its argument must be annotated with the "
            "dataclass of its parameters"
        )
    return kind


def load(
    kind: type,
    *,
    config: Path | None = None,
    kwargs: Mapping[str, Any] | None = None,
    assignments: Sequence[str] = (),
    defaults: Mapping[str, Any] | None = None,
) -> Any:
    """Return the parameters, each source over the one before.

    Args:
        kind: a frozen dataclass.
        defaults: what the site's profile sets; it serves many pipelines, so that names this one
            does not have are passed over.
        config: a user config; its ``pipeline:`` section sets parameters.
        kwargs: values by parameter name (``--kwargs``).
        assignments: ``name=value``, or ``section.key=value`` for the user config (``--set``).

    Raises:
        ParameterError: an unknown name or a value of the wrong type.
    """
    hints = get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind) if f.init}
    config_name = next((n for n in fields if hints[n] is ConfigFile), None)
    own, dotted = _split(assignments, fields)
    values: dict[str, Any] = {
        name: _typed(f"--profile: parameters.{name}", name, value, hints, fields)
        for name, value in (defaults or {}).items()
        if name in fields
    }
    if config_name is not None:
        default = fields[config_name].default
        path = config or (default.path if isinstance(default, ConfigFile) else Path())
        file = ConfigFile(path, dotted, must_exist=config is not None)
        section = file.document.get(SECTION) or {}
        if not isinstance(section, dict):
            raise ConfigError(f"{path}: {SECTION}: expected parameters by name, not {section!r}")
        for name, value in section.items():
            values[name] = _typed(f"{path}: {SECTION}.{name}", name, value, hints, fields)
        values[config_name] = file
    elif config is not None or dotted:
        raise ParameterError(f"{kind.__name__} takes no user config")
    for name, value in (kwargs or {}).items():
        values[name] = _typed(f"--kwargs {name}", name, value, hints, fields)
    for name, text in own.items():
        values[name] = _typed(f"--set {name}", name, text, hints, fields)
    found = {name: values[name] if name in values else _default(f) for name, f in fields.items()}
    return kind(**{name: named(value, name) for name, value in found.items()})


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    raise ParameterError(f"parameter {field.name} has no default; pass --set {field.name}=VALUE")


def _split(
    assignments: Sequence[str], fields: Mapping[str, Any]
) -> tuple[dict[str, str], list[tuple[str, Any]]]:
    import yaml

    own: dict[str, str] = {}
    dotted = []
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals or not name:
            raise ParameterError(f"--set {assignment!r}: write it as name=value")
        if "." in name:
            try:
                dotted.append((name, yaml.safe_load(text)))
            except yaml.YAMLError:
                dotted.append((name, text))
        elif name in fields:
            own[name] = text
        else:
            raise ParameterError(f"--set {name}: no such parameter{nearest(name, fields)}")
    return own, dotted


def _typed(where: str, name: str, value: Any, hints: Any, fields: Mapping[str, Any]) -> Any:
    if name not in fields:
        raise ParameterError(f"{where}: no such parameter{nearest(name, fields)}")
    hint = hints[name]
    try:
        if hint in SCALARS:
            return _scalar(hint, value)
        if get_origin(hint) is list:
            item = get_args(hint)[0]
            return [_scalar(item, v) for v in _items(value)]
    except (ValueError, TypeError, json.JSONDecodeError):
        wanted = getattr(hint, "__name__", str(hint))
        raise ParameterError(f"{where}: expected {wanted}, not {value!r}") from None
    raise ParameterError(f"{where}: cannot be set this way; use its own option")


def _scalar(kind: type, value: Any) -> Any:
    if isinstance(value, (list, dict)) or value is None:
        raise TypeError
    return parse_scalar(kind, spell(value))


def _items(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    if isinstance(value, str):
        text = value.strip()
        return list(json.loads(text)) if text.startswith("[") else text.split(",") if text else []
    return [value]


def parse_keywords(text: str | None, option: str) -> Any:
    """Parse ``--kwargs`` or ``--tags``: JSON first, a Python literal second."""
    if not text:
        return None
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        try:
            return ast.literal_eval(text)
        except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
            raise ParameterError(f"{option}: neither JSON nor a Python literal: {text}") from None


def describe(kind: type) -> list[tuple[str, str, str, str]]:
    """Return (name, type, default, meaning) of each parameter, from the dataclass's source."""
    tree = ast.parse(inspect.getsource(kind))
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    rows = []
    for i, node in enumerate(body):
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        after = body[i + 1] if i + 1 < len(body) else None
        text = ""
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            text = " ".join(str(after.value.value).split())
        default = ast.unparse(node.value) if node.value is not None else ""
        rows.append((node.target.id, ast.unparse(node.annotation), default, text))
    return rows


def to_json(parameters: Any) -> dict[str, Any]:
    """Return plain JSON values of a parameter object, for ``run.json``."""
    if parameters is None:
        return {}
    found = {}
    for field in dataclasses.fields(parameters):
        value = getattr(parameters, field.name)
        if isinstance(value, ConfigFile):
            value = {"path": str(value.path), "overrides": [list(o) for o in value.overrides]}
        found[field.name] = value
    return found
