"""Values of a pipeline's parameters: what was given at the start, over the defaults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from definition_runner.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TYPES: dict[str, tuple[type, ...]] = {
    "String": (str,),
    "Integer": (int,),
    "Float": (float, int),
    "Boolean": (bool,),
}


def resolve(definition: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return every parameter's value.

    ``StartPipelineExecution`` sends all values as strings, so those are read by their type.

    Raises:
        Refused: an unknown parameter, none given without a default, a wrong type, not in the enum.
    """
    declared = {p["Name"]: p for p in definition.get("Parameters", [])}
    if unknown := sorted(set(given) - set(declared)):
        raise Refused(f"Parameters {unknown} are not defined in the pipeline")
    values = {}
    for name, parameter in declared.items():
        value = given.get(name, parameter.get("DefaultValue"))
        if value is None:
            raise Refused(f"Parameter {name!r} has no value and no default")
        value = _typed(parameter, value)
        allowed = parameter.get("EnumValues")
        if allowed is not None and value not in allowed:
            raise Refused(f"Parameter {name!r}: {value!r} is none of {allowed}")
        values[name] = value
    return values


def _typed(parameter: Mapping[str, Any], value: Any) -> Any:
    name, kind = parameter["Name"], parameter["Type"]
    wrong = Refused(f"Parameter {name!r}: {value!r} is no {kind}")
    if isinstance(value, str) and kind != "String":
        try:
            value = _READERS[kind](value)
        except ValueError:
            raise wrong from None
    if not isinstance(value, TYPES[kind]) or (isinstance(value, bool) and kind != "Boolean"):
        raise wrong
    return float(value) if isinstance(value, int) and kind == "Float" else value


def _boolean(word: str) -> bool:
    if word not in ("true", "false"):
        raise ValueError(word)
    return word == "true"


_READERS: dict[str, Callable[[str], Any]] = {"Integer": int, "Float": float, "Boolean": _boolean}
