"""A sentence that has to end with a given word.

Levels: 1 the two sentences differ in their last word alone; 2 both hold both words, in another order.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from rmr1.curriculum.material import ADJECTIVES, CLAUSES, ENDINGS, PLACES
from rmr1.curriculum.task import Finding, Twin
from rmr1.records import TaskType

_PROMPT = re.compile(r'^Write a sentence that ends with the word "([a-z]+)"\.$')


@dataclass(frozen=True, slots=True)
class _LastWord:
    word: str

    @property
    def basis(self) -> str:
        return f'ends with "{self.word}"'

    @property
    def wanted(self) -> str:
        return self.word

    def examine(self, response: str) -> Finding:
        words = re.findall(r"[A-Za-z]+", response)
        last = words[-1] if words else response
        return Finding(last.lower() == self.word, last, last)


class Ending:
    """Required last words; the wrong response ends with another."""

    name = "ending"
    task_type: TaskType = "Chat"
    levels = 2

    def twin(self, level: int, chance: random.Random) -> Twin:
        """Two sentences that end differently."""
        if level == 1:
            clause = chance.choice(CLAUSES)
            words = chance.sample(ENDINGS, 2)
            return Twin(*(_ask(word) for word in words), *(f"{clause} {word}." for word in words))
        place = chance.choice(PLACES).capitalize()
        one, other = chance.sample(ADJECTIVES, 2)
        return Twin(_ask(one), _ask(other), f"{place} is {other} and {one}.", f"{place} is {one} and {other}.")

    def read(self, prompt: str) -> _LastWord | None:
        """The required last word."""
        match = _PROMPT.match(prompt)
        return _LastWord(match.group(1)) if match else None


def _ask(word: str) -> str:
    return f'Write a sentence that ends with the word "{word}".'
