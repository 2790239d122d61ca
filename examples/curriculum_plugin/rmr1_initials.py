"""A word that begins with given letters. Levels: 1 the first letter, 2 the first two letters."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from rmr1.curriculum import Finding, Twin
from rmr1.records import TaskType

WORDS = (
    "amber",
    "anchor",
    "basket",
    "bread",
    "candle",
    "cloud",
    "door",
    "dream",
    "flower",
    "forest",
    "garden",
    "glass",
)
PROMPT = re.compile(r'^Name a word that begins with "([a-z]+)"\.$')


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a prompt asks for: ``basis`` is the criterion of the trace, ``wanted`` the letters."""

    basis: str
    wanted: str

    def examine(self, response: str) -> Finding:
        """Whether a response meets it."""
        found = response[: len(self.wanted)]
        return Finding(found == self.wanted, response, found)


class Initials:
    """First letters; the wrong response is a word that begins otherwise."""

    name = "initials"
    task_type: TaskType = "Chat"
    levels = 2

    def twin(self, level: int, chance: random.Random) -> Twin:
        """Two words that begin differently: each is the wrong response to the other's prompt."""
        one = chance.choice(WORDS)
        other = chance.choice([word for word in WORDS if word[:level] != one[:level]])
        ask = 'Name a word that begins with "{}".'
        return Twin(ask.format(one[:level]), ask.format(other[:level]), one, other)

    def read(self, prompt: str) -> Beginning | None:
        """What a prompt of this family asks for; None for any other prompt."""
        match = PROMPT.match(prompt)
        return Beginning(f'begins with "{match.group(1)}"', match.group(1)) if match else None
