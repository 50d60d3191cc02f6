"""A store in an S3 bucket, on AWS or any server that honours conditional PUT.

Named keys are created by one ``PUT`` with ``If-None-Match: *``: of several writers one wins. Their
digest is kept as object metadata (``sha256``).

Content-addressed keys larger than one part go up in parts, completed with ``If-None-Match: *`` too.
Some servers ignore it there (Ceph RGW, for one): harmless, because the digest is taken of the very
bytes sent and compared with the key before the upload is completed, so that whoever completes it a
second time writes the same bytes. That is why named keys never go up in parts.
"""

from __future__ import annotations

import hashlib
import os
import threading
import weakref
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from soundgate.checksums import file_sha256
from soundgate.errors import MissingExtra, StoreError
from soundgate.store.contract import (
    CHUNK_BYTES,
    check_digest,
    check_key,
    check_source,
    copy_hashed,
    digest_in,
    refuse_other_content,
    source_sha256,
)
from soundgate.store.parallel import in_parallel
from soundgate.store.s3_errors import is_missing, is_there_already, one_line
from soundgate.store.scratch import part_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

T = TypeVar("T")

PART_BYTES = 8 << 20
MOST_PARTS = 10_000  # of one upload, S3's limit
SINGLE_PUT_BYTES = 5 << 30  # S3's limit
# Of large objects, at once: 2 objects, 4 connections and 8 parts each, so 128 MiB in memory.
LARGE, CONNECTIONS, AHEAD = 2, 4, 8
ATTEMPTS = 4  # of each request, for errors that may pass
ABANDONED = timedelta(days=1)


class S3Store:
    """The store below ``prefix`` of a bucket; see ``contract.Store`` for what methods promise."""

    def __init__(self, bucket: str, prefix: str = "", *, region: str = "") -> None:
        """Make the client; nothing is sent yet.

        Args:
            bucket: the bucket.
            prefix: what keys begin with in it.
            region: where it is asked for; empty: the environment's region.

        Raises:
            MissingExtra: boto3 is not installed.
        """
        self.bucket = bucket
        self.prefix = prefix
        self._client = _client(region)
        self._close = weakref.finalize(self, self._client.close)
        self._large = threading.BoundedSemaphore(LARGE)
        self._bucket_seen = False

    @property
    def url(self) -> str:
        """``s3://bucket/prefix``."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def put(self, key: str, source: Path | bytes) -> None:
        """Create ``key``; see ``contract.Store.put``."""
        check_key(key)
        size = len(source) if isinstance(source, bytes) else _size(self.url, key, source)
        with one_line(self, key):
            if digest_in(key) and not isinstance(source, bytes) and size > PART_BYTES:
                with self._large:
                    self._put_parts(key, source, size)
            else:
                self._put_whole(key, source, size)

    def get(self, key: str, target: Path, sha256: str | None = None) -> None:
        """Write the object to ``target``; see ``contract.Store.get``."""
        part = part_of(target)

        def save(answer: dict[str, Any]) -> tuple[str | None, str]:
            size = int(answer["ContentLength"])
            with part.open("wb") as stream:
                if size <= 2 * PART_BYTES:
                    return _recorded(key, answer), copy_hashed(answer["Body"], stream)
                answer["Body"].close()
                with self._large:
                    self._get_parts(key, stream.fileno(), size)
            return _recorded(key, answer), file_sha256(part)

        try:
            with one_line(self, key):
                recorded, found = self._download(key, save)
            check_digest(self.url, key, recorded, found)
            check_digest(self.url, key, sha256, found)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)

    def read(self, key: str) -> bytes:
        """The object's bytes; see ``contract.Store.read``."""

        def whole(answer: dict[str, Any]) -> tuple[str | None, bytes]:
            return _recorded(key, answer), answer["Body"].read()

        with one_line(self, key):
            recorded, content = self._download(key, whole)
        check_digest(self.url, key, recorded, source_sha256(content))
        return content

    def exists(self, key: str) -> bool:
        """Whether ``key`` is there."""
        return self._head(key) is not None

    def list(self, prefix: str) -> Iterator[str]:
        """Every key that starts with ``prefix``, in the order of their UTF-8 bytes."""
        above = f"{self.prefix}/" if self.prefix else ""
        pages = self._client.get_paginator("list_objects_v2")
        with one_line(self, prefix):
            for page in pages.paginate(Bucket=self.bucket, Prefix=above + prefix):
                for entry in page.get("Contents", []):
                    yield entry["Key"].removeprefix(above)

    def close(self) -> None:
        """Close the connections; they are closed with the last reference too."""
        self._close()

    def _at(self, key: str) -> dict[str, str]:
        name = f"{self.prefix}/{check_key(key)}" if self.prefix else check_key(key)
        return {"Bucket": self.bucket, "Key": name}

    def _head(self, key: str) -> dict[str, Any] | None:
        with one_line(self, key):
            try:
                answer: dict[str, Any] = self._client.head_object(**self._at(key))
            except Exception as error:
                if not is_missing(error):
                    raise
            else:
                return answer
            if not self._bucket_seen:  # HEAD says 404 for a missing bucket too
                self._client.list_objects_v2(Bucket=self.bucket, MaxKeys=1)
                self._bucket_seen = True
        return None

    def _put_whole(self, key: str, source: Path | bytes, size: int) -> None:
        """Send one conditional PUT."""
        if size > SINGLE_PUT_BYTES:
            raise StoreError(
                f"{self.url}: {key!r} has {size} bytes; a named object has at most "
                f"{SINGLE_PUT_BYTES}, store it under its digest (objects/sha256/...)"
            )
        if size <= PART_BYTES and not isinstance(source, bytes):
            source = source.read_bytes()  # hashed and sent from the same memory
        digest = source_sha256(source)
        check_source(key, digest)
        metadata = {} if digest_in(key) else {"sha256": digest}
        target = {**self._at(key), "Metadata": metadata, "IfNoneMatch": "*"}
        try:
            if isinstance(source, bytes):
                self._client.put_object(**target, Body=source)
            else:
                with source.open("rb") as stream:
                    self._client.put_object(**target, Body=stream)
        except Exception as error:
            if not is_there_already(error):
                raise
            self._compare(key, digest)

    def _compare(self, key: str, digest: str) -> None:
        """See that a key that is there holds the bytes offered."""
        head = self._head(key)
        held = _recorded(key, head) if head else None
        if held is None:  # put by another program: its bytes tell
            held = source_sha256(self.read(key))
        if held != digest:
            refuse_other_content(self.url, key, held, digest)

    def _put_parts(self, key: str, source: Path, size: int) -> None:
        """Send a content-addressed object in parallel parts; completed only if the digest fits."""
        if self._head(key) is not None:
            return
        self._abort_abandoned(key)
        at = self._at(key)
        upload = {**at, "UploadId": self._client.create_multipart_upload(**at)["UploadId"]}
        digest = hashlib.sha256()
        from botocore.exceptions import BotoCoreError, ClientError

        def send(part: tuple[int, bytes]) -> dict[str, Any]:
            number, content = part
            answer = self._client.upload_part(**upload, PartNumber=number, Body=content)
            return {"PartNumber": number, "ETag": answer["ETag"]}

        def parts() -> Iterator[tuple[int, bytes]]:
            part_bytes = max(PART_BYTES, -(-size // MOST_PARTS))
            with source.open("rb") as stream:
                for number in range(1, MOST_PARTS + 1):
                    if not (content := stream.read(part_bytes)):
                        return
                    digest.update(content)
                    yield number, content

        try:
            sent = list(in_parallel(send, parts(), CONNECTIONS, AHEAD))
            check_source(key, digest.hexdigest())
            self._client.complete_multipart_upload(
                **upload, MultipartUpload={"Parts": sent}, IfNoneMatch="*"
            )
        except BaseException as error:
            with suppress(BotoCoreError, ClientError):  # the first error tells more
                self._client.abort_multipart_upload(**upload)
            if not is_there_already(error):
                raise

    def _abort_abandoned(self, key: str) -> None:
        """Abort what killed processes left of this key, once nobody can be at it any more."""
        name = self._at(key)["Key"]
        answer = self._client.list_multipart_uploads(Bucket=self.bucket, Prefix=name)
        for upload in answer.get("Uploads", []):
            if upload["Key"] == name and datetime.now(UTC) - upload["Initiated"] >= ABANDONED:
                self._client.abort_multipart_upload(**self._at(key), UploadId=upload["UploadId"])

    def _download(self, key: str, use: Callable[[dict[str, Any]], T], **options: str) -> T:
        """``use`` the answer of a GET; again, from its start, where the connection breaks in it.

        botocore tries again what fails before the body begins, but not within it.
        """
        from botocore.exceptions import (
            IncompleteReadError,
            ReadTimeoutError,
            ResponseStreamingError,
        )

        left = ATTEMPTS
        while True:
            answer = self._client.get_object(**self._at(key), **options)
            left -= 1
            try:
                with closing(answer["Body"]):
                    return use(answer)
            except (IncompleteReadError, ReadTimeoutError, ResponseStreamingError):
                if not left:
                    raise

    def _get_parts(self, key: str, handle: int, size: int) -> None:
        """Fetch byte ranges in parallel, each to its own place in the file."""

        def fetch(first: int) -> None:
            last = min(first + PART_BYTES, size) - 1

            def place(answer: dict[str, Any]) -> int:
                at = first
                while chunk := answer["Body"].read(CHUNK_BYTES):
                    at += os.pwrite(handle, chunk, at)
                return at

            if self._download(key, place, Range=f"bytes={first}-{last}") != last + 1:
                raise StoreError(f"{self.url}: {key!r}: the server ignored a byte range")

        for _ in in_parallel(fetch, range(0, size, PART_BYTES), CONNECTIONS):
            pass


def _recorded(key: str, answer: dict[str, Any]) -> str | None:
    """The digest the store knows: from the key or from the object's metadata."""
    recorded: str | None = digest_in(key) or answer.get("Metadata", {}).get("sha256")
    return recorded


def _size(url: str, key: str, source: Path) -> int:
    try:
        return source.stat().st_size
    except OSError as error:
        raise StoreError(f"{url}: {key!r}: {source}: {error.strerror}") from error


def _client(region: str) -> Any:
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError as error:
        message = "boto3 is not installed; pip install 'soundgate[aws]'"
        raise MissingExtra(message) from error
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    config = Config(
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        connect_timeout=5,
        read_timeout=60,
        max_pool_connections=48,
        # Other servers answer at their own name only; and several do not know the trailing
        # checksums boto3 sends by default. The digest is checked here anyway.
        s3={"addressing_style": "path"} if endpoint else None,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    try:
        where = region or os.environ.get("AWS_REGION") or None  # boto3 does not read it
        session = boto3.session.Session(region_name=where)
        return session.client("s3", config=config)
    except (BotoCoreError, ValueError) as error:  # an unknown profile, a broken endpoint
        raise StoreError(f"S3: {error}; check the AWS_* environment variables") from error
