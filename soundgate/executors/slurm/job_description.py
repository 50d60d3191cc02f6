"""The job description sent to the nodes: the pipeline, its jobs, the site.

Written beside the scripts when a run is submitted, so that nothing a user edits while the jobs wait
in the queue changes which arguments they run with.
"""

from __future__ import annotations

import inspect
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soundgate import runs
from soundgate.arguments import Argument
from soundgate.errors import ParameterError
from soundgate.pipeline import Pipeline
from soundgate.task import File, Output, Resources, Task

if TYPE_CHECKING:
    from collections.abc import Mapping

    from soundgate.executors.slurm.jobs import Job
    from soundgate.executors.slurm.profile import Profile

FORMAT = "soundgate.slurm/2"
NAME = "job_description.json"
TYPES = {kind.__name__: kind for kind in (str, int, float, bool)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """The image that steps run in."""

    image: str
    command: str
    binds: tuple[str, ...]
    python: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The part of the profile that a node needs; plain data, so that nodes need no pydantic."""

    python: str | None
    container: Box | None
    environment: Mapping[str, str]
    node_scratch: str | None
    offline: bool
    reachable: tuple[str, ...]
    requeues: int

    @classmethod
    def of(cls, profile: Profile) -> Site:
        """Take it from a profile."""
        box = profile.container
        return cls(
            python=profile.python,
            container=Box(**box.model_dump()) if box else None,
            environment=profile.environment,
            node_scratch=profile.node_scratch,
            offline=profile.offline,
            reachable=profile.reachable,
            requeues=profile.requeues,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One job: the tasks of its elements and the resources of each element."""

    elements: tuple[tuple[str, ...], ...]
    resources: Resources

    @classmethod
    def of(cls, job: Job) -> Share:
        """Take it from a job."""
        return cls(elements=job.elements, resources=job.resources)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDescription:
    """Everything a worker needs."""

    run: runs.Run
    commit: str
    pipeline: Pipeline
    jobs: Mapping[str, Share]
    digests: Mapping[Output | File, str]
    """Digests of everything known at submission: files and results that already existed."""
    site: Site

    def write(self, folder: Path) -> Path:
        """Write it atomically; return its path."""
        interfaces: dict[str, Any] = {}
        value = {
            "format": FORMAT,
            "root": str(self.run.root.absolute()),
            "pipeline": self.run.pipeline,
            "run": self.run.id,
            "commit": self.commit,
            "description": self.pipeline.description,
            "tasks": [_task_out(task, interfaces) for task in self.pipeline.tasks.values()],
            "interfaces": interfaces,
            "jobs": {name: asdict(share) for name, share in self.jobs.items()},
            "digests": [[_item_out(item), digest] for item, digest in self.digests.items()],
            "site": asdict(self.site),
        }
        path = folder / NAME
        runs.write_json(path, value)
        return path


def read(path: Path) -> JobDescription:
    """Read the job description that a submission wrote.

    Raises:
        ParameterError: it does not exist or has another format.
    """
    value = runs.read_json(path)
    box = value["site"]["container"] if isinstance(value, dict) and "site" in value else None
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise ParameterError(
            f"{path}: is not in format {FORMAT}; submit the run again with --resume"
        )
    interfaces = {
        name: {a["name"]: _argument_in(a) for a in arguments}
        for name, arguments in value["interfaces"].items()
    }
    pipeline = Pipeline(value["pipeline"], value["description"])
    for fields in value["tasks"]:
        pipeline.tasks[fields["name"]] = _task_in(fields, interfaces)
    return JobDescription(
        run=runs.Run(Path(value["root"]), value["pipeline"], value["run"]),
        commit=value["commit"],
        pipeline=pipeline,
        jobs={name: _share_in(fields) for name, fields in value["jobs"].items()},
        digests={_item_in(item): digest for item, digest in value["digests"]},
        site=Site(**{**value["site"], "container": Box(**box) if box else None}),
    )


def _share_in(fields: dict[str, Any]) -> Share:
    elements = tuple(tuple(element) for element in fields["elements"])
    return Share(elements=elements, resources=Resources(**fields["resources"]))


def _task_out(task: Task, interfaces: dict[str, Any]) -> dict[str, Any]:
    # one description per step, shared by its tasks: a map of ten thousand must not repeat it
    interfaces.setdefault(task.module, [_argument_out(a) for a in task.interface.values()])
    return {
        "name": task.name,
        "module": task.module,
        "arguments": {name: _value_out(value) for name, value in task.arguments.items()},
        "after": task.after,
        "resources": asdict(task.resources),
        "needs_network": task.needs_network,
        "retries": task.retries,
        "reuse": task.reuse,
        "environment": task.environment,
        "group": task.group,
    }


def _task_in(fields: dict[str, Any], interfaces: Mapping[str, Any]) -> Task:
    arguments = {name: _value_in(value) for name, value in fields["arguments"].items()}
    return Task(
        name=fields["name"],
        module=fields["module"],
        interface=interfaces[fields["module"]],
        arguments=arguments,
        after=tuple(fields["after"]),
        resources=Resources(**fields["resources"]),
        needs_network=fields["needs_network"],
        retries=fields["retries"],
        reuse=fields["reuse"],
        environment=tuple(fields["environment"]),
        group=fields["group"],
    )


def _value_out(value: Any) -> Any:
    if isinstance(value, (Output, File)):
        return {"item": _item_out(value)}
    if isinstance(value, dict):
        return {"named": {name: _item_out(item) for name, item in value.items()}}
    if isinstance(value, tuple):
        return {"items": [_item_out(item) for item in value]}
    return {"value": value}


def _value_in(value: dict[str, Any]) -> Any:
    if "item" in value:
        return _item_in(value["item"])
    if "named" in value:
        return {name: _item_in(item) for name, item in value["named"].items()}
    if "items" in value:
        return tuple(_item_in(item) for item in value["items"])
    return value["value"]


def _item_out(item: Output | File) -> dict[str, Any]:
    if isinstance(item, Output):
        return {"task": item.task, "output": item.name}
    path = None if item.path is None else str(item.path.absolute())
    return {"file": item.name, "path": path, "text": item.text}


def _item_in(item: dict[str, Any]) -> Output | File:
    if "task" in item:
        return Output(item["task"], item["output"])
    return File(item["file"], None if item["path"] is None else Path(item["path"]), item["text"])


def _argument_out(argument: Argument) -> dict[str, Any]:
    fields = {
        "name": argument.name,
        "kind": argument.kind,
        "type": argument.type.__name__,
        "is_list": argument.is_list,
        "named": argument.named,
    }
    if argument.default is not inspect.Parameter.empty:
        fields["default"] = argument.default
    return fields


def _argument_in(fields: dict[str, Any]) -> Argument:
    return Argument(
        fields["name"],
        fields["kind"],
        TYPES.get(fields["type"], Path),
        fields["is_list"],
        fields.get("default", inspect.Parameter.empty),
        fields["named"],
    )
