"""What a training tells of its course."""

from __future__ import annotations

from typing import Protocol, TypeAlias, TypeVar

from rmr1.results import RlEvalMetrics, RlStepMetrics, SftEvalMetrics, SftStepMetrics

StepT = TypeVar("StepT", contravariant=True)
HeldT = TypeVar("HeldT", contravariant=True)


class StepCallbacks(Protocol[StepT, HeldT]):
    """Told what a training is doing."""

    def say(self, message: str) -> None:
        """A sentence for the user."""

    def started(self, total: int, done: int, limit_s: float | None) -> None:
        """``done`` of ``total`` optimiser steps were done by an earlier process; the rest may take so many seconds, if limited."""

    def stepped(self, step: StepT) -> None:
        """One more optimiser step is done."""

    def evaluated(self, metrics: HeldT) -> None:
        """What is held out was evaluated."""


SftCallbacks: TypeAlias = StepCallbacks[SftStepMetrics, SftEvalMetrics]
RlCallbacks: TypeAlias = StepCallbacks[RlStepMetrics, RlEvalMetrics]
