"""The parameters of a pipeline, read from the dataclass it asks for and from that one's groups."""

from __future__ import annotations

import dataclasses
import inspect
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, get_type_hints

from soundgate.bounds import bare, check_fields, hints
from soundgate.errors import DefinitionError, ParameterError
from soundgate.parameters.config_file import ConfigFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from soundgate.pipeline import Pipeline


@dataclass(frozen=True, kw_only=True)
class Group:
    """A set of parameters that several pipelines share, or all of one pipeline.

    A subclass that checks more calls ``super().__post_init__()`` first, so that groups combine.
    """

    def __post_init__(self) -> None:
        """Refuse values outside the ranges and choices that the fields' types declare.

        Raises:
            ParameterError: names the field.
        """
        check_fields(self)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter, and where it is declared."""

    name: str
    """As a user writes it: ``epochs``, or ``student.epochs`` in a group held as ``student``."""
    hint: Any
    """Its type, with what ``Annotated`` adds."""
    field: dataclasses.Field[Any]
    group: type
    """The class whose body declares it."""

    @property
    def engine_name(self) -> str:
        """Its name at an engine that has parameters of its own; such names have no dot."""
        return self.name.replace(".", "_")

    @property
    def is_file(self) -> bool:
        """Whether it is a user config."""
        return self.hint is ConfigFile


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


@cache
def parameters_of(kind: type) -> dict[str, Parameter]:
    """Return the parameters of a dataclass by name: inherited, its own, and those of held groups.

    Raises:
        DefinitionError: two groups define one name differently, a held group has a user config, or
            two names are one to an engine.
    """
    found: dict[str, Parameter] = {}
    engine: dict[str, str] = {}
    for parameter in _walk(kind, ""):
        other = engine.setdefault(parameter.engine_name, parameter.name)
        if other != parameter.name:
            raise DefinitionError(
                f"{kind.__name__}: {other} and {parameter.name} are both "
                f"{parameter.engine_name!r} to an engine; rename one"
            )
        found[parameter.name] = parameter
    return found


def _walk(kind: type, prefix: str) -> Iterator[Parameter]:
    declared = hints(kind)
    for field in dataclasses.fields(kind):
        if not field.init:
            continue
        hint, group = declared[field.name], declaring(kind, field.name)
        if is_group(hint):
            yield from _walk(bare(hint), f"{prefix}{field.name}.")
            continue
        if prefix and hint is ConfigFile:
            raise DefinitionError(
                f"{kind.__name__}.{field.name}: a group that is held as a field has no user config "
                "of its own; declare it beside the group"
            )
        yield Parameter(f"{prefix}{field.name}", hint, field, group)


def is_group(hint: Any) -> bool:
    """Whether a field of this type holds a group of parameters."""
    plain = bare(hint)
    return isinstance(plain, type) and dataclasses.is_dataclass(plain)


def declaring(kind: type, name: str) -> type:
    """Return the class whose declaration of a field counts.

    Raises:
        DefinitionError: classes that know nothing of one another declare it differently.
    """
    first, *others = [c for c in kind.__mro__ if name in inspect.get_annotations(c)]
    for other in others:
        if not issubclass(first, other) and _declaration(first, name) != _declaration(other, name):
            raise DefinitionError(
                f"{kind.__name__}: {first.__name__} and {other.__name__} define {name!r} "
                f"differently; define it in {kind.__name__} too, or rename one of them"
            )
    return first


def _declaration(group: type, name: str) -> tuple[Any, Any]:
    field: dataclasses.Field[Any] = vars(group)["__dataclass_fields__"][name]
    factory = field.default_factory
    default = field.default if factory is dataclasses.MISSING else factory()
    return hints(group)[name], default
