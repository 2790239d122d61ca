"""What a benchmark is: where its data are, what one has to find there, how its figures are made of completions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rmr1.benchmarks.entries import Entry, Value
from rmr1.data import RowTransform
from rmr1.records import PreferencePair
from rmr1.stats import Average

Protocol = Literal["official", "rm-r1", "strict"]
PROTOCOLS: tuple[Protocol, ...] = ("official", "rm-r1", "strict")
OrderUse = Literal["drawn", "mean", "sum", "agree"]


@dataclass(frozen=True, slots=True)
class Policy:
    """How the completions of one comparison become a value between 0 and 1.

    Args:
        orders: ``drawn``: one order counts, drawn from the pair's id and the seed where both were judged. ``mean``: the mean over
            the orders. ``sum``: right if more orders are right than wrong. ``agree``: right if every order is right.
        rule: The rule that reads verdicts; the run's own where None.
        invalid: What an order without a valid verdict is worth.
        tie: What an order is worth whose votes are divided evenly.
        both: Whether completions of both orders are needed.
        note: The policy in a sentence, for reports.
    """

    orders: OrderUse
    rule: str | None = None
    invalid: float = 0.0
    tie: float = 0.0
    both: bool = False
    note: str = ""


STRICT = Policy(
    "agree",
    both=True,
    note="right only if both orders name the better response; an invalid verdict is not right, and is reported apart",
)
RM_R1 = Policy(
    "drawn", rule="rm-r1-eval", note="one order; the mark of a verdict anywhere in the text; none or both are wrong"
)


@dataclass(frozen=True, slots=True)
class Part:
    """One file or data set of a benchmark.

    Args:
        path: A path or ``hf:`` name that ``rmr1.data.load_pairs`` reads.
        name: Unique in the benchmark; ids of its pairs begin with it.
        columns: Our field names with the columns that hold them, where recognition needs help.
        transform: Changes rows before they are read.
    """

    path: str
    name: str
    columns: Mapping[str, str] | None = None
    transform: RowTransform | None = None


def observe_pairs(values: Iterable[tuple[Entry, float]]) -> Iterator[Value]:
    """Every comparison counts in the cell of its subset."""
    for entry, value in values:
        yield Value(value, entry.subset, entry.prompt)


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A public benchmark.

    Args:
        name: As in ``--bench``.
        title: As its authors write it.
        source: Where its data come from, for messages.
        folders: Names that its folder may have inside ``--data``.
        sizes: Items (prompts) that the whole benchmark has, by subset as ``counted_as`` names it.
        find: Lists its parts in a folder; nothing where the folder holds something else.
        metrics: Its figures under a protocol, by name; the first one is its score.
        policies: The policy of each protocol that it has.
        hub: The same parts on the Hugging Face hub; none where the authors publish elsewhere.
        subset: The subset of a pair as it was read from a part, or None to leave the pair out.
        counted_as: The name under which ``sizes`` counts a subset.
        observe: Turns values of comparisons into values of what is counted.
        whole_items: Whether an item counts only with all its comparisons, as best of N does; without one of them it is not scored.
        notes: What a reader has to know to read its figures rightly.
    """

    name: str
    title: str
    source: str
    folders: tuple[str, ...]
    sizes: Mapping[str, int]
    find: Callable[[Path], tuple[Part, ...]]
    metrics: Callable[[Protocol], Mapping[str, Average]]
    policies: Mapping[Protocol, Policy]
    hub: tuple[Part, ...] = ()
    subset: Callable[[PreferencePair, Part], str | None] = field(default=lambda pair, part: pair.category)
    counted_as: Callable[[str], str] = field(default=lambda subset: subset)
    observe: Callable[[Iterable[tuple[Entry, float]]], Iterator[Value]] = observe_pairs
    whole_items: bool = False
    notes: tuple[str, ...] = ()
