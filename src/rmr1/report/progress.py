"""Progress of judging."""

from __future__ import annotations

import time
from typing import TextIO

from rmr1.records import Usage
from rmr1.report.terminal import TerminalProgress, duration

_LINE_EVERY_S = 10.0


class JudgingProgress(TerminalProgress):
    """Counts answered comparisons, with rate and remaining time.

    Args:
        stream: Where to write.
        doing: What the bar is called.
    """

    def __init__(self, stream: TextIO | None = None, doing: str = "judging") -> None:
        super().__init__(doing, stream)
        self._total: int | None = None
        self._before = self._answered = self._tokens = 0
        self._began = self._last_line = time.monotonic()

    def started(self, total: int | None, done: int) -> None:
        """``done`` of ``total`` comparisons were answered before."""
        self._total, self._before = total, done
        self._answered = self._tokens = 0
        self._began = self._last_line = time.monotonic()
        self._begin(total, done)
        if done:
            self.say(f"resuming: {done} comparisons are already answered")

    def answered(self, usage: Usage) -> None:
        """One more comparison is answered."""
        self._answered += 1
        self._tokens += usage.completion_tokens
        now = time.monotonic()
        done = self._before + self._answered
        state = f"{self._rate(now)}{self._remaining(now)}"
        if self._terminal:
            self._show(done, state)
        elif now - self._last_line >= _LINE_EVERY_S:
            self._last_line = now
            self.say(f"{done} of {self._total or '?'} comparisons, {state}")

    def _rate(self, now: float) -> str:
        seconds = max(now - self._began, 1e-9)
        return f"{self._answered / seconds:.2f}/s, {self._tokens / seconds:.0f} tokens/s"

    def _remaining(self, now: float) -> str:
        if self._total is None or not self._answered:
            return ""
        left = (self._total - self._before - self._answered) * (now - self._began) / self._answered
        return f", {duration(left)} left"
