"""Files of the submitting host, where pods can read them: by content, each written once.

``<profile.files>/files/<digest>/<name>`` is a file, or the folder with all of its files;
``files/<digest>.json``, written last, says that it is whole.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from soundgate.errors import DataError
from soundgate.executors.reuse import require_files
from soundgate.reuse.cache import Cache
from soundgate.reuse.digests import digest_tree
from soundgate.store import open_store
from soundgate.store.parallel import in_parallel
from soundgate.text.progress import track

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from soundgate.pipeline import Pipeline
    from soundgate.store import Store
    from soundgate.task import File

WORKERS = 8


def upload(
    pipeline: Pipeline, files: Mapping[str, File], folder: str | None, root: Path
) -> dict[str, str]:
    """Put every file where pods can read it; return the address of each by its input.

    Args:
        pipeline: the pipeline that reads them.
        files: input of the pipeline to file.
        folder: the profile's ``files``.
        root: folder of the runs: it keeps digests of large folders.

    Raises:
        ParameterError: a file is not there.
        DataError: a folder holds no file, or a file changed meanwhile.
        StoreError: the store failed.
    """
    if not files:
        return {}
    require_files(pipeline)
    assert folder is not None  # a render without it was refused
    store, cache = open_store(folder), Cache(root)
    return {name: _put(store, file, cache.file_digest(file)) for name, file in files.items()}


def _put(store: Store, file: File, digest: str) -> str:
    assert file.path is not None
    folder = f"files/{digest.removeprefix('sha256:')}"
    key, mark = f"{folder}/{file.name}", f"{folder}.json"
    if not store.exists(mark):
        tree = digest_tree(file.path)
        if not tree.entries:
            raise DataError(f"{file.path}: contains no files")
        single = file.path.is_file()
        base = file.path.parent if single else file.path

        def send(path: str) -> None:
            store.put(key if single else f"{key}/{path}", base / path)

        paths = [entry.path for entry in tree.entries]
        sent = in_parallel(send, paths, WORKERS)
        for _ in track(sent, total=len(paths), label=f"upload {file.name}"):
            pass
        if not tree.digest == digest == digest_tree(file.path, tree).digest:
            raise DataError(f"{file.path}: changed while it was uploaded: try again")
        text = json.dumps({"name": file.name, "files": len(paths), "bytes": tree.size})
        store.put(mark, f"{text}\n".encode())
    return f"{store.url.rstrip('/')}/{key}"
