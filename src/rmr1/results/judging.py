"""What judging pairs, making training data and distilling traces conclude."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from rmr1.records import Usage
from rmr1.results.base import Estimate, InvalidVerdicts, Results


@dataclass(frozen=True, slots=True)
class FaultKind:
    """Requests that the engine failed on for one reason: what was said about one of them, with the likely cure, and how many."""

    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class Spending:
    """What a run has spent in all its processes, failed requests included.

    Args:
        tokens: Tokens that were paid for; if an engine does not tell them, the most that they can be, or ``unknown``.
        cost: Money, in the currency of the prices; None if they are not known.
        prices: The prices, and where they come from, in words.
    """

    tokens: Usage
    cost: float | None = None
    prices: str = ""


@dataclass(frozen=True, slots=True)
class PairFigures:
    """The figures of judged pairs. ``rmr1 judge`` and ``rmr1 eval`` make them of completions alike, and print the same.

    A pair is judged once all its comparisons are answered. ``accuracy`` is about pairs whose label is a side, ``agreement`` about
    all labelled ones. Evidence that is half missing is never right. Each estimate has its own ``n`` and ``clusters``.

    Args:
        pairs: Pairs judged.
        unjudged: Pairs that lack an answer because the engine failed; they are in no other figure.
        completions: What the judge wrote about the judged pairs.
        spared: Completions that it was not asked for, because those before them settle their order; 0 unless ``stop`` is set.
        from_cache: Completions that were written for earlier runs, and cost nothing now.
        retried: Completions that were asked for again with a larger limit, having been cut.
        labelled_pairs: Judged pairs with a label, ties included.
        right: Of the judged pairs whose label is a side: those of which every order names it.
        wrong: Those of which every order names the other side.
        ties: Those without a preference: votes split evenly, or orders that disagree.
        half_judged: Those with a valid verdict in one order and none in the other.
        no_winner: Those without any valid verdict.
        accuracy: ``right`` among all five: ties, half-judged pairs and pairs without a verdict count as wrong.
        accuracy_decided: ``right`` among ``right`` and ``wrong``.
        agreement: Share of all labelled pairs of which every order says what people say: A, B or a tie.
        kappa: Cohen's kappa of label and outcome, over the pairs of ``agreement``; None if it has no meaning.
        confusion: Labelled pairs by label, then by outcome, see ``rmr1.Judgment.outcome``.
        vote_accuracy: Share of single completions that name the label, where it is a side; invalid ones count as wrong. Chance is
            0.5.
        position_consistency: Share of the pairs whose orders agree, among those with a valid verdict in both.
        first_shown: Share of the valid verdicts that prefer the response shown first; 0.5 where position has no influence.
        invalid: Completions without a verdict.
    """

    pairs: int
    unjudged: int
    completions: int
    spared: int
    from_cache: int
    retried: int
    labelled_pairs: int
    right: int
    wrong: int
    ties: int
    half_judged: int
    no_winner: int
    accuracy: Estimate | None
    accuracy_decided: Estimate | None
    agreement: Estimate | None
    kappa: float | None
    confusion: Mapping[str, Mapping[str, int]]
    vote_accuracy: Estimate | None
    position_consistency: Estimate | None
    first_shown: Estimate | None
    invalid: InvalidVerdicts

    @property
    def has_ties(self) -> bool:
        """Whether people called both responses of a pair equally good."""
        return "tie" in self.confusion


@dataclass(frozen=True, slots=True)
class JudgeResults(Results, PairFigures):
    """What judging pairs concludes: the figures of ``PairFigures``, and what the run took.

    Args:
        unanswered: Comparisons that the engine failed on; the same command asks them again.
        fenced_prompts: Prompts in which marks were fenced.
        tokens: Tokens of all completions.
        by_category: ``accuracy`` of each category; empty if no pair has one.
        faults: Requests that the engine failed on in the last process, by reason.
        notes: What the engine said about its server, such as a field that it refuses, and whether it obeys grammars.
        left: Pairs that the budget did not cover; the same command with a larger one judges them.
        spending: What the run has spent; None if it has neither a budget nor known prices.
    """

    kind: ClassVar[str] = "judge"

    unanswered: int
    fenced_prompts: int
    tokens: Usage
    by_category: Mapping[str, Estimate | None] = field(default_factory=dict)
    faults: tuple[FaultKind, ...] = ()
    notes: tuple[str, ...] = ()
    left: int = 0
    spending: Spending | None = None


@dataclass(frozen=True, slots=True)
class SourceCounts:
    """What became of the pairs of a source: ``read`` is ``kept`` and all that was ``dropped``, by reason."""

    read: int
    kept: int
    dropped: Mapping[str, int]
    splits: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SplitCounts:
    """What the file of a split holds, and its hash."""

    pairs: int
    rows: int
    labels: Mapping[str, int]
    label_a_share: float | None
    categories: Mapping[str, int]
    sha256: str


@dataclass(frozen=True, slots=True)
class LengthSummary:
    """Mean, median and 90th percentile of a length."""

    mean: float
    median: float
    p90: float


@dataclass(frozen=True, slots=True)
class ResponseLengths:
    """Lengths of better and worse responses; None and no shares if no pair has a label."""

    chosen_characters: LengthSummary | None
    chosen_words: LengthSummary | None
    rejected_characters: LengthSummary | None
    rejected_words: LengthSummary | None
    chosen_longer: float | None
    equally_long: float | None


@dataclass(frozen=True, slots=True)
class DataResults(Results):
    """What a data recipe concludes: where every pair went, and what the splits hold."""

    kind: ClassVar[str] = "data"

    pairs: SourceCounts
    sources: Mapping[str, SourceCounts]
    splits: Mapping[str, SplitCounts]
    lengths: ResponseLengths


@dataclass(frozen=True, slots=True)
class DistillPassResults:
    """One pass of a distillation; ``cost`` is None without prices."""

    engine: str
    answered: int
    right: int
    rejected: Mapping[str, int]
    tokens: Usage
    cost: float | None


@dataclass(frozen=True, slots=True)
class DistillResults(Results):
    """What a distillation concludes. Each comparison is one of kept, repaired, rejected, faulted and left."""

    kind: ClassVar[str] = "distill"

    pairs: int
    comparisons: int
    kept: int
    repaired: int
    rejected: int
    faulted: int
    left: int
    rejected_by_reason: Mapping[str, int]
    complete: bool
    traces: int
    traces_by_label: Mapping[str, int]
    problems: Mapping[str, int]
    leaked_hints: Mapping[str, int]
    by_category: Mapping[str, Mapping[str, int]]
    passes: Mapping[str, DistillPassResults]
    tokens: Usage
    cost: float | None
    faults: tuple[FaultKind, ...] = ()
    notes: tuple[str, ...] = ()
