"""The loop of the local executor: start what is ready, wait, take note, until nothing is left."""

from __future__ import annotations

import os
import queue
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soundgate import runs
from soundgate.executors import folders, reuse
from soundgate.executors.display import LOG_TAIL_LINES, FailureLogs, display
from soundgate.executors.logs import last_line, tail
from soundgate.executors.running.hosts import Failure
from soundgate.executors.running.launcher import Launcher, Spec
from soundgate.executors.running.processes import exit_reason
from soundgate.executors.running.schedule import Schedule
from soundgate.executors.running.work import Attempt
from soundgate.reuse.cache import Cache, Hit, Miss
from soundgate.runs import State

if TYPE_CHECKING:
    from types import FrameType
    from typing import Self

    from soundgate.executors.records import KeptRecord
    from soundgate.executors.running.hosts import Host
    from soundgate.executors.running.machine import Share
    from soundgate.executors.running.work import Work
    from soundgate.pipeline import Resources, Task
    from soundgate.reuse.cache import Components
    from soundgate.run_record import RunRecord, TaskMark

GRACE_S = 10.0  # from SIGTERM to SIGKILL: long enough to write a checkpoint
LONGEST_END_S = 5.0  # from SIGKILL to an end that the launcher tells of; it may be stopped
TICK_S = 0.5


class Runner:
    """Runs the tasks of one run on a host."""

    def __init__(
        self, work: Work, record: KeptRecord, host: Host, *, timeout_s: float | None = None
    ) -> None:
        """Prepare; nothing is started before ``execute``.

        Args:
            work: the tasks, and what is known about them.
            record: the run's record.
            host: how and with what they run.
            timeout_s: the run is stopped after this time.
        """
        self.work = work
        self.pipeline = work.pipeline
        self.run = work.run
        self.record = record
        self.host = host
        self.timeout_s = timeout_s
        self.cache = Cache(work.run.root)
        self.tasks = record.tasks
        self.commit = record.values["commit"]
        self.attempts: dict[str, Attempt] = {}
        self.schedule = Schedule(work.pipeline)
        self.digests = work.digests
        self.decisions: dict[str, tuple[Components, Hit | Miss]] = {}
        self.not_before: dict[str, float] = {}
        self.paused = False
        self.stop_signal = 0
        self.stop_reason = ""
        self.impatient = False
        self.finishing: list[str] | None = None
        self.started = time.monotonic()
        self._launcher: Launcher | None = None
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> Self:
        """Take over Ctrl-C and SIGTERM, and draw."""
        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(ValueError):  # not the main thread: whoever owns it decides
                self._handlers[number] = signal.signal(number, self._on_signal)
        self.display = display(self.tasks, sys.stderr if self.work.quiet else sys.stdout)
        self.logs = FailureLogs(self.display)
        return self

    def __exit__(self, *_error: object) -> None:
        """End every process and give the signals back."""
        if self._launcher is not None:
            self._launcher.close()
        self.display.close()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def execute(self) -> RunRecord:
        """Run until every task is final; return the run's record."""
        self.record.values.update({"state": State.RUNNING, "reason": "", "ended_at": None})
        for task in self.tasks.values():  # what an earlier runner finished is found by its mark
            task.update({"state": State.PENDING, "reason": "", "note": "", "attempt": 0})
        self.record.save(force=True)
        folders.write_inputs(self.run, self.digests)
        while True:
            self._start_ready()
            if not self.attempts and (self.stop_signal or self.paused or not self.schedule.ready):
                break
            self._wait()
        return self._finish()

    def pause(self) -> None:
        """Start nothing more; what runs goes on."""
        self.paused = True

    def signal(self, name: str, number: int) -> None:
        """Send a signal to the processes of a running task."""
        if name in self.attempts:
            self._processes().signal(name, number)

    def _start_ready(self) -> None:
        progress = True
        # a reused task may make others ready at once
        while progress and not (self.stop_signal or self.paused):
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
            cores = self.host.machine.cores_of(task.resources)
            components = self.cache.components(task, self.digests, cores)
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
        share = self.host.machine.take(task.resources)
        if share is None:
            refused.add(task.resources)
        else:
            self._start(task, share, found.reason)
        return False

    def _adopt(self, task: Task, hit: Hit) -> bool:
        """Take over a result; False where it went away in the meantime."""
        folder = self.run.task(task.name)
        own = hit.folder == folder
        key = hit.mark["key"]
        context = self.work.context(task, key, self.commit)
        mark = hit.mark if own else self.cache.adopt(hit, folder, context)
        if mark is None:
            return False
        reuse.add_outputs(self.digests, task, mark)
        reason = "finished before" if own else hit.reason
        state = State(mark["state"]) if own else State.REUSED
        self.record.change(task.name, state, reason=reason, note=last_line(self.run.log(task.name)))
        took_s = mark.get("duration_s")
        self.tasks[task.name].update({"outputs": mark["outputs"], "duration_s": took_s})
        self.schedule.finish(task)
        self.display.update(task.name, {**self.tasks[task.name], "state": State.REUSED})
        return True

    def _start(self, task: Task, share: Share, reason: str) -> None:
        folder = self.run.task(task.name)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / runs.MARK).unlink(missing_ok=True)
        made_of = reuse.begin(self.cache, task, self.digests, self.run, share.cpus)
        key = self.cache.key(made_of[0])
        number = self.tasks[task.name]["attempt"] + 1
        log = self.run.log(task.name)
        attempt = Attempt.begin(task, share, number, key, made_of, log)
        self.attempts[task.name] = attempt
        self.schedule.start(task)
        spec = Spec(
            id=task.name,
            argv=self.host.argv(task, self.work.commands[task.name], share),
            env=self._environment(task, attempt),
            cwd=str(Path.cwd()),
            log=str(log.absolute()),
            cpus=share.cpus,
        )
        self._processes().start(spec)
        self.tasks[task.name].update({"attempt": number, "started_at": runs.now()})
        self.record.change(task.name, State.RUNNING, reason=reason)
        self.display.update(task.name, self.tasks[task.name])

    def _processes(self) -> Launcher:
        if self._launcher is None:
            modules = {task.module for task in self.pipeline.tasks.values()}
            used = {lib for m in modules for lib in self.cache.sources.program(m).imported}
            self._launcher = self.host.launcher(sorted(used))
        return self._launcher

    def _environment(self, task: Task, attempt: Attempt) -> dict[str, str]:
        context = attempt.context(self.work.context(task, attempt.key, self.commit))
        return {**os.environ, **context.environment(), **self.host.variables(attempt.share)}

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
        while self.finishing:  # not in the handler, which may interrupt who holds a lock
            self.signal(self.finishing.pop(), signal.SIGINT)
        self._enforce_limits()
        self.record.save()

    def _enforce_limits(self) -> None:
        now = time.monotonic()
        limit = self.timeout_s
        if limit is not None and now - self.started > limit and not self.stop_signal:
            self._stop(signal.SIGTERM, f"the run exceeded --timeout {limit:g} s")
        for name, attempt in self.attempts.items():
            if attempt.asked_to_stop is None:
                if self.stop_signal or now > attempt.deadline:
                    attempt.asked_to_stop = now
                    self._processes().signal(name, signal.SIGTERM)
            elif self.impatient or now - attempt.asked_to_stop > GRACE_S:
                attempt.killed = attempt.killed or now
                self._processes().signal(name, signal.SIGKILL)
                if now - attempt.killed > LONGEST_END_S:
                    self._processes().abandon(name)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self.stop_signal:  # asked twice: no more grace
            self.impatient = True
            return
        if number == signal.SIGINT and self.finishing is None:
            # trainings end in good order on Ctrl-C, after their epoch
            may = runs.may_finish_early
            self.finishing = [n for n, a in self.attempts.items() if may(self.run.task(n), a.token)]
            if self.finishing:
                return
        self._stop(number, f"stopped by {signal.Signals(number).name}")

    def _stop(self, number: int, reason: str) -> None:
        self.stop_signal = number
        self.stop_reason = reason

    def _ended(self, task: Task, status: int) -> None:
        attempt = self.attempts.pop(task.name)
        self.host.machine.give_back(attempt.share)
        folder = self.run.task(task.name)
        mark = runs.read_mark(folder)
        if mark is not None and mark["key"] == attempt.key and mark["state"] == State.SUCCEEDED:
            made_of = attempt.components, attempt.seen
            doubt = reuse.conclude(self.cache, self.pipeline, task, self.run, *made_of)
            reuse.add_outputs(self.digests, task, mark)
            self._done(task, mark, f"{doubt}: not reused later" if doubt else "")
            return
        timed_out = attempt.asked_to_stop is not None and not self.stop_signal
        if timed_out:
            reason = f"exceeded its time limit of {task.resources.hours:g} h"
        elif mark is not None:
            reason = mark["reason"]
        else:
            reason = exit_reason(status)
        unmarked = mark is None or timed_out
        if unmarked and (self.host.marks_stopped_tasks or not self.stop_signal):
            # a time limit of its own is the last word about a task, a signal from outside is not
            self._mark_failed(task, attempt, 1 if timed_out else status, reason)
        self.tasks[task.name]["duration_s"] = runs.seconds_since(attempt.started)
        self._failed(task, attempt, status, reason)

    def _mark_failed(self, task: Task, attempt: Attempt, status: int, reason: str) -> None:
        """Write the mark of a task that could not write its own."""
        runs.write_mark(
            self.run.task(task.name),
            attempt.context(self.work.context(task, attempt.key, self.commit)),
            state=State.FAILED,
            reason=reason,
            exit_code=status,
            argv=list(self.work.commands[task.name]),
            started_at=runs.time_of(attempt.started),
            ended_at=runs.now(),
            duration_s=runs.seconds_since(attempt.started),
        )

    def _done(self, task: Task, mark: TaskMark, doubt: str) -> None:
        note = doubt or last_line(self.run.log(task.name))
        self.tasks[task.name].update({"outputs": mark["outputs"], "duration_s": mark["duration_s"]})
        self.record.change(task.name, State.SUCCEEDED, reason="", note=note)
        self.schedule.finish(task)
        self.display.update(task.name, self.tasks[task.name])

    def _failed(self, task: Task, attempt: Attempt, status: int, reason: str) -> None:
        verdict = self.host.judge(
            Failure(
                task=task,
                attempt=attempt.number,
                status=status,
                reason=reason,
                mark=runs.read_mark(self.run.task(task.name)),
                stopped=self.stop_reason,
            )
        )
        if not verdict.keeps_mark:
            (self.run.task(task.name) / runs.MARK).unlink(missing_ok=True)
        self.record.change(task.name, verdict.state, reason=verdict.reason)
        if verdict.retry_after_s is not None:
            self.not_before[task.name] = time.monotonic() + verdict.retry_after_s
            self.schedule.again(task)
        self.display.update(task.name, self.tasks[task.name])
        if verdict.state == State.FAILED:
            self._give_up(task, attempt)

    def _give_up(self, task: Task, attempt: Attempt) -> None:
        """Skip what reads a task that failed for good, and show the end of its log."""
        for name in self.schedule.lose(task):
            if self.tasks[name]["state"] == State.SKIPPED:
                continue  # for another failure before: it was said then
            self.record.change(name, State.SKIPPED, reason=f"{task.name} failed")
            self.display.update(name, self.tasks[name])
        path = self.run.log(task.name)
        lines = tail(path, LOG_TAIL_LINES, start=attempt.log_start)
        self.logs.show(task.name, self.tasks[task.name]["reason"], lines, str(path))

    def _finish(self) -> RunRecord:
        for name in self.record.conclude(self.stop_reason):
            self.display.update(name, self.tasks[name])
        took = runs.seconds_since(self.started)
        self.record.values.update({"ended_at": runs.now(), "duration_s": took})
        self.record.values["exit_signal"] = self.stop_signal
        self.record.save(force=True)
        return self.record.values
