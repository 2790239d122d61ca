"""A sentence in capital or in small letters.

Levels: 1 the whole sentence; 2 one word of it in capitals, the other sentence has another word in capitals.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from rmr1.curriculum.material import FRAMES, NOUNS
from rmr1.curriculum.task import Finding, Twin
from rmr1.records import TaskType

_WHOLE = re.compile(r"^Write a sentence about an? ([a-z]+) in (capital|small) letters\.$")
_WORD = re.compile(r'^Write a sentence with only the word "([a-z]+)" in capital letters\.$')


@dataclass(frozen=True, slots=True)
class _Letters:
    capital: bool

    @property
    def basis(self) -> str:
        return f"{self.wanted} letters"

    @property
    def wanted(self) -> str:
        return "capital" if self.capital else "small"

    def examine(self, response: str) -> Finding:
        found = "capital" if response.isupper() else "small" if response.islower() else "mixed"
        meets = found == self.wanted
        return Finding(meets, " ".join(response.split(" ")[:2]), found)


@dataclass(frozen=True, slots=True)
class _CapitalWord:
    word: str

    @property
    def basis(self) -> str:
        return f'only "{self.word}" in capital letters'

    @property
    def wanted(self) -> str:
        return self.word

    def examine(self, response: str) -> Finding:
        capitals = [word for word in re.findall(r"[A-Za-z]+", response) if word.isupper() and len(word) > 1]
        meets = capitals == [self.word.upper()]
        return Finding(meets, response, " ".join(capitals).lower() or "nothing")


class Case:
    """Capital and small letters; the wrong response has the same words in the other case."""

    name = "case"
    task_type: TaskType = "Chat"
    levels = 2

    def twin(self, level: int, chance: random.Random) -> Twin:
        """The same sentence in two cases."""
        noun = chance.choice(NOUNS)
        sentence = chance.choice(FRAMES).format(noun)
        if level == 1:
            about = f"a{'n' * (noun[0] in 'aeiou')} {noun}"
            ask = "Write a sentence about {} in {} letters."
            return Twin(ask.format(about, "capital"), ask.format(about, "small"), sentence.upper(), sentence.lower())
        words = [word for word in re.findall(r"\b[a-z]{3,}\b", sentence) if sentence.lower().count(word) == 1]
        one, other = chance.sample(words, 2)
        ask = 'Write a sentence with only the word "{}" in capital letters.'
        return Twin(
            ask.format(one),
            ask.format(other),
            sentence.replace(one, one.upper()),
            sentence.replace(other, other.upper()),
        )

    def read(self, prompt: str) -> _Letters | _CapitalWord | None:
        """The required letters."""
        if match := _WHOLE.match(prompt):
            return _Letters(match.group(2) == "capital")
        match = _WORD.match(prompt)
        return _CapitalWord(match.group(1)) if match else None
