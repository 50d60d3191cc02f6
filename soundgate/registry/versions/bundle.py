"""The files of a registered model: which they are, their digest, and what is refused.

The digest is the SHA-256 of the lines ``sha256sum`` prints for the files in path order, as of every
artifact. What MLflow writes beside them (``MLmodel``, its requirements) describes the model and is
not part of it.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from soundgate.checksums import file_sha256
from soundgate.errors import DataError
from soundgate.reuse.digests import listing_digest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

DIGEST_TAG = "model.digest"
EXPORT = "export"
EXAMPLE = "input_example.json"
PICKLES = {".bin", ".ckpt", ".joblib", ".pickle", ".pkl", ".pt", ".pth"}
WRITTEN_BY_MLFLOW = {
    "MLmodel",
    "conda.yaml",
    EXAMPLE,
    "python_env.yaml",
    "registered_model_meta",
    "requirements.txt",
    f"{EXPORT}/MLmodel",
}


def files_of(folder: Path, prefix: str = "") -> dict[str, Path]:
    """Every file below ``folder`` by the path it has in the model, ``prefix`` before it."""
    return {
        f"{prefix}{path.relative_to(folder).as_posix()}": path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def downloaded_files(folder: Path) -> dict[str, Path]:
    """The model's own files among those that were downloaded to ``folder``."""
    found = files_of(folder)
    return {name: path for name, path in found.items() if name not in WRITTEN_BY_MLFLOW}


def digest_of(files: Mapping[str, Path]) -> str:
    """SHA-256, hex, over the paths and the bytes of a model's files."""
    return listing_digest((name, file_sha256(path)) for name, path in files.items())


def copy_kept(kept: Path, target: Path, digest: str) -> bool:
    """Copy a version that was fetched before, if its model is still what it was.

    Args:
        kept: folder with ``version.json`` and ``model/``; there may be none.
        target: where to.
        digest: of the model's files, as they were registered.

    Returns:
        Whether it was copied.
    """
    # Somebody may have cleared half of the cache, or edited it: its digest says so.
    if not (kept / "version.json").is_file() or digest_of(files_of(kept / "model")) != digest:
        return False
    shutil.copytree(kept, target, dirs_exist_ok=True)
    return True


def refuse_pickles(files: Mapping[str, Path]) -> None:
    """Refuse a model with a file that runs code when it is read.

    Raises:
        DataError: names the file.
    """
    for path in files.values():
        if path.suffix.lower() in PICKLES:
            raise DataError(f"{path} may run code when it is read; save weights as .safetensors")
