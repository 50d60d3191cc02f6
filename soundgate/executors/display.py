"""Shows a run as it goes: a live table on a terminal, one line an event everywhere else."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.table import Table

    from soundgate.run_record import TaskRecord

COLORS = {
    "running": "cyan",
    "succeeded": "green",
    "reused": "green",
    "failed": "bold red",
    "skipped": "yellow",
    "cancelled": "yellow",
    "pending": "dim",
}


LOG_TAIL_LINES = 20


class Display(Protocol):
    """Where the progress of a run is shown."""

    def update(self, name: str, task: TaskRecord) -> None:
        """Show that a task's record changed."""

    def progress(self, name: str, line: str) -> None:
        """Show the last line that a running task wrote."""

    def say(self, text: str) -> None:
        """Show a sentence."""

    def close(self) -> None:
        """Leave the last state on the screen."""


def display(tasks: Mapping[str, TaskRecord], stream: TextIO | None = None) -> Display:
    """Return a live table where ``stream`` is a terminal, plain lines otherwise."""
    stream = stream or sys.stdout
    return LiveDisplay(tasks, stream) if stream.isatty() else PlainDisplay(tasks, stream)


@dataclass(slots=True)
class FailureLogs:
    """Shows the ends of failed tasks' logs, each text once."""

    shown: Display
    _said: dict[tuple[str, ...], str] = field(default_factory=dict)
    """End of a log to the task whose log it is."""

    def show(self, task: str, reason: str, lines: Sequence[str], whole: str) -> None:
        """Show the end of a task's log, and where all of it is.

        Args:
            task: the task.
            reason: why it failed, which was said already.
            lines: the end of its log.
            whole: its path, or the command that prints it.
        """
        lines = [line for line in lines if line != f"error: {reason}"]
        first = self._said.setdefault(tuple(lines), task)
        if lines and first != task:
            self.shown.say(f"--- the log of {task} ends like that of {first}")
        elif lines:
            self.shown.say(f"--- last lines of {task}'s log")
            self.shown.say("\n".join(lines))
        if whole:
            self.shown.say(f"--- whole log: {whole}")


def duration(seconds: float | None) -> str:
    """Return a duration as people write it.

    >>> duration(0.5), duration(75), duration(7300), duration(None)
    ('0.5 s', '1 min 15 s', '2 h 01 min', '')
    """
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60):02d} min"


class PlainDisplay:
    """One line an event; a log of CI stays readable."""

    def __init__(self, tasks: Mapping[str, TaskRecord], stream: TextIO) -> None:
        """Write to ``stream``."""
        self.stream = stream
        self.width = max((len(name) for name in tasks), default=0)

    def update(self, name: str, task: TaskRecord) -> None:
        """Print the task's state."""
        took = duration(task["duration_s"]) if task["state"] in ("succeeded", "failed") else ""
        about = task["note"] if task["state"] == "succeeded" else task["reason"]
        line = f"{name:{self.width}}  {task['state']:9}  {took:>11}  {about}"
        print(line.rstrip(), file=self.stream, flush=True)

    def progress(self, name: str, line: str) -> None:
        """Nothing: a log of CI has no use for what is overwritten at once."""

    def say(self, text: str) -> None:
        """Print the sentence."""
        print(text, file=self.stream, flush=True)

    def close(self) -> None:
        """Nothing is held back."""


class LiveDisplay:
    """A table that rich redraws in place."""

    def __init__(self, tasks: Mapping[str, TaskRecord], stream: TextIO) -> None:
        """Start drawing on a terminal."""
        from rich.console import Console
        from rich.live import Live

        self.tasks: dict[str, TaskRecord] = {name: {**task} for name, task in tasks.items()}
        self.started: dict[str, float] = {}
        self.live = Live(
            console=Console(file=stream),
            get_renderable=self._table,
            refresh_per_second=4,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self.live.start()

    def update(self, name: str, task: TaskRecord) -> None:
        """Take over the task's state."""
        self.tasks[name] = {**task}
        if task["state"] == "running":
            self.started.setdefault(name, time.monotonic())

    def progress(self, name: str, line: str) -> None:
        """Show the line beside the task."""
        self.tasks[name]["note"] = line

    def say(self, text: str) -> None:
        """Print above the table."""
        self.live.console.print(text, markup=False, highlight=False)

    def close(self) -> None:
        """Draw once more and stop."""
        self.live.stop()

    def _table(self) -> Table:
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
        names = max((len(name) for name in self.tasks), default=4)
        table.add_column("task", no_wrap=True, min_width=min(names, 40))
        table.add_column("state", no_wrap=True, min_width=9)
        table.add_column("time", no_wrap=True, min_width=11, justify="right")
        table.add_column("", no_wrap=True, overflow="ellipsis", ratio=1)  # what is left
        for name, task in self.tasks.items():
            took = task["duration_s"]
            if task["state"] == "running" and name in self.started:
                took = time.monotonic() - self.started[name]
            about = task["note"] if task["state"] in ("succeeded", "running") else task["reason"]
            style = COLORS[task["state"]]
            table.add_row(name, Text(task["state"], style), duration(took), Text(str(about)))
        return table
