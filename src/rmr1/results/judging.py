"""What judging pairs, making training data and distilling traces conclude."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from rmr1.records import Usage
from rmr1.results.base import Estimate, InvalidVerdicts, Results


@dataclass(frozen=True, slots=True)
class JudgeResults(Results):
    """What judging pairs concludes.

    Args:
        pairs: Pairs judged.
        completions: What the judge wrote about them.
        labelled_pairs: Pairs with a label.
        right: Pairs whose winner is the label.
        wrong: Pairs whose winner is the other side.
        ties: Labelled pairs without a preference.
        no_winner: Labelled pairs without a valid verdict.
        accuracy: ``right`` among the labelled pairs: ties and pairs without a winner count as wrong.
        accuracy_decided: ``right`` among ``right`` and ``wrong``.
        vote_accuracy: Share of single completions that name the label; invalid ones count as wrong. Chance is 0.5.
        position_consistency: Share of the pairs whose orders agree, among those with a valid verdict in both.
        first_shown: Share of the valid verdicts that prefer the response shown first; 0.5 where position has no influence.
        invalid: Completions without a verdict.
        fenced_prompts: Prompts in which marks were fenced.
        tokens: Tokens of all completions.
        by_category: ``accuracy`` of each category; empty if no pair has one.
    """

    kind: ClassVar[str] = "judge"

    pairs: int
    completions: int
    labelled_pairs: int
    right: int
    wrong: int
    ties: int
    no_winner: int
    accuracy: Estimate | None
    accuracy_decided: Estimate | None
    vote_accuracy: float | None
    position_consistency: Estimate | None
    first_shown: float | None
    invalid: InvalidVerdicts
    fenced_prompts: int
    tokens: Usage
    by_category: Mapping[str, Estimate | None] = field(default_factory=dict)

    @property
    def engine_errors(self) -> int:
        """Completions that the engine failed on."""
        return self.invalid.by_reason.get("engine_error", 0)


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
