"""What a training reports while it runs."""

from __future__ import annotations

from typing import Protocol, TypeAlias, TypeVar

from rmr1.results import RlEvalMetrics, RlStepMetrics, SftEvalMetrics, SftStepMetrics

StepT = TypeVar("StepT", contravariant=True)
EvalT = TypeVar("EvalT", contravariant=True)


class StepCallbacks(Protocol[StepT, EvalT]):
    """Told of the steps of a training and of its evaluations."""

    def say(self, message: str) -> None:
        """A sentence for the user."""

    def started(self, total: int, done: int, limit_s: float | None) -> None:
        """``done`` of ``total`` optimiser steps were done by an earlier process; the rest may take ``limit_s`` seconds, if any."""

    def stepped(self, step: StepT) -> None:
        """One more optimiser step is done."""

    def evaluated(self, metrics: EvalT) -> None:
        """The held-out examples were evaluated."""


SftCallbacks: TypeAlias = StepCallbacks[SftStepMetrics, SftEvalMetrics]
RlCallbacks: TypeAlias = StepCallbacks[RlStepMetrics, RlEvalMetrics]
