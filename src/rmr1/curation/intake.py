"""The first pass: every pair of every source is read once, normalised and screened; what passes becomes a candidate."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from rmr1.curation.candidates import Candidate, PairStore, content_digests, rank_of
from rmr1.curation.difficulty import PassRates
from rmr1.curation.duplicates import signature_of
from rmr1.curation.normalise import normalise_pair
from rmr1.curation.recipe import DataRecipe
from rmr1.curation.screens import Reason, Screen
from rmr1.curation.sources import OpenSource
from rmr1.curation.tally import Tally
from rmr1.data import split_of
from rmr1.records import PreferencePair

_SAY_EVERY_S = 10.0


class DataCallbacks(Protocol):
    """Told what a job is doing."""

    def say(self, message: str) -> None:
        """A sentence for the user."""


@dataclass(frozen=True, slots=True)
class Intake:
    """What every pair is put through.

    Args:
        recipe: What to do.
        screens: Screens of single pairs, with the reason that each gives.
        rates: How often a judge was right, where the recipe asks for it.
        store: Where the texts of those that pass go.
        tally: Where every pair is counted.
        callbacks: Told of progress.
    """

    recipe: DataRecipe
    screens: Sequence[tuple[Reason, Screen]]
    rates: PassRates | None
    store: PairStore
    tally: Tally
    callbacks: DataCallbacks

    def take(self, sources: Sequence[OpenSource]) -> list[Candidate]:
        """Read all sources.

        Raises:
            DataError: A row cannot be read, and its source does not skip such rows.
        """
        candidates: list[Candidate] = []
        for number, source in enumerate(sources):
            prefix = f"{source.name}/" if len(sources) > 1 else ""
            for read in _counted(source, self.callbacks.say):
                self.tally.read(number)
                pair = replace(read, id=prefix + read.id, group=prefix + (read.group or read.id))
                pair = normalise_pair(pair) if self.recipe.normalise else pair
                reason = self._reason(pair)
                if reason is None:
                    candidates.append(self._candidate(number, source.name, pair))
                else:
                    self.tally.drop(number, reason)
            filtered, invalid, messages = source.lost()
            self.tally.lose(number, "filtered", filtered)
            self.tally.lose(number, "invalid", invalid)
            if messages:
                self.callbacks.say(f"{source.name}: {invalid} rows skipped: {'; '.join(messages)}")
        return candidates

    def _reason(self, pair: PreferencePair) -> Reason | None:
        for reason, is_unfit in self.screens:
            if is_unfit(pair):
                return reason
        return self.rates.verdict(pair.id) if self.rates else None

    def _candidate(self, number: int, name: str, pair: PreferencePair) -> Candidate:
        content, better = content_digests(pair)
        near = self.recipe.screens.near_duplicates
        return Candidate(
            source=number,
            id=pair.id,
            group=pair.group,
            content=content,
            better=better,
            rank=rank_of(pair, self.recipe.seed),
            split=split_of(pair.prompt, self.recipe.splits, self.recipe.seed),
            offset=self.store.add(replace(pair, extra={**pair.extra, "origin": name})),
            signature=None if near is None else signature_of(pair, near),
        )


def _counted(source: OpenSource, say: Callable[[str], None]) -> Iterator[PreferencePair]:
    last = time.monotonic()
    for count, pair in enumerate(source, 1):
        yield pair
        if time.monotonic() - last >= _SAY_EVERY_S:
            last = time.monotonic()
            say(f"{source.name}: {count} pairs read")
