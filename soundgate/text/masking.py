"""Passwords and tokens are never printed or stored: one function masks them wherever text leaves.

Masked are the user's part of an address (``https://user:password@host``), what follows a word that
announces a secret (``token=``, ``--password``, ``Authorization: Bearer``), AWS access keys, and the
values of environment variables whose names say that they are secret, wherever they appear.
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import TextIO

MASK: Final = "***"
SHORTEST_SECRET: Final = 6
"""Characters; a shorter value of a variable would be found in ordinary words."""

_NAMES = r"(?:password|passwd|pwd|secret|token|api[_-]?key|access[_-]?key|auth|credential)"
_USER_INFO = re.compile(r"(?P<kept>\b[a-z][a-z0-9+.-]*://)[^\s/@'\"]+@", re.IGNORECASE)
_VALUE = r"[^\s&\"',;]+"
# An empty SOUNDGATE_TOKEN is followed by the next variable of a script, which is no value.
_ANNOUNCED = re.compile(
    rf"(?P<kept>(?:\b|[_-]){_NAMES}[\"']?\s*(?:=|:)\s*[\"']?)(?!SOUNDGATE_[A-Z]+=){_VALUE}",
    re.IGNORECASE,
)
_FLAG = re.compile(rf"(?P<kept>--?(?:\w+-)*{_NAMES}\s+[\"']?)(?!-){_VALUE}", re.IGNORECASE)
_BEARER = re.compile(r"(?P<kept>\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_AWS_KEY = re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")
_SECRET_VARIABLE = re.compile(rf"(?:^|_){_NAMES}s?(?:$|_ID$)|(?:^|_)KEY$", re.IGNORECASE)


def masked(text: str, environment: Mapping[str, str] | None = None) -> str:
    """Return ``text`` without its secrets.

    >>> masked("registered in https://anna:hunter22@mlflow.lab/ml", {})
    'registered in https://***@mlflow.lab/ml'
    >>> masked("curl --token abcdef https://x?api_key=123&n=1", {})
    'curl --token *** https://x?api_key=***&n=1'

    Args:
        text: anything that is printed or stored.
        environment: variables whose values are looked for; this process's own where omitted.
    """
    for value in _secret_values(os.environ if environment is None else environment):
        text = text.replace(value, MASK)
    text = _USER_INFO.sub(rf"\g<kept>{MASK}@", text)
    text = _BEARER.sub(rf"\g<kept>{MASK}", text)
    text = _FLAG.sub(rf"\g<kept>{MASK}", text)
    text = _ANNOUNCED.sub(rf"\g<kept>{MASK}", text)
    return _AWS_KEY.sub(MASK, text)


def masked_values(value: Any) -> Any:
    """Return a JSON document with the secrets of all its texts masked."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, dict):
        return {name: masked_values(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [masked_values(each) for each in value]
    return value


def _secret_values(environment: Mapping[str, str]) -> list[str]:
    """Return values of variables that are secret by their names, the longest first."""
    found = {
        value
        for name, value in environment.items()
        if len(value) >= SHORTEST_SECRET and _is_secret(name) and "/" not in value
    }
    return sorted(found, key=len, reverse=True)


def _is_secret(name: str) -> bool:
    # what Soundgate tells its own tasks, a cache key for one, is no secret
    own = name.startswith("SOUNDGATE_") and not name.endswith("_SECRET")
    return not own and _SECRET_VARIABLE.search(name) is not None


class MaskedStream:
    """A text stream that masks what is written to it; everything else is the stream's own."""

    def __init__(self, stream: TextIO) -> None:
        """Write to ``stream``."""
        self._stream = stream

    def write(self, text: str) -> int:
        """Write ``text`` without its secrets."""
        self._stream.write(masked(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        """Be the stream in everything else: whether it is a terminal, its encoding."""
        return getattr(self._stream, name)


@contextmanager
def masked_output() -> Iterator[None]:
    """Mask what this program prints, on both of its streams."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = MaskedStream(before[0]), MaskedStream(before[1])
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
