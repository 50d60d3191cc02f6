"""Which tasks are ready: each edge is looked at once, however many tasks there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from soundgate.pipeline import Pipeline
    from soundgate.task import Task


class Schedule:
    """The tasks that are ready, in the order in which they became so."""

    def __init__(self, pipeline: Pipeline) -> None:
        """Begin with the tasks that depend on nothing; on no task of ``pipeline``, that is."""
        self._tasks = pipeline.tasks
        self._lacks = {
            name: {upstream for upstream in task.depends_on if upstream in pipeline.tasks}
            for name, task in pipeline.tasks.items()
        }
        self._followers: dict[str, list[str]] = {name: [] for name in pipeline.tasks}
        for name, upstream in self._lacks.items():
            for other in upstream:
                self._followers[other].append(name)
        self.ready = {
            name: pipeline.tasks[name] for name, lacks in self._lacks.items() if not lacks
        }

    def start(self, task: Task) -> None:
        """Take a task out: it is being run."""
        del self.ready[task.name]

    def again(self, task: Task) -> None:
        """Put a task back, for another attempt."""
        self.ready[task.name] = task

    def finish(self, task: Task) -> None:
        """Take note that a task is done; what waited for it alone becomes ready."""
        self.ready.pop(task.name, None)
        for name in self._followers[task.name]:
            self._lacks[name].discard(task.name)
            if not self._lacks[name]:
                self.ready[name] = self._tasks[name]

    def lose(self, task: Task) -> list[str]:
        """Take note that a task failed; return what can no longer run, in order."""
        lost: set[str] = set()
        waiting = [task.name]
        while waiting:
            for name in self._followers[waiting.pop()]:
                if name not in lost:
                    lost.add(name)
                    waiting.append(name)
        return [name for name in self._tasks if name in lost]
