"""Object store: a folder or ``s3://bucket/prefix``, with the same guarantees.

- An object is whole or absent, whatever kills the writer.
- An object is created once: the same bytes again are fine, other bytes are refused.
- Every read is checked against the object's SHA-256; damaged bytes never reach their target.
- A data set (a *tree*) is there when its manifest is, and the manifest is written last.

``contract`` states what a store does, ``folder`` and ``s3`` do it, ``trees`` keeps data sets.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from soundgate.errors import ParameterError, nearest
from soundgate.store.contract import Store, object_key
from soundgate.store.trees import bring_tree, get_tree, has_tree, put_tree

__all__ = [
    "Store",
    "bring_tree",
    "get_tree",
    "has_tree",
    "object_key",
    "open_store",
    "put_tree",
]


def open_store(url: str) -> Store:
    """Open the store at a folder's path, a ``file://`` URL or ``s3://bucket/prefix``.

    The S3 endpoint, region and credentials are boto3's own: ``AWS_ENDPOINT_URL_S3``,
    ``AWS_REGION``, the credential chain. Nothing is created or contacted before the first use.

    Raises:
        ParameterError: the URL names no folder or bucket, or has another scheme.
        MissingExtra: ``s3://`` without boto3.
    """
    scheme, separator, _ = url.partition("://")
    if not separator:
        if not url.strip():
            raise ParameterError("the store URL is empty; give a folder or s3://bucket/prefix")
        return _folder(Path(url).expanduser())
    parts = urlsplit(url)
    if scheme == "file":
        if parts.netloc not in {"", "localhost"} or not parts.path:
            raise ParameterError(f"store URL {url!r}: expected file:///absolute/folder")
        return _folder(Path(unquote(parts.path)))
    if scheme == "s3":
        # Not urlsplit: '#', '?' and '%' are ordinary characters of an S3 key.
        bucket, _, prefix = url.removeprefix("s3://").partition("/")
        if not bucket:
            raise ParameterError(f"store URL {url!r}: expected s3://bucket/prefix")
        from soundgate.store.s3 import S3Store

        return S3Store(bucket, prefix.strip("/"))
    hint = nearest(scheme, ["file", "s3"])
    raise ParameterError(f"store URL {url!r}: unknown scheme {scheme!r}{hint}")


def _folder(root: Path) -> Store:
    from soundgate.store.folder import FolderStore

    return FolderStore(root)
