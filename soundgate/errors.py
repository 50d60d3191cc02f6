"""Every error Soundgate raises on purpose.

    SoundgateError              exit 1
    ├── UserError               exit 2: one line, what was expected, the nearest right word
    │   ├── DefinitionError     a pipeline or a step is declared wrongly
    │   ├── ParameterError      a parameter or a command-line value is wrong
    │   ├── ConfigError         a user config (YAML) is wrong
    │   ├── DataError           a clip, a manifest or a data set is wrong
    │   └── MissingExtra        an optional library is not installed
    ├── StoreError              the object store failed or holds damaged bytes
    ├── RegistryError           the model registry failed
    ├── ExecutorError           an engine refused or failed
    ├── NetworkTried            a task tried the network on a node that has none
    ├── GateMissed              a quality gate was not cleared
    ├── Stopped                 exit 75: a signal asked to stop; a checkpoint was kept
    └── TaskFailed              a task of a run failed; carries its log's last lines

Anything else that escapes is a bug and keeps its traceback.
"""

from __future__ import annotations

import difflib
import errno
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class SoundgateError(Exception):
    """An expected failure; the text is one line for the person who reads it.

    Names of files and classes are part of it, and may hold line breaks and what steers a terminal.
    """

    exit_code = 1

    def __str__(self) -> str:
        """The text, as :func:`printable` gives it."""
        return printable(super().__str__())


def printable(text: str) -> str:
    r"""A text in one line that no terminal obeys, whatever the names in it hold.

    >>> printable("a\nb\x1b[2J")
    'a\\nb\\x1b[2J'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class UserError(SoundgateError):
    """Something the user wrote is wrong; the text says what to change."""

    exit_code = 2


class DefinitionError(UserError):
    """A pipeline or a step is declared wrongly."""


class ParameterError(UserError):
    """A parameter or a command-line value is wrong."""


class ConfigError(UserError):
    """A user config is wrong; the text names file, field and fix."""


class DataError(UserError):
    """A clip, a manifest or a data set is wrong; the text names the file."""


class MissingExtra(UserError):
    """An optional library is not installed; the text gives the command that installs it."""


class StoreError(SoundgateError):
    """The object store failed, or its bytes do not match their digest."""


class RegistryError(SoundgateError):
    """The model registry refused or failed."""


class ExecutorError(SoundgateError):
    """An engine refused what was sent to it, or does not answer."""

    @property
    def may_pass(self) -> bool:
        """Whether the engine is silent or busy, so that asking it later may help."""
        return False


class NetworkTried(SoundgateError):
    """A task tried the network where there is none."""


class GateMissed(SoundgateError):
    """A quality gate was not cleared, or could not be judged."""


class Stopped(SoundgateError):
    """A signal asked the step to stop; what it had is in its checkpoint (``EX_TEMPFAIL``)."""

    exit_code = 75


class TaskFailed(SoundgateError):
    """A task of a run failed."""


_PLACE_ERRORS = {
    errno.ENOSPC: "free space or choose another folder",
    errno.EDQUOT: "free quota or choose another folder",
    errno.EROFS: "choose a folder that may be written",
    errno.EACCES: "make it accessible or choose another folder",
    errno.EPERM: "make it accessible or choose another folder",
    errno.ENOTDIR: "a file stands where a folder should: choose another folder",
    errno.EISDIR: "name a file in it",
    errno.ENAMETOOLONG: "shorten the path",
    errno.EFBIG: "raise the limit on file sizes (ulimit -f) or choose another folder",
}


def about_place(error: BaseException) -> str | None:
    """One line for an ``OSError`` that the user can mend (disk full, no right); None for others."""
    if not isinstance(error, OSError) or error.errno not in _PLACE_ERRORS:
        return None
    where = f"{error.filename}: " if error.filename else ""
    return printable(f"{where}{error.strerror}: {_PLACE_ERRORS[error.errno]}")


def unreadable(path: object, error: OSError, kind: type[UserError] = DataError) -> UserError:
    """What to raise for a file that the system does not hand out: missing, or without a right."""
    return kind(f"{path}: cannot be read: {error.strerror}")


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint to append to an error: the closest known word, or all of them.

    >>> nearest("epoch", ["epochs", "seed"])
    "; did you mean 'epochs'?"
    >>> nearest("x", ["epochs", "seed"])
    '; known: epochs, seed'
    """
    words = list(known)
    close = difflib.get_close_matches(word, words, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known: {', '.join(words)}" if words else ""
