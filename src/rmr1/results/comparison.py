"""What the comparison of any number of judges concludes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from rmr1.records import Message, Order, Winner
from rmr1.results.base import Difference, Estimate, Results
from rmr1.results.evaluation import Figure, JudgeKind, JudgeSettings


@dataclass(frozen=True, slots=True)
class ComparedRun:
    """A run that takes part in a comparison.

    Args:
        path: Its directory.
        made_by: The verb that made it, or "released" for a folder of released figures.
        judge: Which judge it was and how it was run.
        kind: Which kind of judge it is, see ``JudgeSettings.kind``.
    """

    path: str
    made_by: Literal["judge", "eval", "released"]
    judge: JudgeSettings
    kind: JudgeKind | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How a run stands among those that it is compared with, on what all have judged.

    Args:
        metrics: Its scores by name; the first one is the headline.
        cells: The same for every subset or category.
        best_rank: One more than the number of runs whose headline is higher beyond chance; None where that cannot be told.
        worst_rank: The number of runs less those whose headline is lower beyond chance.
        judged: Pairs that it has judged.
        unjudged: Pairs of its data that it has not judged, or that the engine failed on.
        left_out: Pairs that it has judged and another run has not.
        invalid: Share of its completions without a valid verdict or score, of the pairs that it has judged.
        read_per_pair: Mean number of prompt tokens that a judged pair took in all orders and votes; None where the engine does not
            tell them. A response that is asked for once and occurs in several pairs counts once.
        written_per_pair: The same of the tokens that it wrote.
        from_first: Differences of the metrics to those of the first run; empty for that run.
        cells_from_first: The same for the cells.
    """

    metrics: Mapping[str, Figure]
    cells: Mapping[str, Figure] = field(default_factory=dict)
    best_rank: int | None = None
    worst_rank: int | None = None
    judged: int = 0
    unjudged: int = 0
    left_out: int = 0
    invalid: float | None = None
    read_per_pair: float | None = None
    written_per_pair: float | None = None
    from_first: Mapping[str, Difference] = field(default_factory=dict)
    cells_from_first: Mapping[str, Difference] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HeadToHead:
    """Two runs against each other.

    Args:
        first: Name of the one.
        second: Name of the other.
        difference: The second's headline less the first's; None without labels.
        first_ahead: Pairs that are worth more to the first.
        second_ahead: Pairs that are worth more to the second.
        agreement: Share of the pairs on which both name the same outcome (A, B or a tie), of those on which both name one.
        kappa: Cohen's kappa of these outcomes; None where it has no meaning.
    """

    first: str
    second: str
    difference: Difference | None = None
    first_ahead: int | None = None
    second_ahead: int | None = None
    agreement: Estimate | None = None
    kappa: float | None = None


@dataclass(frozen=True, slots=True)
class ItemCompletion:
    """What a judge wrote about a pair: in which order, for which side of the pair (None: no valid verdict)."""

    order: Order
    vote: int
    side: Winner | None
    text: str


@dataclass(frozen=True, slots=True)
class ItemOutcome:
    """What a run made of a pair: what it is worth to it (None without a label), the winner, and what the judge wrote."""

    value: float | None
    winner: Winner | None
    confidence: float
    completions: tuple[ItemCompletion, ...]


@dataclass(frozen=True, slots=True)
class DifferingItem:
    """A pair on which runs differ, with all texts; sides are those of the first run's data."""

    id: str
    category: str
    label: Winner | None
    prompt: tuple[Message, ...]
    response_a: tuple[Message, ...]
    response_b: tuple[Message, ...]
    outcomes: Mapping[str, ItemOutcome]


@dataclass(frozen=True, slots=True)
class BenchmarkComparison:
    """How runs compare on one benchmark or set of pairs.

    Args:
        title: What it is.
        policy: What a pair is worth, in words.
        pairs: Pairs that all of them have judged.
        runs: How each stands, by name.
        versus: Every two of them.
        differing: Pairs on which runs differ.
        items: The first of these.
        notes: What qualifies the figures.
        problem: Why nothing can be compared; None where something can.
    """

    title: str
    policy: str = ""
    pairs: int = 0
    runs: Mapping[str, Standing] = field(default_factory=dict)
    versus: tuple[HeadToHead, ...] = ()
    differing: int = 0
    items: tuple[DifferingItem, ...] = ()
    notes: tuple[str, ...] = ()
    problem: str | None = None

    @property
    def headline(self) -> str:
        """The name of the figure that ranks; "" where there is none."""
        return next((name for standing in self.runs.values() for name in standing.metrics), "")

    def between(self, first: str, second: str) -> HeadToHead | None:
        """Two runs against each other, in either order of their names as ``versus`` has it."""
        return next((one for one in self.versus if {one.first, one.second} == {first, second}), None)


@dataclass(frozen=True, slots=True)
class CompareResults(Results):
    """What the comparison of runs concludes.

    ``protocol`` is "" where runs of ``rmr1 judge`` take part, which have none; ``paired`` is false where only figures could be
    compared.

    Values of p are adjusted (Holm 1979) within each benchmark: for all pairs of runs, for all figures against the first run, and
    for all cells against it.
    """

    kind: ClassVar[str] = "compare"

    runs: Mapping[str, ComparedRun]
    protocol: str
    paired: bool
    benchmarks: Mapping[str, BenchmarkComparison]
    notes: tuple[str, ...] = ()
    not_compared: Mapping[str, str] = field(default_factory=dict)
