"""What a training reports while it runs."""

from __future__ import annotations

from typing import Protocol, TypeAlias, TypeVar

from rmr1.results import RlEvalMetrics, RlStepMetrics, SftEvalMetrics, SftStepMetrics
from rmr1.runs import Callbacks

StepT = TypeVar("StepT", contravariant=True)
EvalT = TypeVar("EvalT", contravariant=True)


class StepCallbacks(Callbacks, Protocol[StepT, EvalT]):
    """Events of a training: its steps and its evaluations."""

    def started(self, total: int, done: int, limit_s: float | None) -> None:
        """``done`` of ``total`` optimiser steps were done by an earlier process; the rest may take ``limit_s`` seconds, if any."""

    def stepped(self, step: StepT) -> None:
        """One more optimiser step is done."""

    def evaluated(self, metrics: EvalT) -> None:
        """The held-out examples were evaluated."""


SftCallbacks: TypeAlias = StepCallbacks[SftStepMetrics, SftEvalMetrics]
RlCallbacks: TypeAlias = StepCallbacks[RlStepMetrics, RlEvalMetrics]
