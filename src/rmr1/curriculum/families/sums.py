"""Sums and differences (``chain_sum`` of reasoning-gym).

Levels: 1 sums of one-digit numbers, 2 also differences of them, 3 sums and differences of two-digit numbers.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from rmr1.curriculum.material import draw
from rmr1.curriculum.task import Finding, Twin
from rmr1.records import TaskType

# Python turns texts of at most some thousand digits into numbers; no task of this family needs more than these.
_PROMPT = re.compile(r"^What is (-?\d{1,18}(?: [+-] \d{1,18})+)\?$")
_NUMBER = re.compile(r"-?\d+")
_PHRASES = ("{}", "It is {}.", "The answer is {}.", "That makes {}.")
_NEAR = 3


@dataclass(frozen=True, slots=True)
class _Sum:
    expression: str

    @property
    def basis(self) -> str:
        return f"{self.expression} = {_value(self.expression)}"

    @property
    def wanted(self) -> str:
        return str(_value(self.expression))

    def examine(self, response: str) -> Finding:
        numbers = _NUMBER.findall(response)
        said = numbers[-1] if numbers else response
        return Finding(said == self.wanted, said, said)


class Sums:
    """Arithmetic; the wrong answer is that of a neighbouring task."""

    name = "sums"
    task_type: TaskType = "Reasoning"
    levels = 3

    def twin(self, level: int, chance: random.Random) -> Twin:
        """Two expressions whose values are close to each other."""
        first = _expression(level, chance)
        second = _expression(level, chance)
        while not 0 < abs(_value(first) - _value(second)) <= _NEAR:
            second = _expression(level, chance)
        phrase = chance.choice(_PHRASES)
        return Twin(
            f"What is {first}?", f"What is {second}?", phrase.format(_value(first)), phrase.format(_value(second))
        )

    def read(self, prompt: str) -> _Sum | None:
        """The expression to work out."""
        match = _PROMPT.match(prompt)
        return _Sum(match.group(1)) if match else None


def _expression(level: int, chance: random.Random) -> str:
    digits = 2 if level == 3 else 1
    settings = {"min_terms": 2, "max_terms": 2, "min_digits": digits, "max_digits": digits}
    while True:
        expression: str = draw("chain_sum", chance, **settings)["metadata"]["expression"]
        if level != 1 or "-" not in expression:
            return expression


def _value(expression: str) -> int:
    total, sign = 0, 1
    for part in expression.split(" "):
        if part in ("+", "-"):
            sign = 1 if part == "+" else -1
        else:
            total += sign * int(part)
    return total
