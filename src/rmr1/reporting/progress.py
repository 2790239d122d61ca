"""Progress on stderr: a bar on a terminal, a line now and then elsewhere; stdout stays for data."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from rmr1.records import Usage

_LINE_EVERY_S = 10.0


class JudgingProgress:
    """Counts answered comparisons, with rate and remaining time.

    Args:
        stream: Where to write.
        doing: What the bar is called.
    """

    def __init__(self, stream: TextIO | None = None, doing: str = "judging") -> None:
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()
        self._bar = Progress(
            TextColumn(doing),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=Console(file=self._stream),
            disable=not self._terminal,
            transient=True,
        )
        self._task = self._bar.add_task(doing, total=None, rate="")
        self._total: int | None = None
        self._before = self._answered = self._tokens = 0
        self._began = self._last_line = time.monotonic()

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

    def started(self, total: int | None, done: int) -> None:
        """``done`` of ``total`` comparisons were answered before."""
        self._total, self._before = total, done
        self._began = self._last_line = time.monotonic()
        self._bar.reset(self._task, total=total, completed=done, rate="")
        if done:
            self.say(f"resuming: {done} comparisons are already answered")

    def answered(self, usage: Usage) -> None:
        """One more comparison is answered."""
        self._answered += 1
        self._tokens += usage.completion_tokens
        now = time.monotonic()
        if self._terminal:
            self._bar.update(self._task, advance=1, rate=self._rate(now))
        elif now - self._last_line >= _LINE_EVERY_S:
            self._last_line = now
            self.say(
                f"{self._before + self._answered} of {self._total or '?'} comparisons, {self._rate(now)}{self._remaining(now)}"
            )

    def _rate(self, now: float) -> str:
        seconds = max(now - self._began, 1e-9)
        return f"{self._answered / seconds:.2f}/s, {self._tokens / seconds:.0f} tokens/s"

    def _remaining(self, now: float) -> str:
        if self._total is None or not self._answered:
            return ""
        left = (self._total - self._before - self._answered) * (now - self._began) / self._answered
        return f", {_duration(left)} left"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
