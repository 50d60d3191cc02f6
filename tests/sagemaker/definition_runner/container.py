"""A process that sees what it would see in its container.

It has mount and process namespaces of its own: its program is process 1 (so a signal it does not
handle does nothing, and nothing it started outlives it), ``/opt/ml`` is its own, the project is at
``/opt/program`` and cannot be written, and what the host keeps in ``Image.hidden`` is empty. Its
environment is exactly what it is given. Root needs nothing for this; others need user namespaces.
"""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PROGRAM = "/opt/program"
_LOOK_S = 0.02

# $1: the job's /opt/ml, $2: the project, then what is hidden, --, and the command.
# What else lies in the host's /opt stays: an interpreter may be there.
_ENTER = r"""
set -eu
exec 2>&1
ml=$1 program=$2; shift 2
mount -t tmpfs tmpfs /mnt
mkdir /mnt/opt; mount --rbind /opt /mnt/opt
mount -t tmpfs tmpfs /opt
for path in /mnt/opt/*/; do
  name=${path%/}; name=${name##*/}
  case $name in ml|program|'*') continue;; esac
  mkdir "/opt/$name"; mount --rbind "/mnt/opt/$name" "/opt/$name"
done
umount -R /mnt
mkdir /opt/ml /opt/program
mount --bind "$ml" /opt/ml
mount --bind "$program" /opt/program
[ "$READ_ONLY" = no ] || mount -o remount,bind,ro /opt/program
while [ "$1" != -- ]; do mount -t tmpfs -o mode=1777 tmpfs "$1"; shift; done
shift
cd /opt/program
exec env -i "$@"
"""


@dataclass(frozen=True)
class Image:
    """What stands for a container image."""

    project: Path
    """Its working directory: ``python -m steps.train`` finds the program there."""
    entrypoint: tuple[str, ...] = ()
    """Its ENTRYPOINT, for jobs that give no command."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Its ENV."""
    hidden: tuple[Path, ...] = ()
    """Folders of this machine that an image would not have; ``/tmp`` is always among them."""
    cores: tuple[int, ...] = ()
    """Cores of this machine that stand for the instance's; all of them where none is named."""

    def variables(self) -> dict[str, str]:
        """Return the environment a container of it has before anybody adds to it."""
        path = f"{Path(sys.prefix) / 'bin'}:/usr/local/bin:/usr/bin:/bin"
        return {"PATH": path, "HOME": "/tmp", "PYTHONPATH": PROGRAM, **self.environment}

    def masks(self) -> list[Path]:
        """Return what is hidden, without what the interpreter itself needs."""
        needed = [Path(p).resolve() for p in (sys.prefix, sys.base_prefix)]
        found: list[Path] = []
        for folder in sorted(path.resolve() for path in (Path("/tmp"), *self.hidden)):
            used = any(path.is_relative_to(folder) for path in needed)
            inside = any(folder.is_relative_to(other) for other in found)
            if folder.is_dir() and not used and not inside:
                found.append(folder)
        return found


class End(StrEnum):
    """Why a container ended."""

    EXITED = "exited"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"
    OUT_OF_TIME = "out of time"


@dataclass(frozen=True)
class Ended:
    """How a container ended."""

    why: End
    code: int
    """Exit code; 128 and the signal's number where a signal ended it."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What can end a container from outside."""

    limit_s: float
    grace_s: float
    halt: threading.Event
    interrupt: Callable[[], bool] | None = None

    def broken(self, started: float) -> End | None:
        """Tell why the container has to end now; None where it has not."""
        if self.halt.is_set():
            return End.STOPPED
        if time.monotonic() - started > self.limit_s:
            return End.OUT_OF_TIME
        if self.interrupt is not None and self.interrupt():
            return End.INTERRUPTED
        return None


def _namespaces() -> list[str]:
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    flags = ["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    # the container dies with the thread that watches it
    return ["setpriv", "--pdeathsig", "KILL", "unshare", *user, *flags, "--propagation", "private"]


@functools.cache
def why_not() -> str:
    """Say what keeps containers from being played here; empty where nothing does."""
    probe = "mount -t tmpfs tmpfs /opt && mkdir /opt/ml && test $$ = 1"
    try:
        done = subprocess.run(
            [*_namespaces(), "bash", "-c", probe], capture_output=True, text=True, check=False
        )
    except FileNotFoundError as error:
        return f"{error.filename} is not installed"
    return "" if done.returncode == 0 else f"no private mounts: {done.stderr.strip()}"


def run(
    image: Image,
    ml: Path,
    argv: Sequence[str],
    environment: Mapping[str, str],
    rules: Rules,
    on_line: Callable[[str], None],
) -> Ended:
    """Run a command in a container until it ends, or has to.

    Args:
        image: what stands for the image.
        ml: folder that becomes ``/opt/ml``.
        argv: the command.
        environment: what definition and platform add to the image's.
        rules: what can end it from outside.
        on_line: told each line of its output.
    """
    pairs = [f"{k}={v}" for k, v in {**image.variables(), **environment}.items()]
    masks = [str(path) for path in image.masks()]
    pinned = ["taskset", "--cpu-list", ",".join(map(str, image.cores))] if image.cores else []
    command = [
        *pinned,
        *_namespaces(),
        "bash",
        "-c",
        _ENTER,
        "container",
        str(ml),
        str(image.project),
    ]
    process = subprocess.Popen(
        [*command, *masks, "--", *pairs, *argv],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # unshare's own: the container's goes to its output
        env={"PATH": os.defpath, "READ_ONLY": "yes" if os.geteuid() == 0 else "no"},
        text=True,
        errors="replace",
        start_new_session=True,
    )
    reader = threading.Thread(target=_read, args=(process, on_line), daemon=True)
    reader.start()
    try:
        why = _watch(process, rules)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        reader.join()
    code = process.returncode
    return Ended(why, code if code >= 0 else 128 - code)


def _read(process: subprocess.Popen[str], on_line: Callable[[str], None]) -> None:
    assert process.stdout is not None
    with process.stdout as lines:
        for line in lines:
            on_line(line.rstrip("\n"))


def _watch(process: subprocess.Popen[str], rules: Rules) -> End:
    started = time.monotonic()
    while process.poll() is None:
        if why := rules.broken(started):
            _terminate(process, rules.grace_s)
            return why
        time.sleep(_LOOK_S)
    return End.EXITED


def _terminate(process: subprocess.Popen[str], grace_s: float) -> None:
    """Send SIGTERM to the container's process 1, and SIGKILL after the grace."""
    for number, patience_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, 10.0)):
        with suppress(FileNotFoundError, ProcessLookupError):
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text("utf-8")
            for child in children.split():
                os.kill(int(child), number)
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            continue
        return
