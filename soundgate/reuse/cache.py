"""Content-addressed reuse: a task whose program, arguments and inputs are unchanged is not run.

The key of a task is the digest of

- its program: the step's module and every first-party module it imports, directly or not, also
  inside functions and by dotted name in a table, and the data files beside them; comments,
  docstrings and layout do not count;
- the versions of Python, of the libraries those modules import and of those that these need;
- the number of cores it is given, which decides in which order sums are taken;
- its arguments, as they stand on the command line, and digests of the environment variables that
  it says it depends on;
- the digests of its inputs: contents, not times or places, so a task upstream that ran again and
  wrote the same bytes changes nothing downstream (early cut-off).

``<runs>/.cache`` holds an index from key to the task folder that has the result. Results stay where
they were written and are hard-linked into the next run. Deleting a run, or the index, costs time,
never correctness: a result that is gone or was altered is noticed and made again.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

from soundgate import runs
from soundgate.arguments import spell
from soundgate.errors import DataError
from soundgate.reuse.digests import digest_text, digest_tree, read_tree, relinked
from soundgate.reuse.sources import Sources
from soundgate.text.masking import masked_values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from soundgate.pipeline import File, Output, Task
    from soundgate.run_record import TaskMark

KEY_FORMAT = 3
MOST_FOLDERS = 8
"""Runs remembered for one key: any of them may be deleted, as long as one is left."""


class Components(TypedDict):
    """What a task's key is made of."""

    format: int
    program: Mapping[str, str]
    """Digest of each module."""
    libraries: Mapping[str, str]
    """Version of each distribution."""
    cores: int
    python: str
    """``3.11``."""
    arguments: Mapping[str, str]
    environment: Mapping[str, str]
    """Digest of each variable's value, cut to 16 digits."""
    inputs: Mapping[str, list[Any]]
    """Digests of what each argument reads; with the items' names where it is told them."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A result that can be used again."""

    folder: Path
    mark: TaskMark

    @property
    def reason(self) -> str:
        """Where it comes from."""
        return f"unchanged since run {self.mark.get('reused_from') or self.mark['run']}"


@dataclass(frozen=True, slots=True)
class Miss:
    """Why a task has to run."""

    reason: str


class Cache:
    """Reuse of results below one folder of runs."""

    def __init__(self, root: Path) -> None:
        """Open the index of ``root``; it is made when first written."""
        self.root = root
        self.folder = root / ".cache"
        self.sources = Sources(self.folder / "sources.json")

    def components(
        self, task: Task, digests: Mapping[Output | File, str], cores: int
    ) -> Components:
        """Return what a task's key is made of.

        Args:
            task: the task.
            digests: of everything it reads.
            cores: how many it is given; sums over several threads differ in their last bits.
        """
        arguments = {}
        inputs = {}
        for name, value in task.arguments.items():
            if name in task.inputs:
                inputs[name] = _read_by(value, digests, task.inputs[name])
            else:
                arguments[name] = spell(value)
        for name, argument in task.interface.items():
            if argument.kind == "parameter" and name not in arguments:
                arguments[name] = spell(argument.default)
        program = self.sources.program(task.module)
        return {
            "format": KEY_FORMAT,
            "program": program.modules,
            "libraries": program.libraries,
            "cores": cores,
            "python": f"{sys.version_info.major}.{sys.version_info.minor}",
            "arguments": arguments,
            # a digest, because an address may hold a password
            "environment": {n: digest_text(os.environ.get(n, ""))[:16] for n in task.environment},
            "inputs": inputs,
        }

    def key(self, components: Components) -> str:
        """Return the key of a task's components, SHA-256 hex."""
        return digest_text(json.dumps(components, sort_keys=True))

    def lookup(self, pipeline: str, task: Task, components: Components) -> Hit | Miss:
        """Find the result of an identical task, or say what differs from its last run."""
        key = self.key(components)
        folders = self._folders(key)
        if not folders:
            return Miss(self._difference(pipeline, task.name, components))
        reason = "its result was deleted"
        for folder in folders:
            found = self.result(self.root / folder, key)
            if isinstance(found, Hit):
                return found
            reason = found.reason if found is not None else reason
        return Miss(reason)

    def result(self, folder: Path, key: str) -> Hit | Miss | None:
        """Return the result of ``key`` in a task's folder; None where there is none."""
        mark = runs.read_mark(folder)
        if mark is None or mark["key"] != key or not runs.State(mark["state"]).done:
            return None
        for name, output in mark["outputs"].items():
            if not _intact(folder, name, output["digest"]):
                return Miss(f"its output {name} was altered or deleted")
        return Hit(folder, mark)

    def record(self, pipeline: str, task: str, components: Components, folder: Path) -> None:
        """Remember that ``folder`` holds the result for these components."""
        self._remember(self.key(components), folder)
        # shown where something differs, so without passwords
        runs.write_json(self._last(pipeline, task), masked_values(components))

    def disown(self, folder: Path) -> None:
        """Take the key off a result, so that it is never used again: it was made of something else.

        The result itself stays, for the run that made it.
        """
        mark = runs.read_mark(folder)
        if mark is not None:
            runs.write_json(folder / runs.MARK, {**mark, "key": ""})

    def adopt(self, hit: Hit, target: Path, context: runs.Context) -> TaskMark | None:
        """Hard-link a result into another run's task folder; return its new mark.

        None where the result went away, or became another, while it was being linked.
        """
        target.mkdir(parents=True, exist_ok=True)
        try:
            for name in hit.mark["outputs"]:
                _link_tree(hit.folder / name, target / name)
                _copy_list(hit.folder, target, name)
        except OSError:  # shutil.Error is one
            return None
        if not all(_intact(target, n, o["digest"]) for n, o in hit.mark["outputs"].items()):
            return None
        log = hit.folder / runs.LOG
        if log.is_file():
            shutil.copyfile(log, target / runs.LOG)
        kept = (
            "argv",
            "started_at",
            "ended_at",
            "duration_s",
            "cpu_s",
            "max_rss_bytes",
            "outputs",
            "exit_code",
        )
        mark = runs.write_mark(
            target,
            context,
            **{name: value for name, value in hit.mark.items() if name in kept},
            state=runs.State.REUSED,
            reused_from=hit.mark.get("reused_from") or hit.mark["run"],
        )
        self._remember(context.key, target)
        return mark

    def file_digest(self, file: File) -> str:
        """Return the digest of a file or folder of the submitting machine.

        The list of what was read is kept, so that an unchanged folder of 50 000 clips costs a
        look at its directory, not a read of its bytes.
        """
        if file.text is not None:
            return f"sha256:{digest_text(file.name, file.text)}"
        if file.path is None:
            raise ValueError(f"{file}: neither a path nor a text")
        path = file.path.resolve()
        listing = self.folder / "files" / digest_text(str(path))
        known = read_tree(listing)
        tree = digest_tree(path, known)
        if tree != known or not known.is_sure:
            tree.write(listing)
        return tree.digest

    def _folders(self, key: str) -> list[str]:
        """Return the folders that hold the result of a key, the latest first."""
        entry = runs.read_json(self._entry(key))
        folders = entry.get("folders") if isinstance(entry, dict) else None
        if not isinstance(folders, list):
            return []
        return [each for each in folders if isinstance(each, str)]

    def _remember(self, key: str, folder: Path) -> None:
        path = os.path.relpath(folder, self.root)
        others = [each for each in self._folders(key) if each != path]
        runs.write_json(self._entry(key), {"folders": [path, *others][:MOST_FOLDERS]})

    def _entry(self, key: str) -> Path:
        return self.folder / "keys" / key[:2] / f"{key}.json"

    def _last(self, pipeline: str, task: str) -> Path:
        return self.folder / "last" / pipeline / f"{task}.json"

    def _difference(self, pipeline: str, task: str, now: Components) -> str:
        before, shown = runs.read_json(self._last(pipeline, task)), masked_values(now)
        if not isinstance(before, dict):
            return "never ran"
        texts = {
            "program": "program changed: {}",
            "libraries": "library changed: {}",
            "arguments": "argument changed: {}",
            "environment": "variable changed: {}",
            "inputs": "input changed: {}",
        }
        for part, text in texts.items():
            old, new = before.get(part, {}), shown[part]
            names = [n for n in {**old, **new} if old.get(n) != new.get(n)]
            if names and part == "arguments":
                names = [f"{n} {old.get(n, 'unset')} -> {new.get(n, 'unset')}" for n in names]
            if names:
                return text.format(", ".join(names))
        if before.get("cores") != now["cores"]:
            return f"number of cores changed: {before.get('cores')} -> {now['cores']}"
        if before.get("python") != now["python"]:
            return f"Python changed: {before.get('python')} -> {now['python']}"
        return "its last result is not recorded"


def _read_by(
    value: Any, digests: Mapping[Output | File, str], items: Sequence[Output | File]
) -> list[Any]:
    """Return the digests that an argument's inputs have, with the names a step is told of them."""
    if isinstance(value, dict):
        return [[name, digests[item]] for name, item in value.items()]
    return [digests[item] for item in items]


def _intact(folder: Path, name: str, digest: str) -> bool:
    """Whether an output still has its digest; files whose stamp is the same are not read."""
    listing = folder / f"{name}.files"
    known = read_tree(listing)
    if known is None or known.digest != digest or not (folder / name).is_dir():
        return False
    try:
        found = digest_tree(folder / name, known)
    except DataError:  # no output of a step holds pipes or broken links
        return False
    if found.digest != digest:
        return False
    if found != known or not known.is_sure:  # something was read; next time it need not be
        with suppress(OSError):  # another user's run: it may be read, not written
            found.write(listing)
    return True


def _copy_list(source: Path, target: Path, name: str) -> None:
    """Copy the list of an output that was linked, with the stamps that the links have now."""
    known = read_tree(source / f"{name}.files")
    if known is None:
        raise FileNotFoundError(source / f"{name}.files")
    with suppress(OSError):  # another user's run
        relinked(known, source / name).write(source / f"{name}.files")
    relinked(known, target / name).write(target / f"{name}.files")


def _link_tree(source: Path, target: Path) -> None:
    """Make ``target`` a tree of hard links to ``source``; copy where links cannot be made."""
    shutil.rmtree(target, ignore_errors=True)

    def link(old: str, new: str) -> str:
        try:
            os.link(old, new)
        except OSError:
            shutil.copy2(old, new)
        return new

    shutil.copytree(source, target, copy_function=link)
