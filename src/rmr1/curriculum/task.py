"""What a curriculum is made of: tasks in twins, and programs that decide which response is right.

Two tasks are twins when the right response of each is the wrong one of the other. So every response is chosen as often as it is
rejected, and no property of a response alone (its length, its words, its style) predicts the label: only the task's demand does.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Protocol

from rmr1.records import TaskType


@dataclass(frozen=True, slots=True)
class Twin:
    """Two tasks: ``right_for_first`` is wrong for the second, ``right_for_second`` is wrong for the first."""

    first: str
    second: str
    right_for_first: str
    right_for_second: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What a program says of one response.

    Args:
        meets: Whether the response meets the demand.
        evidence: The words of the response that show it, verbatim, or a paraphrase where ``quoted`` is false.
        found: What the evidence shows, in the form of the demand's ``wanted``. The trace puts the two side by side: a small model
            learns to compare neighbours far sooner than what stands apart.
        quoted: Whether ``evidence`` is a verbatim quotation.
    """

    meets: bool
    evidence: str
    found: str
    quoted: bool = True


class Demand(Protocol):
    """What a prompt asks for, read from its text.

    Attributes:
        basis: The solution (Reasoning) or the criterion (Chat) that responses are held to.
        wanted: What it comes down to, in a word where that is possible.
    """

    @property
    def basis(self) -> str: ...  # noqa: D102
    @property
    def wanted(self) -> str: ...  # noqa: D102

    def examine(self, response: str) -> Finding:
        """Decide whether a response meets the demand."""
        ...


class Family(Protocol):
    """Tasks of one kind, at levels of difficulty from 1 up.

    Attributes:
        name: Name of the family, and category of its pairs.
        task_type: How a judge should classify its tasks.
        levels: The number of levels.
    """

    name: str
    task_type: TaskType
    levels: int

    def twin(self, level: int, chance: random.Random) -> Twin:
        """Draw two tasks whose right responses are each other's wrong ones."""
        ...

    def read(self, prompt: str) -> Demand | None:
        """What a prompt of this family demands; None for a prompt of another kind."""
        ...
