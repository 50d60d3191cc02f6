"""What a store does, and the rules its keys and digests follow."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import TYPE_CHECKING, BinaryIO, NoReturn, Protocol

from soundgate.checksums import file_sha256
from soundgate.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHUNK_BYTES = 1 << 20
OBJECTS = "objects/sha256"
PRIVATE = ".soundgate"

_OBJECT_KEY = re.compile(rf"{OBJECTS}/([0-9a-f]{{2}})/(\1[0-9a-f]{{62}})")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Store(Protocol):
    """Objects by key; every method may be called from several threads and processes at once.

    A key is a relative POSIX path. Keys ``objects/sha256/ab/<64 hex digits>`` are
    *content-addressed*: the key is the digest of the bytes. Every other key is *named*; the digest
    of its bytes is recorded when it is put.
    """

    @property
    def url(self) -> str:
        """Where the store is, for messages; opens the same store again."""
        ...

    def put(self, key: str, source: Path | bytes) -> None:
        """Create ``key``; does nothing where it is there with the same bytes.

        Raises:
            StoreError: the key holds other bytes, or ``source`` does not match the digest that a
                content-addressed key states, or the store failed.
        """
        ...

    def get(self, key: str, target: Path, sha256: str | None = None) -> None:
        """Write the object to the file ``target``, replacing it, once its digest was checked.

        ``sha256`` is what the caller expects (64 hex digits), checked besides what the store knows.

        Raises:
            StoreError: no such key, damaged bytes (``target`` is untouched), or the store failed.
        """
        ...

    def read(self, key: str) -> bytes:
        """The object's bytes, checked; for small objects. Raises StoreError like ``get``."""
        ...

    def exists(self, key: str) -> bool:
        """Whether ``key`` is there."""
        ...

    def list(self, prefix: str) -> Iterator[str]:
        """Every key that starts with ``prefix``, in the order of their UTF-8 bytes."""
        ...


def object_key(sha256: str) -> str:
    """The content-addressed key of bytes with this digest (64 hex digits)."""
    if not _SHA256.fullmatch(sha256):
        raise StoreError(f"{sha256!r} is not a SHA-256 digest: expected 64 hex digits")
    return f"{OBJECTS}/{sha256[:2]}/{sha256}"


def digest_in(key: str) -> str | None:
    """The digest a content-addressed key states; None for a named key."""
    match = _OBJECT_KEY.fullmatch(key)
    return match[2] if match else None


def check_key(key: str) -> str:
    """Return ``key``, or raise StoreError where it is no relative POSIX path."""
    parts = key.split("/")
    if "" in parts or "." in parts or ".." in parts or parts[0] == PRIVATE:
        raise StoreError(f"{key!r} is not a key: expected a relative path such as 'esc50/a.json'")
    if not is_portable(key):
        raise StoreError(f"{key!r} is not a key: it contains control characters or is not Unicode")
    if key.startswith("objects/") and digest_in(key) is None:
        raise StoreError(
            f"{key!r} is not a key: objects/ contains only {OBJECTS}/ab/<64 hex digits>"
        )
    return key


def is_portable(text: str) -> bool:
    """Whether a name can be a key everywhere: UTF-8, no control character."""
    return not any(unicodedata.category(letter) in {"Cc", "Cs"} for letter in text)


def copy_hashed(source: BinaryIO, target: BinaryIO | None) -> str:
    """Copy ``source`` to ``target`` (None: only read) in chunks; returns the SHA-256 of it."""
    digest = hashlib.sha256()
    while chunk := source.read(CHUNK_BYTES):
        digest.update(chunk)
        if target is not None:
            target.write(chunk)
    return digest.hexdigest()


def source_sha256(source: Path | bytes) -> str:
    """SHA-256 of what is about to be put."""
    return hashlib.sha256(source).hexdigest() if isinstance(source, bytes) else file_sha256(source)


def refuse_other_content(url: str, key: str, held: str | None, offered: str) -> NoReturn:
    """Raise the StoreError for a key that is there with other bytes."""
    raise StoreError(
        f"{url}: {key!r} exists with different content (stored {held}, offered {offered}); "
        "objects are never overwritten; use another name"
    )


def check_digest(url: str, key: str, expected: str | None, found: str) -> None:
    """Raise StoreError unless ``found`` is what was expected (None: nothing is known)."""
    if expected is not None and expected != found:
        raise StoreError(
            f"{url}: {key!r} is damaged: expected sha256 {expected}, found {found}; "
            "remove the object and upload it again"
        )


def check_source(key: str, found: str) -> None:
    """Raise StoreError where a content-addressed key is given other bytes than its digest's."""
    stated = digest_in(key)
    if stated is not None and stated != found:
        raise StoreError(
            f"{key!r} received bytes with sha256 {found}; the source changed meanwhile, or "
            "the key is wrong: try again"
        )
