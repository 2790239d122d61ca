"""What a benchmark is: where its data are, what one has to find there, how its figures are made of completions."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from rmr1.data import RowTransform
from rmr1.errors import ConfigError, JournalError
from rmr1.records import Label, PreferencePair
from rmr1.stats import Average
from rmr1.verdict import RULES

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
_PLACE = re.compile(r"(.*)#(\d+)-(\d+)", re.DOTALL)
Protocol = Literal["official", "rm-r1", "pairs", "strict"]
PROTOCOLS: tuple[Protocol, ...] = ("official", "rm-r1", "pairs", "strict")
PAIRS: Protocol = "pairs"
"""Ours, of a benchmark whose authors ask judges something else than comparisons."""
OrderUse = Literal["drawn", "mean", "sum", "agree"]
_TIE_CELL = "labelled tie/"
ALL = "*"
"""In the parts of an average, as ``Average((ALL,))``: every cell that the data have, but those of pairs labelled as ties."""
ALL_WITH_TIES = "**"
"""The same with them; the figure is left out where the data have none, since it would say the same."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One comparison.

    Args:
        id: The pair's id; those of one item differ in ``#I-J`` at the end.
        subset: The subset of the benchmark.
        prompt: Hash of the prompt; comparisons that share it are one cluster.
        label: The better side of the pair, or "tie".
        length_a: Characters of the pair's response A.
        length_b: Characters of the other one.
    """

    id: str
    subset: str
    prompt: str
    label: Label
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

    def to_record(self) -> dict[str, object]:
        """A line of ``pairs.jsonl``."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Entry:
        """Read a line of ``pairs.jsonl``.

        Raises:
            JournalError: The line has an unexpected format.
        """
        try:
            return cls(**record)
        except TypeError as error:
            raise JournalError(f"a line of pairs.jsonl is no comparison ({error}); run rmr1 eval again") from error


@dataclass(frozen=True, slots=True)
class ScoredItem:
    """An item with the scores that a judge gave its responses one by one.

    Args:
        entry: Its first comparison.
        chosen: Scores of its right responses, in their order; minus infinity for one without a valid score.
        rejected: The same of the others.
    """

    entry: Entry
    chosen: tuple[float, ...]
    rejected: tuple[float, ...]


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
        none_agrees: Whether two orders without a valid verdict count as orders that agree; where None, agreement is no figure.
        note: The policy in a sentence, for reports.

    Raises:
        ConfigError: There is no such use of orders, or no such rule.
    """

    orders: OrderUse
    rule: str | None = None
    invalid: float = 0.0
    tie: float = 0.0
    both: bool = False
    none_agrees: bool | None = None
    note: str = ""

    def __post_init__(self) -> None:
        if self.orders not in get_args(OrderUse):
            raise ConfigError(f"policy: orders {self.orders!r} is none of {', '.join(get_args(OrderUse))}")
        if self.rule is not None and self.rule not in RULES:
            raise ConfigError(f"policy: rule {self.rule!r} is none of {', '.join(RULES)}")


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


@dataclass(frozen=True, slots=True)
class FileLayout:
    """One way in which a benchmark's files lie in a folder: that of a cloned repository, say, or of a snapshot of the hub.

    Args:
        files: Patterns of paths in the folder, as of ``Path.glob``; a file may be compressed. All that match are the benchmark.
        named: Whether the folder has to be the given one, or to bear a name of the benchmark; for patterns such as ``*.jsonl``,
            which say too little where any folder below the given one is looked at.
        one: Whether several files leave open which is the benchmark; shards of one file do not.
        part: Makes the part of a file from its path and its name; None leaves the file out.
    """

    files: tuple[str, ...]
    named: bool = False
    one: bool = False
    part: Callable[[str, str], Part | None] = Part


def agreement_cell(subset: str) -> str:
    """The cell that holds how often both orders of a subset agree, see ``Policy.none_agrees``."""
    return f"agreement/{subset}"


def tie_cell(subset: str) -> str:
    """The cell of the pairs of a subset that people call ties."""
    return f"{_TIE_CELL}{subset}"


def is_tie_cell(cell: str) -> bool:
    """Whether a cell holds pairs that people call ties."""
    return cell.startswith(_TIE_CELL)


def by_item(values: Iterable[tuple[Entry, float]]) -> Iterator[tuple[Entry, list[float]]]:
    """The values of each item, with its first entry, in the order in which items first appear."""
    items: dict[str, tuple[Entry, list[float]]] = {}
    for entry, value in values:
        items.setdefault(entry.item, (entry, []))[1].append(value)
    yield from items.values()


def observe_pairs(values: Iterable[tuple[Entry, float]]) -> Iterator[Value]:
    """Every comparison counts in the cell of its subset, and one that people call a tie in another cell of its own."""
    for entry, value in values:
        yield Value(value, tie_cell(entry.subset) if entry.label == "tie" else entry.subset, entry.prompt)


def scored_items(scores: Iterable[tuple[Entry, tuple[float | None, float | None]]]) -> Iterator[ScoredItem]:
    """The items of comparisons of which both responses were scored; a response has the same score in each of its comparisons.

    Args:
        scores: Comparisons with the scores of the pair's A and B; None for a response without a valid score.
    """
    items: dict[str, tuple[Entry, dict[int, float], dict[int, float]]] = {}
    for entry, (of_a, of_b) in scores:
        better, other = (of_a, of_b) if entry.label != "B" else (of_b, of_a)
        _, chosen, rejected = items.setdefault(entry.item, (entry, {}, {}))
        for found, number, score in zip((chosen, rejected), entry.place, (better, other), strict=True):
            found[number] = -math.inf if score is None else score
    for entry, chosen, rejected in items.values():
        yield ScoredItem(entry, *(tuple(found[number] for number in sorted(found)) for found in (chosen, rejected)))


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A benchmark: one of ``suite``, one that an installed package offers, or your own.

    Args:
        name: As in ``--bench``; a run keeps it in a directory of this name.
        title: As its authors write it.
        source: Where its data come from; it completes the message "fetch ...".
        folders: Names that its folder may have inside ``--data``.
        sizes: Items (prompts) that the whole benchmark has, by subset as ``counted_as`` names it.
        metrics: Its figures under a protocol, by name; the first one is its score. The parts of an average are names of cells,
            which are subsets unless ``observe`` says otherwise; the constant ``rmr1.benchmarks.ALL`` stands for every cell of the
            data.
        policies: The policy of each protocol that it has.
        layouts: How its files may lie, in order of preference. They are looked for in ``--data`` and at any level below.
        also: Further files that it consists of, each with its layouts.
        find: Instead of layouts, lists its parts in a folder; nothing where the folder holds something else.
        hub: The same parts on the Hugging Face hub; none where the authors publish elsewhere.
        subset: The subset of a pair as it was read from a part, or None to leave the pair out.
        counted_as: The name under which ``sizes`` counts a subset.
        observe: Turns values of comparisons into values of what is counted.
        observe_scores: Turns items whose responses were scored one by one into values of what is counted. Such a benchmark asks for
            a judge that does that; ``observe`` has no part in it.
        keeps_ties: Whether pairs that people call ties are part of it; a public benchmark has none.
        whole_items: Whether an item counts only with all its comparisons, as best of N does; without one of them it is not scored.
        choice: Whether the judge is asked once for the best of four responses, instead of for comparisons. A comparison of the run
            then stands for a choice, see ``rmr1.judging.choice``.
        not_computed: Protocols of its authors that it has no policy for, each with the reason.
        notes: What a reader has to know to read its figures rightly.

    Raises:
        ConfigError: Its name cannot name a directory, or it has no protocol.
    """

    name: str
    title: str
    source: str
    folders: tuple[str, ...]
    sizes: Mapping[str, int]
    metrics: Callable[[Protocol], Mapping[str, Average]]
    policies: Mapping[Protocol, Policy]
    layouts: tuple[FileLayout, ...] = ()
    also: tuple[tuple[FileLayout, ...], ...] = ()
    find: Callable[[Path], tuple[Part, ...]] = field(default=lambda folder: ())
    hub: tuple[Part, ...] = ()
    subset: Callable[[PreferencePair, Part], str | None] = field(default=lambda pair, part: pair.category)
    counted_as: Callable[[str], str] = field(default=lambda subset: subset)
    observe: Callable[[Iterable[tuple[Entry, float]]], Iterator[Value]] = observe_pairs
    observe_scores: Callable[[Iterable[ScoredItem]], Iterator[Value]] | None = None
    keeps_ties: bool = False
    whole_items: bool = False
    choice: bool = False
    not_computed: Mapping[Protocol, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigError(f"benchmark {self.name!r}: a name has letters, digits, dots, dashes and underscores")
        unknown = sorted(set(self.policies) - set(PROTOCOLS))
        if unknown or not self.policies:
            found = ", ".join(unknown) or "none"
            raise ConfigError(
                f"benchmark {self.name!r}: policies are by protocol ({', '.join(PROTOCOLS)}); found {found}"
            )
