"""Progress of an evaluation: one benchmark after the other."""

from __future__ import annotations

from rmr1.records import Judgment
from rmr1.report.progress import JudgingProgress


class EvalProgress(JudgingProgress):
    """Names each benchmark, and shows the progress of its judging."""

    def benchmark(self, name: str, number: int, of: int) -> None:
        """The judging of a benchmark begins, the first one being number 1."""
        self.say(f"{name} ({number} of {of})")

    def judged(self, judgment: Judgment) -> None:
        """One more comparison has all its completions."""
