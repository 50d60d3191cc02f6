"""What a class may be called, and which names a reader would take for one another."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_QUOTES: Final = "\"'`\u2018\u2019\u201c\u201d\u00ab\u00bb"
# Joiners shape words of several scripts, so within a name they stay; at its ends they are noise.
_FORMAT: Final = "Cf"
_LINE_BREAKS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def problem(label: str) -> str | None:
    """Why a label cannot be a class name; None where it can.

    A line break would make two lines of one name in ``labels.txt``, an escape sequence acts on the
    terminal that prints it.
    """
    if not bare(label):
        return "is empty: name the class"
    if found := _LINE_BREAKS.search(label):
        return f"contains the control character {found[0]!a}: rename the class"
    return None


def bare(text: str) -> str:
    """The text without blanks and invisible characters at its ends, quotes left as they are."""
    first, last = 0, len(text)
    while first < last and _is_unseen(text[first]):
        first += 1
    while first < last and _is_unseen(text[last - 1]):
        last -= 1
    return text[first:last]


def look(label: str) -> str:
    """Equal for labels that differ only by case, blanks, quotes, invisible characters or NFC/NFD.

    >>> look("Dog") == look(" dog\\u200b") == look('"dog"')
    True
    """
    seen = "".join(char for char in label if unicodedata.category(char) != _FORMAT)
    composed = unicodedata.normalize("NFC", " ".join(seen.split()))
    return unicodedata.normalize("NFC", composed.strip(_QUOTES + " ").casefold()) or label


def is_odd(label: str) -> bool:
    """Whether a label has blanks, quotes or invisible characters that nobody means to be in it."""
    quoted = len(label) > 1 and label[0] in _QUOTES and label[-1] in _QUOTES
    return quoted or bare(label) != label or "  " in label


def _is_unseen(char: str) -> bool:
    return char.isspace() or unicodedata.category(char) == _FORMAT
