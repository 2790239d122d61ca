"""Where every row went, and what the kept pairs are like."""

from __future__ import annotations

import statistics
from array import array
from collections import Counter
from collections.abc import Sequence
from typing import get_args

from rmr1.curation.screens import Reason, text_of, words_of
from rmr1.records import Message, PreferencePair
from rmr1.results import LengthSummary, ResponseLengths, SourceCounts, SplitCounts
from rmr1.sides import decisive

_REASONS: tuple[Reason, ...] = get_args(Reason)


class SourceTally:
    """Counts of every source. What was read is what was kept and what was dropped, reason by reason.

    What was read is counted in pairs; a row that was left out before pairs were made of it counts as one.

    Args:
        names: The sources.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)
        self._read: list[int] = [0] * len(names)
        self._dropped: list[Counter[Reason]] = [Counter() for _ in names]
        self._kept: list[Counter[str]] = [Counter() for _ in names]

    def read(self, source: int) -> None:
        """One pair of a source was read."""
        self._read[source] += 1

    def drop(self, source: int, reason: Reason) -> None:
        """One pair that was read is not kept."""
        self._dropped[source][reason] += 1

    def lose(self, source: int, reason: Reason, rows: int) -> None:
        """Rows were left out before pairs were made of them."""
        self._read[source] += rows
        self._dropped[source][reason] += rows

    def keep(self, source: int, split: str) -> None:
        """One pair went to a split."""
        self._kept[source][split] += 1

    def total(self) -> SourceCounts:
        """The counts of all sources together."""
        return _counts(sum(self._read), sum(self._kept, Counter()), sum(self._dropped, Counter()))

    def by_source(self) -> dict[str, SourceCounts]:
        """The counts of each source."""
        return {
            name: _counts(read, kept, dropped)
            for name, read, kept, dropped in zip(self._names, self._read, self._kept, self._dropped, strict=True)
        }


class SplitTally:
    """What the rows of one split are like."""

    def __init__(self) -> None:
        self._pairs = 0
        self._labels: Counter[str] = Counter()
        self._categories: Counter[str] = Counter()

    def pair(self, category: str) -> None:
        """One more pair, whatever number of rows it becomes."""
        self._pairs += 1
        self._categories[category] += 1

    def row(self, label: str | None) -> None:
        """One more row."""
        self._labels[label or "none"] += 1

    def results(self, sha256: str) -> SplitCounts:
        """Counts, and the hash of the split's file."""
        labelled = self._labels["A"] + self._labels["B"]
        return SplitCounts(
            pairs=self._pairs,
            rows=self._labels.total(),
            labels=dict(sorted(self._labels.items())),
            label_a_share=self._labels["A"] / labelled if labelled else None,
            categories=dict(sorted(self._categories.items())),
            sha256=sha256,
        )


class Lengths:
    """Lengths of better and worse responses: a judge must not do well by preferring the longer one."""

    def __init__(self) -> None:
        self._numbers = {
            (side, unit): array("Q") for side in ("chosen", "rejected") for unit in ("characters", "words")
        }

    def add(self, pair: PreferencePair) -> None:
        """Measure a pair; one without a label, or with a tie, has no better response."""
        better = decisive(pair.label)
        if better is None:
            return
        sides = (pair.response_a, pair.response_b) if better == "A" else (pair.response_b, pair.response_a)
        for side, turns in zip(("chosen", "rejected"), sides, strict=True):
            characters, words = _lengths(turns)
            self._numbers[side, "characters"].append(characters)
            self._numbers[side, "words"].append(words)

    def results(self) -> ResponseLengths:
        """Mean, median and 90th percentile of each, and how often the better response is the longer one."""
        chosen, rejected = self._numbers["chosen", "characters"], self._numbers["rejected", "characters"]
        count = len(chosen)
        longer = sum(better > worse for better, worse in zip(chosen, rejected, strict=True))
        equal = sum(better == worse for better, worse in zip(chosen, rejected, strict=True))
        return ResponseLengths(
            chosen_characters=_summary(chosen),
            chosen_words=_summary(self._numbers["chosen", "words"]),
            rejected_characters=_summary(rejected),
            rejected_words=_summary(self._numbers["rejected", "words"]),
            chosen_longer=longer / count if count else None,
            equally_long=equal / count if count else None,
        )


def _lengths(turns: tuple[Message, ...]) -> tuple[int, int]:
    text = text_of(turns)
    return len(text), len(words_of(text))


def _summary(numbers: array[int]) -> LengthSummary | None:
    if not numbers:
        return None
    ordered = sorted(numbers)
    return LengthSummary(
        mean=round(statistics.fmean(ordered), 2),
        median=float(statistics.median(ordered)),
        p90=float(ordered[min(len(ordered) - 1, len(ordered) * 9 // 10)]),
    )


def _counts(read: int, kept: Counter[str], dropped: Counter[Reason]) -> SourceCounts:
    return SourceCounts(read, kept.total(), _in_order(dropped), dict(sorted(kept.items())))


def _in_order(counts: Counter[Reason]) -> dict[str, int]:
    return {reason: counts[reason] for reason in _REASONS if counts[reason]}
