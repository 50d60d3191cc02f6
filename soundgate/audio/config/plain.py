"""Read a user config whose keys have one spelling: those of ``tagging`` and of ``spot``.

AED's has several generations of spellings; ``reading`` translates them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from soundgate.audio.config.document import Document
from soundgate.audio.config.explanation import explain

if TYPE_CHECKING:
    from pydantic import JsonValue

Config = TypeVar("Config", bound=BaseModel)

_ELSEWHERE: Final = ("pipeline",)
"""Sections that are read by whoever reads pipeline parameters."""


def parse(text: str, name: str, kind: type[Config]) -> Config:
    """Read a config from its ``text``; ``name`` stands in front of errors.

    Raises:
        ConfigError: one line with file, line, dotted key and the fix.
    """
    document = Document(text, name)
    sections = {key: value for key, value in document.data.items() if key not in _ELSEWHERE}
    try:
        return kind.model_validate(sections)
    except ValidationError as error:
        raise explain(error, document, kind) from None


def sections_given(config: BaseModel) -> dict[str, JsonValue]:
    """The sections of a config as JSON values, without defaults."""
    given: dict[str, Any] = config.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return given
