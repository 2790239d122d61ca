"""Words spelled backwards (``spell_backward`` of reasoning-gym). Level n has words of n + 2 letters."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from rmr1.curriculum.material import draw
from rmr1.curriculum.task import Finding, Twin
from rmr1.records import TaskType

_PROMPT = re.compile(r"^Spell this word backwards: ([a-z]+)$")


@dataclass(frozen=True, slots=True)
class _Reversal:
    word: str

    @property
    def basis(self) -> str:
        # Letter by letter, so that a model sees what its tokens hide.
        return f"{'-'.join(self.word)}, backwards {'-'.join(reversed(self.word))}"

    @property
    def wanted(self) -> str:
        return "-".join(reversed(self.word))

    def examine(self, response: str) -> Finding:
        meets = response == self.word[::-1]
        return Finding(meets, response, "-".join(response))


class Spelling:
    """Spelling; the wrong answer is another word backwards, which shares a letter's place with the right one."""

    name = "spelling"
    task_type: TaskType = "Reasoning"
    levels = 3

    def twin(self, level: int, chance: random.Random) -> Twin:
        """Two words that share at least one letter's place."""
        first = _word(level, chance)
        second = _word(level, chance)
        while first == second or not any(a == b for a, b in zip(first, second, strict=True)):
            second = _word(level, chance)
        prompts = (f"Spell this word backwards: {first}", f"Spell this word backwards: {second}")
        return Twin(*prompts, first[::-1], second[::-1])

    def read(self, prompt: str) -> _Reversal | None:
        """The word to spell."""
        match = _PROMPT.match(prompt)
        return _Reversal(match.group(1)) if match else None


def _word(level: int, chance: random.Random) -> str:
    length = level + 2
    word: str = draw("spell_backward", chance, min_word_len=length, max_word_len=length)["metadata"]["word"].lower()
    return word
