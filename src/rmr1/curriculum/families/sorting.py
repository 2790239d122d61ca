"""Numbers in ascending or descending order (``number_sorting`` of reasoning-gym). Level n sorts n + 1 numbers below 100."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from rmr1.curriculum.material import draw
from rmr1.curriculum.task import Finding, Twin
from rmr1.records import TaskType

_PROMPT = re.compile(r"^Sort from (smallest to largest|largest to smallest): (\d{1,18}(?:, \d{1,18})+)$")
_NUMBERS = re.compile(r"\d+(?:, \d+)*")


@dataclass(frozen=True, slots=True)
class _Order:
    numbers: tuple[int, ...]
    falling: bool

    @property
    def basis(self) -> str:
        return f"{'large' if self.falling else 'small'} first: {self._answer}"

    @property
    def wanted(self) -> str:
        return self._answer.partition(",")[0]

    @property
    def _answer(self) -> str:
        return _written(sorted(self.numbers, reverse=self.falling))

    def examine(self, response: str) -> Finding:
        listed = _NUMBERS.search(response)
        said = listed.group() if listed else response
        first = said.partition(",")[0]
        # The first number tells the two directions apart; a list that goes wrong later is named as a whole.
        return Finding(said == self._answer, said, said if first == self.wanted and said != self._answer else first)


class Sorting:
    """Sorting; the wrong answer is sorted the other way."""

    name = "sorting"
    task_type: TaskType = "Reasoning"
    levels = 3

    def twin(self, level: int, chance: random.Random) -> Twin:
        """The same numbers, to be sorted up and down."""
        numbers: list[int] = []
        while len(set(numbers)) <= level:
            size = level + 1
            drawn = draw(
                "number_sorting", chance, min_numbers=size, max_numbers=size, max_decimals=0, min_value=1, max_value=99
            )
            numbers = [int(float(number)) for number in drawn["metadata"]["original_numbers"]]
        up, down = sorted(numbers), sorted(numbers, reverse=True)
        shown = _written(numbers)
        prompts = (f"Sort from smallest to largest: {shown}", f"Sort from largest to smallest: {shown}")
        return Twin(*prompts, _written(up), _written(down))

    def read(self, prompt: str) -> _Order | None:
        """The numbers and the direction."""
        match = _PROMPT.match(prompt)
        if match is None:
            return None
        return _Order(tuple(int(number) for number in match.group(2).split(", ")), match.group(1).startswith("largest"))


def _written(numbers: list[int]) -> str:
    return ", ".join(str(number) for number in numbers)
