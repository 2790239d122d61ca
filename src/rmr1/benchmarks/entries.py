"""One comparison of a benchmark, without its texts: what scoring has to know beside the completions."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from rmr1.errors import JournalError
from rmr1.records import PreferencePair, Side

_PLACE = re.compile(r"(.*)#(\d+)-(\d+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Entry:
    """One comparison.

    Args:
        id: The pair's id; those of one item differ in ``#I-J`` at the end.
        subset: The subset of the benchmark.
        prompt: Hash of the prompt; comparisons that share it are one cluster.
        label: The better side of the pair.
        length_a: Characters of the pair's response A.
        length_b: Characters of the other one.
    """

    id: str
    subset: str
    prompt: str
    label: Side
    length_a: int
    length_b: int

    @property
    def item(self) -> str:
        """The row of the benchmark: a prompt with all its responses."""
        return split_id(self.id)[0]

    @property
    def place(self) -> tuple[int, int]:
        """Which of the chosen responses is compared with which of the rejected ones, from 0."""
        return split_id(self.id)[1]

    @property
    def lengths(self) -> tuple[int, int]:
        """Characters of the better response, and of the other one."""
        return (self.length_a, self.length_b) if self.label == "A" else (self.length_b, self.length_a)

    def to_record(self) -> dict[str, Any]:
        """A line of ``pairs.jsonl``."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Entry:
        """Read a line of ``pairs.jsonl``.

        Raises:
            JournalError: The line is of another make.
        """
        try:
            return cls(**record)
        except TypeError as error:
            raise JournalError(f"a line of pairs.jsonl is no comparison ({error}); run rmr1 eval again") from error


class Value(NamedTuple):
    """A value between 0 and 1 of one thing that a benchmark counts, with the cell and the cluster that it belongs to."""

    value: float
    cell: str
    cluster: str


def split_id(pair_id: str) -> tuple[str, tuple[int, int]]:
    """The item of a pair, and the numbers of its two responses among those of the item; (0, 0) where the item has one pair."""
    match = _PLACE.fullmatch(pair_id)
    return (match[1], (int(match[2]), int(match[3]))) if match else (pair_id, (0, 0))


def entry_of(pair: PreferencePair) -> Entry:
    """The entry of a labelled pair."""
    assert pair.label is not None
    return Entry(
        pair.id,
        pair.category,
        pair.group,
        pair.label,
        sum(len(turn.content) for turn in pair.response_a),
        sum(len(turn.content) for turn in pair.response_b),
    )


def short_hash(text: str) -> str:
    """A short hash of a text."""
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).hexdigest()
