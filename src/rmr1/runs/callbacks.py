"""What long jobs tell: a base for the callbacks of all verbs, and the ones that tell nobody."""

from __future__ import annotations

from typing import Protocol


class Callbacks(Protocol):
    """Told what a job is doing."""

    def say(self, message: str) -> None:
        """A sentence for the user."""


class NullCallbacks:
    """Callbacks of every verb that do nothing: the default in Python, and for all processes but the first of several."""

    def say(self, message: str) -> None:
        """Nothing."""

    def started(self, total: int | None, done: int, limit_s: float | None = None) -> None:
        """Nothing."""

    def answered(self, usage: object) -> None:
        """Nothing."""

    def judged(self, judgment: object) -> None:
        """Nothing."""

    def benchmark(self, name: str, number: int, of: int) -> None:
        """Nothing."""

    def stepped(self, step: object) -> None:
        """Nothing."""

    def evaluated(self, metrics: object) -> None:
        """Nothing."""
