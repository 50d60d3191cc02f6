"""Text that reaches a container as it stands, past all who replace things in command lines.

Argo replaces ``{{...}}``, KFP's launcher ``{{$...}}`` and words that begin with ``{"Concat":`` or
``{"IfPresent":``, the kubelet ``$(NAME)`` and ``$$``. None of them has a way to quote a word; what
would be replaced is refused, or spelt in another way where the step reads it the same. So is what
no definition can hold: a NUL, bytes that are no UTF-8.
"""

from __future__ import annotations

import json
import re
from typing import Any

REPLACED = re.compile(
    r"""\{\{ | \$\$ | \$\([A-Za-z_][\w.-]*\) | ^\{"(Concat|IfPresent)": | [\0\ud800-\udfff]""",
    re.VERBOSE,
)


class Reference(str):
    """A word, or the part of one, that KFP is to replace."""

    __slots__ = ()

    def __radd__(self, before: str) -> Reference:
        """Keep it one behind a plain text, ``NAME=`` say."""
        return Reference(str.__add__(before, self))


def replaced_part(text: str) -> str | None:
    """Return what of a text would not arrive as it stands, or None."""
    found = REPLACED.search(text)
    return found[0] if found else None


def in_json(text: str) -> str:
    r"""Spell a JSON text so that nothing in it is replaced; it reads the same.

    >>> in_json('["a{{b}}$$"]')
    '["a\\u007b\\u007bb}}\\u0024\\u0024"]'
    """
    text = text.replace("{{", r"\u007b\u007b").replace("$", r"\u0024")
    return re.sub("[\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", text)


def carried_bytes(value: Any) -> int:
    """Return how long something is once KFP's server has written it as JSON, in UTF-8.

    It writes what HTML could mistake (``<``, ``>``, ``&``) and U+2028, U+2029 as escapes.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    escaped = re.findall("[<>&\u2028\u2029]", text)
    return len(text.encode()) + sum(6 - len(each.encode()) for each in escaped)
