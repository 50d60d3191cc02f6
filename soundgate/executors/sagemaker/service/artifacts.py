"""Uploads the submitter's files before an execution and downloads outputs after it."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from soundgate.errors import ParameterError, StoreError
from soundgate.executors.sagemaker.service.executions import JOBS, short
from soundgate.programs.archives import unpacked
from soundgate.store.parallel import in_parallel
from soundgate.text.progress import track

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from soundgate.executors.sagemaker.service.client import Aws
    from soundgate.store import Store
    from soundgate.task import File

WORKERS = 8
MEMBER = "model.tar.gz"


def open_bucket(aws: Aws, bucket: str) -> Store:
    """Return the store of a whole bucket in the region of ``aws``; makes no request."""
    from soundgate.store.s3 import S3Store

    return S3Store(bucket, region=aws.region)


def check_bucket(aws: Aws, bucket: str) -> None:
    """Check that a bucket exists in the region where jobs run; writes nothing.

    Raises:
        ParameterError: the bucket does not exist or is in another region.
        AwsRefused: access to it is denied.
    """
    from soundgate.executors.sagemaker.service.client import AwsRefused, is_gone

    try:
        found = aws.call("s3", "head_bucket", Bucket=bucket)
    except AwsRefused as error:
        if is_gone(error) or error.code == "NoSuchBucket":
            raise ParameterError(
                f"bucket {bucket}: does not exist; create it, or correct bucket in the profile"
            ) from error
        if error.code in ("301", "PermanentRedirect"):
            raise ParameterError(
                f"bucket {bucket}: is not in {aws.region}; correct bucket or region in the profile"
            ) from error
        raise
    region = found.get("BucketRegion") or aws.region
    if region != aws.region:
        raise ParameterError(
            f"bucket {bucket}: is in {region}, but jobs run in {aws.region}; correct bucket or "
            "region in the profile"
        )


def upload(store: Store, files: Iterable[tuple[str, File]]) -> int:
    """Upload files under their keys, create-only; existing objects are not sent again.

    Args:
        store: the bucket.
        files: (key, file); the content of a folder goes below the key.

    Returns:
        The number of objects that were sent.

    Raises:
        StoreError: the bucket refused.
        ParameterError: a file does not exist.
    """
    lacking = [entry for key, file in files for entry in _lacking(store, key, file)]
    sent = in_parallel(lambda entry: store.put(*entry), lacking, WORKERS)
    shown = track(sent, total=len(lacking), label="upload files", log=sys.stderr)
    for _ in sent if len(lacking) < WORKERS else shown:
        pass
    return len(lacking)


def _lacking(store: Store, key: str, file: File) -> Iterator[tuple[str, Path | bytes]]:
    """Return the missing objects; a folder is listed, one request per thousand files."""
    is_folder = file.path is not None and file.path.is_dir()
    there = set(store.list(f"{key}/")) if is_folder else set()
    for name, content in _contents(key, file):
        if name not in there and (is_folder or not store.exists(name)):
            yield name, content


def _contents(key: str, file: File) -> Iterator[tuple[str, Path | bytes]]:
    if file.text is not None:
        yield key, file.text.encode()
    elif file.path is not None and file.path.is_dir():
        for above, _, names in os.walk(file.path):
            relative = PurePosixPath(Path(above).relative_to(file.path).as_posix())
            for name in names:
                yield f"{key}/{relative / name}", Path(above) / name
    elif file.path is not None and file.path.is_file():
        yield key, file.path
    else:
        raise ParameterError(f"{file.path}: no such file or folder")


def download(aws: Aws, job: str, output: str, target: Path) -> None:
    """Copy a job's ``output`` into ``target``, an existing folder.

    Raises:
        ParameterError: the job wrote no such output.
        AwsRefused: AWS refuses the request.
        StoreError: the bucket refused.
        DataError: a training job's archive is damaged or contains paths outside the folder.
    """
    if JOBS["TrainingJob"] in job:
        answer = aws.call("sagemaker", "describe_training_job", TrainingJobName=short(job))
        uri = answer.get("ModelArtifacts", {}).get("S3ModelArtifacts", "")
        if not uri:
            raise ParameterError(f"{short(job)} wrote no model.tar.gz")
        _download_member(aws, uri, output, target)
        return
    answer = aws.call("sagemaker", "describe_processing_job", ProcessingJobName=short(job))
    uri = _output_uri(answer, output)
    if not uri:
        raise ParameterError(f"{short(job)} wrote no {output}")
    _download_prefix(aws, uri, target)


def _output_uri(job: dict[str, Any], output: str) -> str:
    for each in job.get("ProcessingOutputConfig", {}).get("Outputs", []):
        if each["OutputName"] == output:
            return str(each["S3Output"]["S3Uri"])
    return ""


def _download_prefix(aws: Aws, uri: str, target: Path) -> None:
    bucket, prefix = _split(uri)
    prefix = f"{prefix.rstrip('/')}/"
    store = open_bucket(aws, bucket)
    keys = [key for key in store.list(prefix) if not key.endswith("/")]
    if not keys:
        raise StoreError(f"{uri}: does not exist; it was deleted or never written")

    def fetch(key: str) -> None:
        path = target / PurePosixPath(key.removeprefix(prefix))
        if ".." in path.parts:
            raise StoreError(f"{uri}: key {key!r} points outside the folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        store.get(key, path)

    fetched = in_parallel(fetch, keys, WORKERS)
    for _ in track(
        fetched, total=len(keys), label=f"get {PurePosixPath(uri).name}", log=sys.stderr
    ):
        pass


def _download_member(aws: Aws, uri: str, output: str, target: Path) -> None:
    """Extract one output folder from the archive that holds all outputs of a Training job."""
    bucket, key = _split(uri)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".archive-") as folder:
        archive = Path(folder) / MEMBER
        open_bucket(aws, bucket).get(key, archive)
        for entry in unpacked(archive / output).iterdir():
            entry.rename(target / entry.name)


def _split(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key
