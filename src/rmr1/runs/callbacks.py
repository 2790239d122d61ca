"""What long jobs report while they run: sentences for the user, and events with their numbers."""

from __future__ import annotations

from typing import Protocol


class Callbacks(Protocol):
    """Events of any job. Verbs that report more extend it, each in its own package."""

    def say(self, message: str) -> None:
        """A sentence for the user."""


class NullCallbacks:
    """Callbacks for every verb that do nothing: the default in Python, and in all processes but the first of several.

    To follow a job from Python, override the events that you want:

    >>> class Losses(NullCallbacks):
    ...     def stepped(self, step):
    ...         print(step.step, step.loss)
    """

    def say(self, message: str) -> None:
        """A sentence for the user."""

    def started(self, total: int | None, done: int, limit_s: float | None = None) -> None:
        """A job, or a part of it, begins.

        Args:
            total: Completions or optimiser steps in all; None if that is not known.
            done: How many of them an earlier process has done.
            limit_s: Seconds after which a training stops; None for no limit.
        """

    def answered(self, usage: object) -> None:
        """A model has answered one more request.

        Args:
            usage: Its tokens, a ``Usage``.
        """

    def spared(self, comparisons: int) -> None:
        """This many comparisons need not be written: the votes before them settle the pair, or the answer is in the cache."""

    def judged(self, judgment: object) -> None:
        """One more pair is judged.

        Args:
            judgment: Its votes combined, a ``Judgment``.
        """

    def benchmark(self, name: str, number: int, of: int) -> None:
        """An evaluation begins its next benchmark, ``number`` of ``of``."""

    def stepped(self, step: object) -> None:
        """One more optimiser step is done.

        Args:
            step: Its metrics, an ``SftStepMetrics`` or ``RlStepMetrics``.
        """

    def evaluated(self, metrics: object) -> None:
        """A model in training was evaluated on held-out data.

        Args:
            metrics: An ``SftEvalMetrics`` or ``RlEvalMetrics``.
        """
