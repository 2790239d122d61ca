"""Progress of a training."""

from __future__ import annotations

import time
from typing import Protocol, TextIO

from rmr1.reporting.terminal import TerminalProgress, duration

_LINE_EVERY_S = 15.0
_EARLY_LINES = 3
_SMOOTHING = 0.9


class TrainingStep(Protocol):
    """What is shown of an optimiser step."""

    @property
    def step(self) -> int: ...  # noqa: D102
    @property
    def loss(self) -> float: ...  # noqa: D102
    @property
    def learning_rate(self) -> float: ...  # noqa: D102
    @property
    def tokens(self) -> int: ...  # noqa: D102
    @property
    def seconds(self) -> float: ...  # noqa: D102


class HeldOut(Protocol):
    """What is shown of an evaluation on held-out traces."""

    @property
    def step(self) -> int: ...  # noqa: D102
    @property
    def loss(self) -> float: ...  # noqa: D102
    @property
    def accuracy(self) -> float | None: ...  # noqa: D102


class TrainingProgress(TerminalProgress):
    """Shows steps with loss, learning rate, speed and remaining time; the first steps at once, later ones now and then.

    Args:
        stage: What is trained, such as "SFT".
        stream: Where to write.
    """

    def __init__(self, stage: str, stream: TextIO | None = None) -> None:
        super().__init__(stage, stream)
        self._stage = stage
        self._total = self._shown = 0
        self._loss: float | None = None
        self._tokens, self._seconds, self._steps = 0, 0.0, 0
        self._last_line = time.monotonic()

    def started(self, total: int, done: int) -> None:
        """``done`` of ``total`` optimiser steps were done before."""
        self._total = total
        self._begin(total, done)
        if done:
            self.say(f"resuming: {done} of {total} steps are already done")

    def stepped(self, step: TrainingStep) -> None:
        """One more optimiser step is done."""
        self._loss = step.loss if self._loss is None else _SMOOTHING * self._loss + (1 - _SMOOTHING) * step.loss
        self._tokens += step.tokens
        self._seconds += step.seconds
        self._steps += 1
        state = self._state(step)
        if self._terminal:
            self._show(step.step, state)
            return
        now = time.monotonic()
        if self._shown < _EARLY_LINES or now - self._last_line >= _LINE_EVERY_S or step.step == self._total:
            self._shown += 1
            self._last_line = now
            self.say(f"{self._stage} step {step.step} of {self._total}, {state}")

    def evaluated(self, held: HeldOut) -> None:
        """The held-out traces were evaluated."""
        verdicts = "" if held.accuracy is None else f", right verdict letter likelier in {100 * held.accuracy:.0f} %"
        self.say(f"{self._stage} step {held.step}, held out: loss {held.loss:.3f}{verdicts}")

    def _state(self, step: TrainingStep) -> str:
        speed = self._tokens / max(self._seconds, 1e-9)
        left = (self._total - step.step) * self._seconds / self._steps
        return f"loss {self._loss:.3f}, lr {step.learning_rate:.1e}, {speed:.0f} tokens/s, {duration(left)} left"
