"""Prompts that are in a benchmark, or share a long run of words with one, must not be trained on.

Only what users say counts: answers and system messages hold phrases that occur everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence

from rmr1.curation.words import runs_of, text_of, words_of
from rmr1.data import PairSource
from rmr1.records import Message


class BenchmarkIndex:
    """Knows the prompts of benchmark files.

    Args:
        sources: The benchmark files; rows that cannot be read are passed over.
        ngram: Words in a row that count as overlap. A prompt that has fewer words has to be equal.
    """

    def __init__(self, sources: Sequence[PairSource], ngram: int) -> None:
        self._ngram = ngram
        self._whole: set[str] = set()
        self._runs: set[str] = set()
        for source in sources:
            for responses in source.sets():
                words = _asked(responses.prompt)
                self._whole.add(" ".join(words))
                if len(words) >= ngram:
                    self._runs |= runs_of(words, ngram)

    def overlaps(self, prompt: Sequence[Message]) -> bool:
        """Tell whether a prompt is one of the benchmarks' or shares a run of words with one."""
        words = _asked(prompt)
        if " ".join(words) in self._whole:
            return True
        return len(words) >= self._ngram and not self._runs.isdisjoint(runs_of(words, self._ngram))


def _asked(prompt: Sequence[Message]) -> list[str]:
    return words_of(text_of([turn for turn in prompt if turn.role == "user"] or prompt))
