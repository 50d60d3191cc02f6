"""What tests of stores do with them: damage an object, compare trees, expect one line."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from soundgate.errors import StoreError
from soundgate.store import (
    object_key,
    s3,
)

if TYPE_CHECKING:
    from pathlib import Path

BUCKET = "soundgate-test"


def overwrite(store, key: str, content: bytes) -> None:
    """Damage an object behind the store's back."""
    if isinstance(store, s3.S3Store):
        recorded = store._client.head_object(**store._at(key))["Metadata"]
        store._client.put_object(**store._at(key), Body=content, Metadata=recorded)
        return
    path = store.root / key
    path.chmod(0o644)
    path.write_bytes(content)


def key_of(content: bytes) -> str:
    return object_key(hashlib.sha256(content).hexdigest())


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def one_line_error(call) -> str:
    with pytest.raises(StoreError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)
