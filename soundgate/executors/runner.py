"""The loop of the local executor: start what is ready, wait, take note, until nothing is left."""

from __future__ import annotations

import os
import queue
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soundgate import runs
from soundgate.executors import folders, reuse
from soundgate.executors.display import LOG_TAIL_LINES, display, say_log
from soundgate.executors.launcher import Launcher, Spec, launcher
from soundgate.executors.logs import last_line, tail
from soundgate.executors.machine import Machine, Share
from soundgate.executors.processes import environment, exit_reason, process_argv
from soundgate.executors.schedule import Schedule
from soundgate.reuse.cache import Cache, Hit, Miss
from soundgate.runs import State

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import FrameType, TracebackType
    from typing import Self

    from soundgate.executors.base import Submission
    from soundgate.pipeline import Pipeline, Resources, Task
    from soundgate.runs import Run

GRACE_S = 10.0  # from SIGTERM to SIGKILL: long enough to write a checkpoint
TICK_S = 0.5
SAVE_INTERVAL_S = 0.25
SAVE_SHARE = 0.05  # of the time goes to writing run.json, which grows with the number of tasks
USER_ERROR = 2  # an exit code that another attempt would only repeat


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a runner is to do: the tasks of one run, as they were rendered."""

    pipeline: Pipeline
    run: Run
    commands: Mapping[str, Sequence[str]]
    """``python -m steps.NAME ...`` by task."""
    use_cache: bool = True
    digests: reuse.Digests | None = None
    """Of what no task of these writes; what they write is added. None: the files of the pipeline
    are read."""


@dataclass(slots=True)
class Attempt:
    """One process of a task."""

    number: int
    share: Share
    key: str
    components: dict[str, Any]
    started: float
    deadline: float
    asked_to_stop: float | None = None


class Runner:
    """Runs one pipeline on this machine."""

    def __init__(
        self,
        work: Work,
        record: dict[str, Any],
        submission: Submission,
        machine: Machine | None = None,
    ) -> None:
        """Prepare; nothing is started before ``execute``."""
        self.work = work
        self.pipeline = pipeline = work.pipeline
        self.run = run = work.run
        self.record = record
        self.submission = submission
        self.machine = machine or Machine()
        self.cache = Cache(run.root)
        self.tasks: dict[str, dict[str, Any]] = record["tasks"]
        self.attempts: dict[str, Attempt] = {}
        self.schedule = Schedule(pipeline)
        self.decisions: dict[str, tuple[dict[str, Any], Hit | Miss]] = {}
        self.not_before: dict[str, float] = {}
        self.next_save = 0.0
        self.unsaved = False
        self.stop_signal = 0
        self.stop_reason = ""
        self.impatient = False
        self.started = time.monotonic()
        self._launcher: Launcher | None = None
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Self:
        """Take over Ctrl-C and SIGTERM, and draw."""
        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(ValueError):  # not the main thread: whoever owns it decides
                self._handlers[number] = signal.signal(number, self._on_signal)
        self.display = display(self.tasks, sys.stderr if self.submission.quiet else sys.stdout)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End every process and give the signals back."""
        if self._launcher is not None:
            self._launcher.close()
        self.display.close()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def execute(self) -> dict[str, Any]:
        """Run until every task is final; return the run's record."""
        self.record.update(state=State.RUNNING, reason="", ended_at=None)
        for task in self.tasks.values():  # what an earlier runner finished is found by its mark
            task.update(state=State.PENDING, reason="", note="", attempt=0)
        self._save(force=True)
        self.digests = self._known_digests()
        folders.place_inputs(self.run, self.digests)
        while True:
            self._start_ready()
            if not self.attempts and (self.stop_signal or not self.schedule.ready):
                break
            self._wait()
        return self._finish()

    def _known_digests(self) -> reuse.Digests:
        """Return the digests of what no task of this runner writes."""
        if self.work.digests is not None:
            return self.work.digests
        return reuse.file_digests(self.cache, self.pipeline)

    # -- starting ---------------------------------------------------------------------------------

    def _start_ready(self) -> None:
        progress = True
        while progress and not self.stop_signal:  # a reused task may make others ready at once
            progress = False
            refused: set[Resources] = set()  # nobody gives back before this is over
            for task in list(self.schedule.ready.values()):
                if self.not_before.get(task.name, 0) > time.monotonic():
                    continue
                if task.name in self.decisions and task.resources in refused:
                    continue
                progress = self._reuse_or_start(task, refused) or progress

    def _reuse_or_start(self, task: Task, refused: set[Resources]) -> bool:
        """Return whether the task is done without a process; note what there was no room for."""
        if task.name not in self.decisions:
            components = self.cache.components(task, self.digests)
            found = reuse.decide(
                self.cache,
                self.pipeline,
                task,
                components,
                self.run,
                use_cache=self.work.use_cache,
            )
            self.decisions[task.name] = components, found
        components, found = self.decisions[task.name]
        if isinstance(found, Hit):
            if self._adopt(task, found):
                return True
            found = Miss("its result went away")
            self.decisions[task.name] = components, found
        share = self.machine.take(task.resources)
        if share is None:
            refused.add(task.resources)
        else:
            self._start(task, share, components, found.reason)
        return False

    def _adopt(self, task: Task, hit: Hit) -> bool:
        """Take over a result; False where it went away in the meantime."""
        folder = self.run.task(task.name)
        own = hit.folder == folder
        key = hit.mark["key"]
        mark = hit.mark if own else self.cache.adopt(hit, folder, self._context(task, key, 0, 0))
        if mark is None:
            return False
        reuse.add_outputs(self.digests, task, mark)
        reason = "finished before" if own else hit.reason
        state = State(mark["state"]) if own else State.REUSED
        self._change(task.name, state, reason=reason, note=last_line(self.run.log(task.name)))
        self.tasks[task.name].update(outputs=mark["outputs"], duration_s=mark.get("duration_s"))
        self.schedule.finish(task)
        self.display.update(task.name, {**self.tasks[task.name], "state": State.REUSED})
        return True

    def _start(self, task: Task, share: Share, components: dict[str, Any], reason: str) -> None:
        folder = self.run.task(task.name)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / runs.MARK).unlink(missing_ok=True)
        key = self.cache.key(components)
        number = self.tasks[task.name]["attempt"] + 1
        now = time.monotonic()
        attempt = Attempt(number, share, key, components, now, now + task.resources.hours * 3600)
        self.attempts[task.name] = attempt
        self.schedule.start(task)
        spec = Spec(
            id=task.name,
            argv=self._argv(task, share),
            env=self._environment(task, attempt),
            cwd=str(Path.cwd()),
            log=str(self.run.log(task.name).absolute()),
            cpus=share.cpus,
        )
        self._processes().start(spec)
        self.tasks[task.name].update(attempt=number, started_at=runs.now())
        self._change(task.name, State.RUNNING, reason=reason)
        self.display.update(task.name, self.tasks[task.name])

    def _processes(self) -> Launcher:
        if self._launcher is None:
            modules = {task.module for task in self.pipeline.tasks.values()}
            used = {lib for m in modules for lib in self.cache.sources.program(m).imported}
            self._launcher = self._new_launcher(sorted(used))
        return self._launcher

    def _new_launcher(self, libraries: list[str]) -> Launcher:
        """Return what starts this runner's processes."""
        return launcher(libraries)

    def _context(self, task: Task, key: str, attempt: int, cpus: int) -> runs.Context:
        folder = self.run.task(task.name).absolute()
        return runs.Context(
            task=task.name,
            task_folder=str(folder),
            run=self.run.id,
            pipeline=self.pipeline.name,
            commit=self.record["commit"],
            key=key,
            attempt=str(attempt),
            root=str(self.run.root.absolute()),
            cpus=str(cpus),
            failure=str(folder / "failure.txt"),
        )

    def _environment(self, task: Task, attempt: Attempt) -> dict[str, str]:
        context = self._context(task, attempt.key, attempt.number, attempt.share.cpus)
        return {**os.environ, **context.environment(), **self._limits(attempt.share)}

    def _argv(self, task: Task, share: Share) -> list[str]:
        """Return what is executed for a task."""
        return process_argv(self.work.commands[task.name], share)

    def _limits(self, share: Share) -> dict[str, str]:
        """Return the variables that keep a task within its share."""
        return environment(share, gpus_here=bool(self.machine.gpus))

    # -- waiting ----------------------------------------------------------------------------------

    def _wait(self) -> None:
        """Take note of one process that ended, or of the time."""
        if self._launcher is None:
            time.sleep(TICK_S / 10)
            return
        with suppress(queue.Empty):
            name, status = self._launcher.ended.get(timeout=TICK_S)
            self._ended(self.pipeline.tasks[name], status)
        for name in self.attempts:
            self.display.progress(name, last_line(self.run.log(name)))
        self._enforce_limits()
        self._save()

    def _enforce_limits(self) -> None:
        now = time.monotonic()
        limit = self.submission.timeout_s
        if limit is not None and now - self.started > limit and not self.stop_signal:
            self._stop(signal.SIGTERM, f"the run exceeded --timeout {limit:g} s")
        for name, attempt in self.attempts.items():
            if attempt.asked_to_stop is None:
                if self.stop_signal or now > attempt.deadline:
                    attempt.asked_to_stop = now
                    self._processes().signal(name, signal.SIGTERM)
            elif self.impatient or now - attempt.asked_to_stop > GRACE_S:
                self._processes().signal(name, signal.SIGKILL)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self.stop_signal:  # asked twice: no more grace
            self.impatient = True
            return
        self._stop(number, f"stopped by {signal.Signals(number).name}")

    def _stop(self, number: int, reason: str) -> None:
        self.stop_signal = number
        self.stop_reason = reason

    def _ended(self, task: Task, status: int) -> None:
        attempt = self.attempts.pop(task.name)
        self.machine.give_back(attempt.share)
        folder = self.run.task(task.name)
        mark = runs.read_mark(folder)
        if mark is not None and mark["key"] == attempt.key and mark["state"] == State.SUCCEEDED:
            self.cache.record(self.pipeline.name, task.name, attempt.components, folder)
            reuse.add_outputs(self.digests, task, mark)
            self._done(task, mark)
            return
        timed_out = attempt.asked_to_stop is not None and not self.stop_signal
        if timed_out:
            reason = f"exceeded its time limit of {task.resources.hours:g} h"
        elif mark is not None:
            reason = mark["reason"]
        else:
            reason = exit_reason(status)
        if mark is None or timed_out:
            self._mark_failed(task, attempt, status, reason)
        self.tasks[task.name]["duration_s"] = runs.seconds_since(attempt.started)
        self._failed(task, attempt, status, reason)

    def _mark_failed(self, task: Task, attempt: Attempt, status: int, reason: str) -> None:
        """Write the mark of a task that could not write its own."""
        context = self._context(task, attempt.key, attempt.number, attempt.share.cpus)
        runs.write_mark(
            self.run.task(task.name),
            context,
            state=State.FAILED,
            reason=reason,
            exit_code=status,
            argv=list(self.work.commands[task.name]),
            started_at=runs.time_of(attempt.started),
            ended_at=runs.now(),
            duration_s=runs.seconds_since(attempt.started),
        )

    def _done(self, task: Task, mark: dict[str, Any]) -> None:
        note = last_line(self.run.log(task.name))
        self.tasks[task.name].update(outputs=mark["outputs"], duration_s=mark["duration_s"])
        self._change(task.name, State.SUCCEEDED, reason="", note=note)
        self.schedule.finish(task)
        self.display.update(task.name, self.tasks[task.name])

    def _failed(self, task: Task, attempt: Attempt, status: int, reason: str) -> None:
        if self.stop_signal:
            self._change(task.name, State.CANCELLED, reason=self.stop_reason)
            self.display.update(task.name, self.tasks[task.name])
            return
        if attempt.number <= task.retries and status != USER_ERROR:
            delay_s = min(30.0, 2.0 ** (attempt.number - 1))
            self.not_before[task.name] = time.monotonic() + delay_s
            self._change(task.name, State.PENDING, reason=f"{reason}; trying again")
            self.schedule.again(task)
            self.display.update(task.name, self.tasks[task.name])
            return
        self._change(task.name, State.FAILED, reason=reason)
        self.display.update(task.name, self.tasks[task.name])
        for name in self.schedule.lose(task):
            self._change(name, State.SKIPPED, reason=f"{task.name} failed")
            self.display.update(name, self.tasks[name])
        self._show_log(task)

    def _show_log(self, task: Task) -> None:
        path = self.run.log(task.name)
        lines = tail(path, LOG_TAIL_LINES)
        known = lines == [f"error: {self.tasks[task.name]['reason']}"]
        say_log(self.display, task.name, [] if known else lines, str(path))

    # -- the record -------------------------------------------------------------------------------

    def _change(self, name: str, state: State, **values: Any) -> None:
        self.tasks[name].update(state=state, **values)
        self.unsaved = True
        self._save()

    def _save(self, *, force: bool = False) -> None:
        """Write ``run.json``, not more often than a person could read it: marks are the truth."""
        began = time.monotonic()
        if force or (self.unsaved and began >= self.next_save):
            self.run.write(self.record)
            self.unsaved = False
            ended = time.monotonic()
            self.next_save = ended + max(SAVE_INTERVAL_S, (ended - began) / SAVE_SHARE)

    def _finish(self) -> dict[str, Any]:
        states = {task["state"] for task in self.tasks.values()}
        if states <= {State.SUCCEEDED, State.REUSED}:
            self.record.update(state=State.SUCCEEDED, reason="")
        elif self.stop_signal:
            for name, task in self.tasks.items():
                if not State(task["state"]).final:
                    task.update(state=State.CANCELLED, reason=self.stop_reason)
                    self.display.update(name, task)
            self.record.update(state=State.CANCELLED, reason=self.stop_reason)
        else:
            failed = [name for name, task in self.tasks.items() if task["state"] == State.FAILED]
            reasons = [f"{name}: {self.tasks[name]['reason']}" for name in failed]
            self.record.update(state=State.FAILED, reason="; ".join(reasons))
        took = runs.seconds_since(self.started)
        self.record.update(ended_at=runs.now(), duration_s=took, exit_signal=self.stop_signal)
        self._save(force=True)
        return self.record
