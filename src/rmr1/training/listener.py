"""What a training tells of its course."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Step:
    """One optimiser step.

    Args:
        step: Its number, from 1.
        loss: Mean negative log-likelihood of a supervised token of the step, in nats.
        learning_rate: The one that it used.
        grad_norm: Norm of the gradient before clipping.
        epoch: Passes over the traces so far.
        tokens: Tokens of the step, prompts included, padding not.
        supervised: Tokens of the step that the loss is on.
        seconds: Time of the step.
    """

    step: int
    loss: float
    learning_rate: float
    grad_norm: float
    epoch: float
    tokens: int
    supervised: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Held:
    """One evaluation on the held-out traces, teacher-forced.

    Args:
        step: Optimiser steps so far; 0 is the model before training.
        loss: Mean negative log-likelihood of a supervised token, in nats.
        accuracy: Share of the traces where the letter of the label is likelier than the other one at the verdict; None where no
            trace has a verdict that can be located.
        p_gold: Mean probability of the label's letter against the other one.
        traces: How many traces were evaluated.
        verdicts: How many of them have a located verdict.
    """

    step: int
    loss: float
    accuracy: float | None
    p_gold: float | None
    traces: int
    verdicts: int


class SftListener(Protocol):
    """Told what a training is doing."""

    def say(self, message: str) -> None:
        """A sentence for the user."""

    def started(self, total: int, done: int) -> None:
        """``done`` of ``total`` optimiser steps were done by an earlier process."""

    def stepped(self, step: Step) -> None:
        """One more optimiser step is done."""

    def evaluated(self, held: Held) -> None:
        """The held-out traces were evaluated."""


class Silence:
    """The listener of all processes but the first, where several train together."""

    def say(self, message: str) -> None:
        """Nothing."""

    def started(self, total: int, done: int) -> None:
        """Nothing."""

    def stepped(self, step: Step) -> None:
        """Nothing."""

    def evaluated(self, held: Held) -> None:
        """Nothing."""
