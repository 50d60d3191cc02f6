"""Text that reaches a container as it stands, past all who replace things in command lines.

Argo replaces ``{{...}}``, KFP's launcher ``{{$...}}`` and words that begin with ``{"Concat":`` or
``{"IfPresent":``, the kubelet ``$(NAME)`` and ``$$``. None of them has a way to quote a word; what
would be replaced is refused, or spelt in another way where the step reads it the same.
"""

from __future__ import annotations

import re

REPLACED = re.compile(
    r"""\{\{ | \$\$ | \$\([A-Za-z_][\w.-]*\) | ^\{"(Concat|IfPresent)":""", re.VERBOSE
)


class Reference(str):
    """A word, or the part of one, that KFP is to replace."""

    __slots__ = ()


def replaced_part(text: str) -> str | None:
    """Return what of a text would not arrive as it stands, or None."""
    found = REPLACED.search(text)
    return found[0] if found else None


def in_json(text: str) -> str:
    r"""Spell a JSON text so that nothing in it is replaced; it reads the same.

    >>> in_json('["a{{b}}$$"]')
    '["a\\u007b\\u007bb}}\\u0024\\u0024"]'
    """
    return text.replace("{{", r"\u007b\u007b").replace("$", r"\u0024")
