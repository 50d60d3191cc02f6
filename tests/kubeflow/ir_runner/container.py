"""One attempt of one container: its own folders, its command as a process, what it left."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format

from ir_runner import artifacts, placeholders, values
from ir_runner.messages import pb

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping, Sequence

    from ir_runner.artifacts import Artifact, Store

TERMINATION_LOG = "/dev/termination-log"
OUTPUT_FILE = "kfp_outputs/output_metadata.json"
POLL_S = 0.02


class AttemptError(Exception):
    """An attempt failed; whether another one may be made is ``again``."""

    def __init__(self, reason: str, *, again: bool = True) -> None:
        """Say why."""
        super().__init__(reason)
        self.again = again


class CanceledError(Exception):
    """The run was terminated while the container ran."""


@dataclass
class Sandbox:
    """The file system of one pod: everything a container is told of lies below ``folder``."""

    folder: Path
    store: Store
    component: Any
    inputs: Mapping[str, list[Artifact]]
    outputs: Mapping[str, Artifact]
    given: dict[str, tuple[Path, dict[str, Any]]] = field(default_factory=dict)
    root: str = ""
    """The URI below which all outputs of the task lie."""
    new_id: Callable[[], int] = itertools.count(1).__next__

    def prepare(self) -> None:
        """Download the inputs and make the parents of everything that is to be written.

        Raises:
            AttemptError: an input is nowhere.
        """
        self.folder.mkdir(parents=True)
        (self.folder / "home").mkdir()
        for name, listed in self.inputs.items():
            for artifact in listed:
                path = self.path(artifact)
                if path is not None:
                    self._bring(name, artifact, path)
        self.output_file.parent.mkdir(parents=True, exist_ok=True)
        for artifact in self.outputs.values():
            path = self.path(artifact)
            if path is None:
                raise AttemptError(f"{artifact.uri}: unsupported storage scheme", again=False)
            path.parent.mkdir(parents=True, exist_ok=True)
        for name in [*self.component.output_definitions.parameters, "."]:
            self.parameter_file(name).parent.mkdir(parents=True, exist_ok=True)

    def _bring(self, name: str, artifact: Artifact, path: Path) -> None:
        try:
            self.store.download(artifact.uri, path)
        except (artifacts.TransferError, OSError) as error:
            raise AttemptError(
                f"failed to download input artifact {name!r} from {artifact.uri}: {error}"
            ) from error
        self.given[name] = (path, artifacts.snapshot(path) if path.exists() else {})

    def path(self, artifact: Artifact) -> Path | None:
        """Return where the container finds an artifact; None for a URI the launcher ignores."""
        if artifact.custom_path:
            return Path(artifact.custom_path)
        return self.store.local_path(artifact.uri, self.folder)

    @property
    def output_file(self) -> Path:
        """Where the container says what it made: in the folder of all its outputs."""
        if not self.root or self.root.startswith("/"):
            return self.folder / OUTPUT_FILE
        root = self.store.local_path(self.root, self.folder)
        return root / "executor_output.json" if root else self.folder / OUTPUT_FILE

    def parameter_file(self, name: str) -> Path:
        """Return the file in which the container leaves an output parameter."""
        return self.folder / "kfp" / "outputs" / name

    def executor_input(self, parameters: Mapping[str, Any]) -> str:
        """Return the ``ExecutorInput`` that ``{{$}}`` stands for."""
        told = {
            "inputs": {
                "parameterValues": dict(parameters),
                "artifacts": {
                    name: {"artifacts": [each.as_input() for each in listed]}
                    for name, listed in self.inputs.items()
                },
            },
            "outputs": {
                "parameters": {
                    name: {"outputFile": str(self.parameter_file(name))}
                    for name in self.component.output_definitions.parameters
                },
                "artifacts": {
                    name: {"artifacts": [each.as_input()]} for name, each in self.outputs.items()
                },
                "outputFile": str(self.output_file),
            },
        }
        return values.to_json(told)

    def known(self, parameters: Mapping[str, Any]) -> dict[str, str]:
        """Return what each placeholder stands for; the first of a list of artifacts has a path."""
        made = {"{{$}}": self.executor_input(parameters)}
        for name, value in parameters.items():
            made[f"{{{{$.inputs.parameters['{name}']}}}}"] = values.text(value)
        for name in self.component.output_definitions.parameters:
            file = str(self.parameter_file(name))
            made[f"{{{{$.outputs.parameters['{name}'].output_file}}}}"] = file
        listed = [("inputs", n, each[0]) for n, each in self.inputs.items() if each]
        for side, name, artifact in [
            *listed,
            *(("outputs", n, a) for n, a in self.outputs.items()),
        ]:
            made[f"{{{{$.{side}.artifacts['{name}'].uri}}}}"] = artifact.uri
            path = self.path(artifact)
            if path is not None:
                made[f"{{{{$.{side}.artifacts['{name}'].path}}}}"] = str(path)
        return made

    def collect(self) -> tuple[dict[str, Any], dict[str, Artifact | list[Artifact]]]:
        """Read the output parameters and upload the artifacts.

        Raises:
            AttemptError: an input was written to, a declared parameter is missing or of another
                type, ``executor_output.json`` is not what the backend reads.
        """
        for name, (path, before) in self.given.items():
            if before and (not path.exists() or artifacts.snapshot(path) != before):
                raise AttemptError(f"it wrote into its input {name!r}", again=False)
        said = self._executor_output()
        parameters = {
            name: values.of_message(value) for name, value in said.parameter_values.items()
        }
        for name, spec in self.component.output_definitions.parameters.items():
            if name not in parameters:
                parameters[name] = self._read(name, spec.parameter_type)
        return parameters, {name: self._upload(name, said) for name in self.outputs}

    def _executor_output(self) -> Any:
        file = self.output_file
        said = pb.ExecutorOutput()
        if not file.exists():
            return said
        try:
            return json_format.Parse(file.read_text("utf-8"), said)
        except (json_format.ParseError, UnicodeDecodeError) as error:
            raise AttemptError(f"executor_output.json: {error}") from error

    def _read(self, name: str, kind: int) -> Any:
        file = self.parameter_file(name)
        try:
            return values.of_text(file.read_text("utf-8"), kind)
        except (OSError, UnicodeDecodeError, values.ValueMismatchError) as error:
            raise AttemptError(f"failed to read output parameter {name!r}: {error}") from error

    def _upload(self, name: str, said: Any) -> Artifact | list[Artifact]:
        told = list(said.artifacts[name].artifacts) if name in said.artifacts else []
        if self.component.output_definitions.artifacts[name].is_artifact_list:
            return [self._upload_one(name, each, self.new_id()) for each in told]
        return self._upload_one(name, told[0] if told else None, self.outputs[name].id)

    def _upload_one(self, name: str, told: Any, number: int) -> Artifact:
        made = replace(self.outputs[name], id=number)
        if told is not None:
            metadata = {k: values.of_message(v) for k, v in told.metadata.fields.items()}
            made = replace(
                made,
                uri=self.store.uri(told.uri or made.uri, self.folder),
                metadata=made.metadata | metadata,
                custom_path=told.custom_path,
            )
        written = self.path(made)
        try:
            path = self.store.upload(written, made.uri) if written else None
        except (artifacts.TransferError, OSError) as error:
            raise AttemptError(f"failed to upload output artifact {name!r}: {error}") from error
        return replace(made, path=path)

    def close(self) -> None:
        """Remove what the pod took with it, all but its log."""
        for listed in self.inputs.values():
            for custom in (Path(each.custom_path) for each in listed if each.custom_path):
                shutil.rmtree(custom) if custom.is_dir() else custom.unlink(missing_ok=True)
        for name in ("home", "kfp", "kfp_outputs", *artifacts.SCHEMES.values()):
            shutil.rmtree(self.folder / name, ignore_errors=True)


def environment(
    sandbox: Sandbox, path: str, given: Mapping[str, str], pod: Mapping[str, str]
) -> dict[str, str]:
    """Return all of a container's environment: the image's, the pod's, the specification's.

    A file that Kubernetes reads for the reason of a failure is one of the sandbox.
    """
    found = {"PATH": path, "HOME": str(sandbox.folder / "home"), **pod, **given}
    private = str(sandbox.folder / "termination-log")
    return {name: private if v == TERMINATION_LOG else v for name, v in found.items()}


def argument_vector(sandbox: Sandbox, container: Any, parameters: Mapping[str, Any]) -> list[str]:
    """Return what is executed.

    Raises:
        AttemptError: nothing can be.
    """
    present = {n for n, value in parameters.items() if value is not None} | set(sandbox.inputs)
    try:
        return placeholders.vector(
            container.command, container.args, sandbox.known(parameters), present
        )
    except placeholders.PlaceholderError as error:
        raise AttemptError(str(error), again=False) from error


@dataclass(frozen=True)
class Limits:
    """When a container is ended from outside."""

    deadline_s: float
    grace_s: float
    canceled: threading.Event


def execute(
    argv: Sequence[str], env: Mapping[str, str], cwd: Path, log: Path, limits: Limits
) -> int:
    """Run a container's command; return its exit status.

    Raises:
        AttemptError: no such program, or over its deadline.
        CanceledError: the run was terminated.
    """
    program = shutil.which(argv[0], path=env["PATH"])
    if program is None:
        raise AttemptError(f'exec: "{argv[0]}": executable file not found in $PATH')
    with log.open("wb") as output:
        process = subprocess.Popen(
            argv,
            executable=program,
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            return _wait(process, limits)
        finally:
            _signal(process, signal.SIGKILL)  # what it left behind ends with its pod
            process.wait()


def _wait(process: subprocess.Popen[bytes], limits: Limits) -> int:
    end = time.monotonic() + limits.deadline_s if limits.deadline_s else float("inf")
    while True:
        try:
            return process.wait(POLL_S)
        except subprocess.TimeoutExpired:
            over = time.monotonic() > end
            if not over and not limits.canceled.is_set():
                continue
        _signal(process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(limits.grace_s)
        if over:
            raise AttemptError("DeadlineExceeded: it was active on the node for too long")
        raise CanceledError


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def reason(sandbox: Sandbox) -> str:
    """Return what Kubernetes says of a container that failed: the launcher itself ends with 1."""
    said = sandbox.folder / "termination-log"
    text = said.read_text("utf-8", "replace").strip() if said.exists() else ""
    return f"Error (exit code 1): {text}" if text else "Error (exit code 1)"


def load_json(text: str) -> Any:
    """Parse JSON as the backend holds it."""
    return values.plain(json.loads(text))
