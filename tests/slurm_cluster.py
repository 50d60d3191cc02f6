"""A real Slurm on one machine: a controller and virtual nodes, gone when the test process is.

``python slurm_cluster.py FOLDER NODES`` starts it, keeps it, and ends it when its standard input
closes, which happens however the test process dies. It needs root, ``slurm-wlm`` and ``munge``.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

START_S = 60.0
GPUS = 2
"""Cards of a node, as far as Slurm knows: it counts files, and says which of them a job has."""
PARTITIONS = {
    "cpu": "Default=YES",
    "serial": "",
    "urgent": "PriorityTier=10",  # its jobs have those of the others put back
}
PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch")


def why_not() -> str:
    """Why no Slurm can be started here; empty where one can."""
    missing = [name for name in PROGRAMS if shutil.which(name, path=_path()) is None]
    if missing:
        return f"{', '.join(missing)} not installed (Debian: slurm-wlm, munge)"
    return "" if os.geteuid() == 0 else "starting Slurm's daemons needs root"


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


@contextlib.contextmanager
def cluster(
    folder: Path, *, nodes: int = 2, cpus: int = 2, max_array: int = 1001
) -> Iterator[Path]:
    """Run a cluster until the block ends; yields the path of ``slurm.conf``."""
    folder.mkdir(parents=True, exist_ok=True)
    write_configuration(folder, nodes, cpus, max_array)
    log = (folder / "keeper.log").open("wb")
    keeper = subprocess.Popen(
        [sys.executable, __file__, str(folder), str(nodes)],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PATH": _path()},
        start_new_session=True,
    )
    try:
        _wait_until_idle(folder, nodes, keeper)
        yield folder / "slurm.conf"
    finally:
        keeper.stdin.close()
        keeper.wait(20)
        log.close()


def write_configuration(folder: Path, nodes: int, cpus: int, max_array: int) -> None:
    """Write ``slurm.conf`` for a machine that plays several nodes."""
    host = socket.gethostname().partition(".")[0]
    names = [f"n{k + 1}" for k in range(nodes)]
    ports = _free_ports(nodes + 1)
    for name in ("state", "log", *(f"spool.{node}" for node in names)):
        (folder / name).mkdir(exist_ok=True)
    lines = [
        "ClusterName=test",
        f"SlurmctldHost={host}(127.0.0.1)",
        f"SlurmctldPort={ports[0]}",
        "AuthType=auth/munge",
        f"AuthInfo=socket={folder}/munge.socket",
        "CryptoType=crypto/munge",
        "SlurmUser=root",
        "SlurmdUser=root",
        f"StateSaveLocation={folder}/state",
        f"SlurmdSpoolDir={folder}/spool.%n",
        f"SlurmctldLogFile={folder}/log/ctld.log",
        f"SlurmdLogFile={folder}/log/%n.log",
        f"SlurmctldPidFile={folder}/ctld.pid",
        f"SlurmdPidFile={folder}/%n.pid",
        "ProctrackType=proctrack/linuxproc",
        "TaskPlugin=task/none",
        "SelectType=select/cons_tres",
        "SelectTypeParameters=CR_Core_Memory",
        "SchedulerParameters=sched_interval=1,bf_interval=1",
        "SlurmdTimeout=10",
        "KillWait=5",
        "ReturnToService=2",
        f"MaxArraySize={max_array}",
        "GresTypes=gpu",
        "PreemptType=preempt/partition_prio",
        "PreemptMode=REQUEUE",
    ]
    lines += [
        f"NodeName={name} NodeAddr=127.0.0.1 NodeHostname={host} Port={port} CPUs={cpus} "
        f"RealMemory=8000 Gres=gpu:{GPUS} State=UNKNOWN"
        for name, port in zip(names, ports[1:], strict=True)
    ]
    lines += [
        f"PartitionName={name} Nodes={','.join(names)} MaxTime=INFINITE State=UP {options}"
        for name, options in PARTITIONS.items()
    ]
    (folder / "slurm.conf").write_text("\n".join(lines) + "\n")
    for number in range(GPUS):
        (folder / f"card{number}").touch()
    (folder / "gres.conf").write_text(f"Name=gpu File={folder}/card[0-{GPUS - 1}]\n")


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _wait_until_idle(folder: Path, nodes: int, keeper: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
    while True:
        found = subprocess.run(
            ["sinfo", "--noheader", "--Node", "--partition=cpu", "-o%t"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if found.stdout.split().count("idle") == nodes:
            return
        if keeper.poll() is not None or time.monotonic() > deadline:
            logs = [path.read_text(errors="replace")[-1500:] for path in folder.glob("log/*.log")]
            raise RuntimeError(f"Slurm does not start: {found.stdout} {found.stderr}\n{logs}")
        time.sleep(0.2)


def start_node(folder: Path, node: str) -> None:
    """Start the daemon of a node."""
    environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf"), "PATH": _path()}
    subprocess.run(["slurmd", "-N", node], env=environment, check=True)


def start_controller(folder: Path) -> None:
    """Start the controller's daemon."""
    environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf"), "PATH": _path()}
    subprocess.run(["slurmctld"], env=environment, check=True)


def kill(pid_file: Path, number: int = signal.SIGKILL) -> None:
    """Signal the daemon whose id stands in a file."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError, ValueError):
        os.kill(int(pid_file.read_text()), number)


def _keep(folder: Path, nodes: int) -> None:
    """Start everything; end it when standard input closes."""
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    munge = subprocess.Popen(
        [
            "munged",
            "--foreground",
            "--force",
            f"--key-file={key}",
            f"--socket={folder}/munge.socket",
            f"--pid-file={folder}/munge.pid",
            f"--log-file={folder}/log/munge.log",
            f"--seed-file={folder}/munge.seed",
        ]
    )
    while not (folder / "munge.socket").exists() and munge.poll() is None:
        time.sleep(0.05)
    os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
    names = [f"n{k + 1}" for k in range(nodes)]
    try:
        start_controller(folder)
        for name in names:
            start_node(folder, name)
        while not (select.select([sys.stdin], [], [], 0.5)[0] and not sys.stdin.buffer.read1(1)):
            pass
    finally:
        for name in names:
            kill(folder / f"{name}.pid")
        for daemon in ("ctld", "munge"):
            kill(folder / f"{daemon}.pid", signal.SIGTERM)
        munge.wait(10)
        _end_leftovers(folder)


def _end_leftovers(folder: Path) -> None:
    """Kill what the daemons left: each process that was told of this cluster's configuration."""
    told = f"SLURM_CONF={folder}/slurm.conf".encode()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            ours = told in (process / "environ").read_bytes().split(b"\0")
            if ours and int(process.name) not in (os.getpid(), os.getppid()):
                os.kill(int(process.name), signal.SIGKILL)


if __name__ == "__main__":
    _keep(Path(sys.argv[1]), int(sys.argv[2]))
