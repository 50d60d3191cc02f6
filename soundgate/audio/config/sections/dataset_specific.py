"""The section ``dataset_specific``, made of the options of the data sets that have some."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar, get_type_hints

from pydantic import Field, create_model

from soundgate.audio import datasets
from soundgate.audio.config.sections.section import Section
from soundgate.audio.datasets.base import rules


class DatasetSection(Section):
    """The section of one data set, made of its options."""

    options: ClassVar[type]
    """The options dataclass, which documents the keys."""


def _section(options: type) -> type[DatasetSection]:
    """Make the section of a data set; what other sections say is not among its keys."""
    kinds = get_type_hints(options)
    fields: dict[str, Any] = {}
    for each in dataclasses.fields(options):
        rule = rules(options)[each.name]
        if not rule.key:
            number = kinds[each.name] in {int, float}
            low, high = (rule.low, rule.high) if number else (None, None)
            fields[each.name] = (kinds[each.name], Field(default=each.default, ge=low, le=high))
    section = create_model(options.__name__, __base__=DatasetSection, **fields)
    section.options = options
    return section


def _sections() -> dict[str, Any]:
    found = {key: _section(options) for key, options in datasets.sections().items()}
    return {key: (section, section()) for key, section in found.items()}


if TYPE_CHECKING:

    class DatasetSpecific(Section):
        """Values that only one data set needs: a section for each that has options."""

else:  # made of the data sets' own options, so that a data set stands in one place
    DatasetSpecific = create_model(
        "DatasetSpecific", __base__=Section, __module__=__name__, **_sections()
    )
