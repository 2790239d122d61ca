"""A sentence that has to use given words. Level n asks for n of them."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from rmr1.curriculum.material import ADJECTIVES, FRAMES, NOUNS
from rmr1.curriculum.task import Finding, Twin
from rmr1.records import TaskType

_PROMPT = re.compile(r'^Write a sentence with the words? ("[a-z]+"(?: and "[a-z]+")*)\.$')

_ADJECTIVE, _NOUN = "|".join(ADJECTIVES), "|".join(NOUNS)
_NAMED = re.compile(rf"\b(?:(?:{_ADJECTIVE}) )?(?:{_NOUN})\b")


@dataclass(frozen=True, slots=True)
class _Words:
    words: tuple[str, ...]

    @property
    def basis(self) -> str:
        return f"has {_listed(self.words)}"

    @property
    def wanted(self) -> str:
        return " ".join(self.words)

    def examine(self, response: str) -> Finding:
        held = set(re.findall(r"[a-z]+", response.lower()))
        named = _named(response)
        return Finding(all(word in held for word in self.words), named, named)


class Contains:
    """Required words; the wrong response has another word in the place of one of them."""

    name = "contains"
    task_type: TaskType = "Chat"
    levels = 2

    def twin(self, level: int, chance: random.Random) -> Twin:
        """Two sentences that differ in one noun."""
        frame = chance.choice(FRAMES)
        nouns = chance.sample(NOUNS, 2)
        if level == 1:
            return Twin(*(_ask((noun,)) for noun in nouns), *(frame.format(noun) for noun in nouns))
        adjective = chance.choice(ADJECTIVES)
        frame = frame.replace(" an old ", " a ")
        article = frame.replace("a {}", "an {}") if adjective[0] in "aeiou" else frame
        return Twin(
            *(_ask((adjective, noun)) for noun in nouns), *(article.format(f"{adjective} {noun}") for noun in nouns)
        )

    def read(self, prompt: str) -> _Words | None:
        """The required words."""
        match = _PROMPT.match(prompt)
        return _Words(tuple(re.findall(r'"([a-z]+)"', match.group(1)))) if match else None


def _named(response: str) -> str:
    """The part that decides: the words of the curriculum, in the place of which the required ones stand."""
    named = _NAMED.search(response)
    return named.group() if named else response


def _ask(words: tuple[str, ...]) -> str:
    return f"Write a sentence with the word{'s' * (len(words) > 1)} {_listed(words)}."


def _listed(words: tuple[str, ...] | list[str]) -> str:
    return " and ".join(f'"{word}"' for word in words)
