"""Run a data set's download command, and prepare what it brought."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from soundgate.audio.datasets.base import Source
from soundgate.audio.datasets.preparation import prepare
from soundgate.errors import DataError, ParameterError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from soundgate.audio.datasets.base import Dataset, OptionsT

DOWNLOAD: Final = "temp"
"""The folder that a download command fills, as ``git clone URL ./temp`` does."""


def acquire(dataset: Dataset[OptionsT], out: Path, command: str | None, options: OptionsT) -> None:
    """Download and prepare; see :func:`soundgate.audio.datasets.acquire`.

    Raises:
        DataError: the command failed, or what it brought is incomplete or wrong.
        ParameterError: no command is known, or one is given for a data set that is rendered.
    """
    if dataset.render is not None:
        if command:
            raise ParameterError(f"dataset {dataset.name} is generated: remove download_command")
        prepare(dataset, (), out, options)
        return
    command = command or dataset.download_command
    if not command and dataset.request:
        raise ParameterError(
            f"dataset {dataset.name}: {dataset.request}: give its folder (dataset_path)"
        )
    if not command and dataset.download is None:
        raise ParameterError(
            f"dataset {dataset.name}: has no known download: give its folder (dataset_path) "
            "or the command that fills ./temp (download_command)"
        )
    with _workplace(out) as folder:
        (folder / DOWNLOAD).mkdir()
        if command:
            _run(dataset.name, command, folder)
        else:
            assert dataset.download is not None
            dataset.download(folder / DOWNLOAD, options)
        if dataset.unpack is not None:
            dataset.unpack(folder / DOWNLOAD)
        source = Source(folder / DOWNLOAD)
        prepare(dataset, [source], out, options, complete=True, link=True)


@contextlib.contextmanager
def _workplace(out: Path) -> Iterator[Path]:
    """A fresh folder on the file system of ``out``, so that files can be linked, not copied."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".download-", dir=out.parent))
    except OSError as error:
        raise DataError(
            f"{out.parent}: cannot be written: {error.strerror}: choose another folder"
        ) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(name: str, command: str, folder: Path) -> None:
    """Run ``command`` in ``folder``, passing its output on; a failing line ends it (sh -e)."""
    last_line = ""
    process = subprocess.Popen(
        ["/bin/sh", "-e", "-c", command],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    with process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                print(line, end="", flush=True)
                last_line = line.strip() or last_line
        except BaseException:
            # wget or git would go on downloading after a signal stopped this process.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode != 0:
        raise DataError(
            f"dataset {name}: the download command exited with {process.returncode} "
            f"({last_line or 'no output'}): correct it, or the network, and run it again"
        )
