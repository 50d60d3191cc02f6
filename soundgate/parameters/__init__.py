"""Parameters of a pipeline: default < profile < user config's ``pipeline:`` < --kwargs < --set.

A pipeline asks for its parameters by annotating ``get_pipeline(p: AedParameters)``; the type is a
frozen dataclass with a docstring under every field. It may inherit from group dataclasses, whose
parameters then are its own (``--set store=...``), and hold others as fields, whose parameters have
the field's name in front (``--set student.epochs=...``). Values are checked against the types here,
once: ``soundgate.bounds`` says how a type declares choices and ranges.
"""

from __future__ import annotations

from soundgate.parameters.config_file import SECTION, ConfigFile, dump_yaml
from soundgate.parameters.description import Description, describe, meanings, spelled
from soundgate.parameters.keywords import TEMPLATE_KEYWORDS, parse_keywords
from soundgate.parameters.loading import Loaded, load, resolve, to_json
from soundgate.parameters.names import NamedFloat, NamedInt, NamedStr, named, parameter_of
from soundgate.parameters.table import Group, Parameter, parameter_type, parameters_of

__all__ = [
    "SECTION",
    "TEMPLATE_KEYWORDS",
    "ConfigFile",
    "Description",
    "Group",
    "Loaded",
    "NamedFloat",
    "NamedInt",
    "NamedStr",
    "Parameter",
    "describe",
    "dump_yaml",
    "load",
    "meanings",
    "named",
    "parameter_of",
    "parameter_type",
    "parameters_of",
    "parse_keywords",
    "resolve",
    "spelled",
    "to_json",
]
