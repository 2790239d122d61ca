"""Progress of a training."""

from __future__ import annotations

import time
from typing import Protocol, TextIO

from rmr1.report.terminal import TerminalProgress, duration
from rmr1.results import RlEvalMetrics, RlStepMetrics, SftEvalMetrics, SftStepMetrics

_LINE_EVERY_S = 15.0
_EARLY_LINES = 3
_SMOOTHING = 0.9


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
        """``done`` of ``total`` optimiser steps were done before; the rest may take so many seconds, if limited."""
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
        if self._shown < _EARLY_LINES or now - self._last_line >= _LINE_EVERY_S or step.step == self._total:
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
