"""What every section of a user config has in common."""

from __future__ import annotations

import functools
import types
import typing
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError


class Section(BaseModel):
    """A section of the YAML: unknown keys are errors, values never change after reading.

    An empty value (``key:``) stands for the default, and the word ``None`` is read as null, because
    STM32 model zoo files write it so.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        populate_by_name=True,
        protected_namespaces=(),
        allow_inf_nan=False,
    )

    @model_validator(mode="before")
    @classmethod
    def _empty_means_default(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        nullable = _nullable(cls)
        values = {key: None if value == "None" else value for key, value in data.items()}
        return {
            key: value
            for key, value in values.items()
            if value is not None or key in nullable or key not in spellings(cls)
        }

    @field_validator("*", mode="before")
    @classmethod
    def _boolean_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, bool) and info.field_name in _numbers(cls):
            raise PydanticCustomError("number", "expected a number, got true or false")
        return value


def spellings(section: type[BaseModel]) -> frozenset[str]:
    """Every key ``section`` knows: the names that users write and the attribute names."""
    fields = section.model_fields
    return frozenset(fields) | {field.alias for field in fields.values() if field.alias}


@functools.cache
def _nullable(section: type[BaseModel]) -> frozenset[str]:
    names = {
        key
        for name, field in section.model_fields.items()
        for key in (name, field.alias)
        if key and type(None) in _members(field.annotation)
    }
    return frozenset(names)


@functools.cache
def _numbers(section: type[BaseModel]) -> frozenset[str]:
    return frozenset(
        name
        for name, field in section.model_fields.items()
        if {int, float} & (kinds := set(_members(field.annotation))) and bool not in kinds
    )


def _members(annotation: Any) -> tuple[Any, ...]:
    if typing.get_origin(annotation) in {typing.Union, types.UnionType}:
        return typing.get_args(annotation)
    return (annotation,)
