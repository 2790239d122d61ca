"""Where progress is shown: a bar on a terminal, lines elsewhere; stdout stays for data."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn


class TerminalProgress:
    """A bar with a count and a line of state, and sentences above it.

    Args:
        doing: What the bar is called.
        stream: Where to write; standard error where not given.
    """

    def __init__(self, doing: str, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()
        self._bar = Progress(
            TextColumn(doing),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[state]}"),
            console=Console(file=self._stream),
            disable=not self._terminal,
            transient=True,
        )
        self._task = self._bar.add_task(doing, total=None, state="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def say(self, message: str) -> None:
        """Print a line, above the bar if there is one."""
        if self._terminal:
            self._bar.console.print(message, highlight=False, markup=False)
        else:
            print(message, file=self._stream, flush=True)

    def _begin(self, total: int | None, done: int) -> None:
        self._bar.reset(self._task, total=total, completed=done, state="")

    def _show(self, completed: int, state: str) -> None:
        self._bar.update(self._task, completed=completed, state=state)


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
