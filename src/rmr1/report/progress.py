"""Progress of long jobs: a bar on a terminal, lines elsewhere; stdout stays for data."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Protocol, Self, TextIO

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from rmr1.records import Judgment, Usage
from rmr1.report.terminal import printable, terminal_console
from rmr1.results import RlEvalMetrics, RlStepMetrics, SftEvalMetrics, SftStepMetrics

_LINE_EVERY_S = 10.0
_STEP_LINE_EVERY_S = 15.0
_EARLY_LINES = 3
_SMOOTHING = 0.9


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
            TextColumn(printable(doing), markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[state]}"),
            console=terminal_console(self._stream),
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
            print(printable(message), file=self._stream, flush=True)

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


class ExaminationProgress(TerminalProgress):
    """Counts the requests of an examination.

    Args:
        stream: Where to write.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__("examining", stream)
        self._requests = 0

    def started(self, total: int | None, done: int) -> None:
        """Up to ``total`` requests will be sent."""
        self._requests = done
        self._begin(total, done)

    def answered(self, usage: Usage) -> None:
        """One more request is answered."""
        self._requests += 1
        self._show(self._requests, "requests")


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

    def spared(self, comparisons: int) -> None:
        """Some comparisons need not be answered."""
        if self._total is not None:
            self._total -= comparisons
            self._bar.update(self._task, total=self._total)

    def judged(self, judgment: Judgment) -> None:
        """One more pair is judged; the bar counts comparisons."""

    def _rate(self, now: float) -> str:
        seconds = max(now - self._began, 1e-9)
        return f"{self._answered / seconds:.2f}/s, {self._tokens / seconds:.0f} tokens/s"

    def _remaining(self, now: float) -> str:
        if self._total is None or not self._answered:
            return ""
        left = (self._total - self._before - self._answered) * (now - self._began) / self._answered
        return f", {duration(left)} left"


class EvalProgress(JudgingProgress):
    """Names each benchmark, and shows the progress of its judging."""

    def benchmark(self, name: str, number: int, of: int) -> None:
        """The judging of a benchmark begins, the first one being number 1."""
        self.say(f"{name} ({number} of {of})")

    def judged(self, judgment: Judgment) -> None:
        """One more comparison has all its completions."""


class _Numbered(Protocol):
    @property
    def step(self) -> int: ...
    @property
    def seconds(self) -> float: ...


class _StepProgress(TerminalProgress):
    """Shows optimiser steps: in a terminal on one line, elsewhere the first steps at once and later ones now and then."""

    def __init__(self, stage: str, stream: TextIO | None = None) -> None:
        super().__init__(stage, stream)
        self._stage = stage
        self._total = self._shown = self._steps = 0
        self._seconds = 0.0
        self._limit_s: float | None = None
        self._last_line = time.monotonic()

    def started(self, total: int, done: int, limit_s: float | None = None) -> None:
        """``done`` of ``total`` optimiser steps were done before; the rest may take ``limit_s`` seconds, if limited."""
        self._total, self._limit_s = total, limit_s
        self._begin(total, done)
        if done:
            self.say(f"resuming: {done} of {total} steps are already done")

    def _tell(self, step: _Numbered, figures: str) -> None:
        self._seconds += step.seconds
        self._steps += 1
        state = f"{figures}, {duration(self._left_s(step))} left"
        if self._terminal:
            self._show(step.step, state)
            return
        now = time.monotonic()
        if self._shown < _EARLY_LINES or now - self._last_line >= _STEP_LINE_EVERY_S or step.step == self._total:
            self._shown += 1
            self._last_line = now
            most = "" if self._limit_s is None else "at most "
            self.say(f"{self._stage} step {step.step} of {most}{self._total}, {state}")

    def _left_s(self, step: _Numbered) -> float:
        left = (self._total - step.step) * self._seconds / self._steps
        return left if self._limit_s is None else min(left, max(0.0, self._limit_s - self._seconds))


class TrainingProgress(_StepProgress):
    """Shows steps with loss, learning rate, speed and remaining time.

    Args:
        stage: What is trained, such as "SFT".
        stream: Where to write.
    """

    def __init__(self, stage: str, stream: TextIO | None = None) -> None:
        super().__init__(stage, stream)
        self._loss: float | None = None
        self._tokens = 0

    def stepped(self, step: SftStepMetrics) -> None:
        """One more optimiser step is done."""
        self._loss = _smoothed(self._loss, step.loss)
        self._tokens += step.tokens
        speed = self._tokens / max(self._seconds + step.seconds, 1e-9)
        self._tell(step, f"loss {self._loss:.3f}, lr {step.learning_rate:.1e}, {speed:.0f} tokens/s")

    def evaluated(self, metrics: SftEvalMetrics) -> None:
        """The held-out traces were evaluated."""
        verdicts = (
            "" if metrics.accuracy is None else f", right verdict letter likelier in {100 * metrics.accuracy:.0f} %"
        )
        self.say(f"{self._stage} step {metrics.step}, held out: loss {metrics.loss:.3f}{verdicts}")


class RewardProgress(_StepProgress):
    """Shows steps of RL with reward, accuracy and remaining time.

    Args:
        stage: What is trained, such as "GRPO".
        stream: Where to write.
    """

    def __init__(self, stage: str, stream: TextIO | None = None) -> None:
        super().__init__(stage, stream)
        self._reward: float | None = None
        self._accuracy: float | None = None

    def stepped(self, step: RlStepMetrics) -> None:
        """One more optimiser step is done."""
        self._reward = _smoothed(self._reward, step.reward)
        self._accuracy = _smoothed(self._accuracy, step.accuracy)
        figures = f"reward {self._reward:+.2f}, right {100 * self._accuracy:.0f} %, invalid {100 * step.invalid:.0f} %"
        self._tell(step, f"{figures}, {100 * step.computed:.0f} % of rollouts computed, {step.seconds:.0f} s a step")

    def evaluated(self, metrics: RlEvalMetrics) -> None:
        """The held-out pairs were judged."""
        consistency = metrics.position_consistency
        same = "" if consistency is None else f", {100 * consistency:.0f} % consistent"
        self.say(
            f"{self._stage} step {metrics.step}, held out: {100 * metrics.accuracy:.0f} % right in both orders{same}, "
            f"{100 * metrics.invalid:.0f} % invalid"
        )


def _smoothed(before: float | None, value: float) -> float:
    return value if before is None else _SMOOTHING * before + (1 - _SMOOTHING) * value
