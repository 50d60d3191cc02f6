"""The digest of a file."""

from __future__ import annotations

import pytest

from soundgate.audio.files.digests import sha256_of
from soundgate.errors import DataError


def test_the_digest_is_the_one_of_sha256sum(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")  # FIPS 180-4, first example
    found = sha256_of(tmp_path / "a")
    assert found == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(DataError) as caught:
        sha256_of(tmp_path / "a")
    assert str(caught.value) == f"{tmp_path / 'a'}: cannot be read: No such file or directory"
