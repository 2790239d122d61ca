"""A list with a given number of items. Levels: 1 two or three, 2 three to five, 3 five to eight."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from rmr1.curriculum.material import THINGS
from rmr1.curriculum.task import Finding, Twin
from rmr1.records import TaskType

_PROMPT = re.compile(r"^Name exactly (\d) ([a-z]+)\.$")
_RANGES = {1: (2, 3), 2: (3, 5), 3: (5, 8)}


@dataclass(frozen=True, slots=True)
class _Count:
    number: int
    things: str

    @property
    def basis(self) -> str:
        return f"{self.number} {self.things}"

    @property
    def wanted(self) -> str:
        return str(self.number)

    def examine(self, response: str) -> Finding:
        items = response.split(", ")
        # Counting aloud: a model that numbers the items has their count at the last one.
        counted = " ".join(f"{number} {item}" for number, item in enumerate(items, 1))
        return Finding(len(items) == self.number, counted, str(len(items)), quoted=False)


class Items:
    """Numbers of items; the wrong response has one more or one less."""

    name = "items"
    task_type: TaskType = "Chat"
    levels = 3

    def twin(self, level: int, chance: random.Random) -> Twin:
        """A list, and the same list with an item more."""
        low, high = _RANGES[level]
        things = chance.choice(sorted(THINGS))
        number = chance.randint(low, high - 1)
        items = chance.sample(THINGS[things], number + 1)
        prompts = (f"Name exactly {number} {things}.", f"Name exactly {number + 1} {things}.")
        return Twin(*prompts, ", ".join(items[:-1]), ", ".join(items))

    def read(self, prompt: str) -> _Count | None:
        """The required number."""
        match = _PROMPT.match(prompt)
        return _Count(int(match.group(1)), match.group(2)) if match else None
