"""How judges of the same pairs stand: scores with ranks, every two against each other, the pairs on which they differ."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TypeAlias

from rmr1.benchmarks.benchmark import Value
from rmr1.benchmarks.contestants import Contestant, JudgedPair, PairKey
from rmr1.benchmarks.scoring import collected, protocol_scores
from rmr1.data import cluster_of
from rmr1.records import Judgment, Usage
from rmr1.report.judge import report_sample
from rmr1.report.samples import Sample, StagedSample
from rmr1.results import (
    BenchmarkComparison,
    Difference,
    DifferingItem,
    Estimate,
    HeadToHead,
    ItemCompletion,
    ItemOutcome,
    Standing,
)
from rmr1.sides import turned
from rmr1.stats import Average, Observations, adjusted, cohen_kappa, estimate_share, paired_differences

LEVEL = 0.05
Observe: TypeAlias = Callable[[Contestant, Sequence[PairKey]], Iterable[Value]]
Differences: TypeAlias = Mapping[str, Difference]


@dataclass(frozen=True, slots=True)
class Field:
    """What judges are compared on.

    Args:
        title: What it is.
        policy: What a pair is worth, in words.
        sides: The judges; pairs are shown and counted as the first one has them.
        common: The pairs that are worth something to all of them.
        observe: Turns what pairs are worth to a judge into what is counted.
        averages: The figures, from the cells that there are.
    """

    title: str
    policy: str
    sides: Sequence[Contestant]
    common: Sequence[PairKey]
    observe: Observe
    averages: Callable[[Iterable[str]], Mapping[str, Average]]


def compare_field(field: Field, items: int) -> tuple[BenchmarkComparison, tuple[StagedSample, ...]]:
    """Compare the judges of a field.

    Args:
        field: What they have judged.
        items: Keep this many differing pairs with their texts.

    Returns:
        The comparison, and the differing pairs as a page lists them.
    """
    sides = field.sides
    judged = [key for key in sides[0].pairs if all(key in side.pairs for side in sides[1:])]
    if not judged:
        return BenchmarkComparison(field.title, field.policy, problem="no pair is judged in all of the runs"), ()
    observed = [collected(field.observe(side, field.common)) for side in sides] if field.common else []
    counted = set(field.common)
    differing = [key for key in judged if _differ(sides, key, worth=key in counted)]
    comparison = BenchmarkComparison(
        title=field.title,
        policy=field.policy,
        pairs=len(field.common),
        runs=_standings(field, observed, len(judged)),
        versus=tuple(_versus(field, observed, judged)),
        differing=len(differing),
        items=tuple(_item(sides, key) for key in differing[:items]),
        notes=tuple(_notes(field, judged)),
    )
    return with_ranks(comparison), tuple(_staged(sides, key) for key in differing[:items])


def with_ranks(comparison: BenchmarkComparison) -> BenchmarkComparison:
    """The comparison with values of p of all pairs of judges adjusted, and with the ranks that follow from them."""
    found = [one.difference.p if one.difference else None for one in comparison.versus]
    if all(p is None for p in found):
        return comparison
    versus = tuple(
        replace(one, difference=replace(one.difference, p_adjusted=p)) if one.difference else one
        for one, p in zip(comparison.versus, adjusted(found), strict=True)
    )
    higher = dict.fromkeys(comparison.runs, 0)
    lower = dict.fromkeys(comparison.runs, 0)
    for one in versus:
        difference = one.difference
        if difference and difference.p_adjusted is not None and difference.p_adjusted < LEVEL:
            above, below = (one.second, one.first) if difference.value > 0 else (one.first, one.second)
            higher[below] += 1
            lower[above] += 1
    runs = {
        name: replace(one, best_rank=1 + higher[name], worst_rank=len(higher) - lower[name])
        for name, one in comparison.runs.items()
    }
    return replace(comparison, runs=runs, versus=versus)


def _standings(field: Field, observed: Sequence[Observations], judged: int) -> dict[str, Standing]:
    figures = field.averages(observed[0].cells) if observed else {}
    cells = {cell: Average((cell,)) for cell in observed[0].cells} if observed else {}
    differences = [_from_first(observed, average) for average in (figures, cells)]
    standings = {}
    for place, side in enumerate(field.sides):
        scores = protocol_scores(field.policy, figures, observed[place]) if observed else None
        tokens = _tokens(side)
        standings[side.name] = Standing(
            metrics=scores.metrics if scores else {},
            cells=scores.cells if scores else {},
            judged=len(side.pairs),
            unjudged=side.unjudged,
            left_out=len(side.pairs) - judged,
            invalid=_invalid(side),
            read_per_pair=None if tokens is None else tokens.prompt_tokens / len(side.pairs),
            written_per_pair=None if tokens is None else tokens.completion_tokens / len(side.pairs),
            from_first=differences[0][place] if observed else {},
            cells_from_first=differences[1][place] if observed else {},
        )
    return standings


def _invalid(side: Contestant) -> float | None:
    """The share of a judge's completions that have no verdict."""
    votes = [vote for one in side.pairs.values() for vote in one.judgment.votes]
    return sum(vote.verdict.invalid is not None for vote in votes) / len(votes) if votes else None


def _tokens(side: Contestant) -> Usage | None:
    """What a judge has spent on its pairs, if all of it is known."""
    used = sum((one.judgment.usage for one in side.pairs.values()), Usage())
    return None if used.unknown or not side.pairs else used


def _from_first(observed: Sequence[Observations], figures: Mapping[str, Average]) -> list[Differences]:
    """Differences of all figures of each to those of the first, their p adjusted together."""
    found = [paired_differences(observed[0], one, figures) for one in observed[1:]]
    together = iter(adjusted([one.p for each in found for one in each.values()]))
    return [
        {},
        *({name: replace(one, p_adjusted=next(together)) for name, one in each.items()} for each in found),
    ]


def _versus(field: Field, observed: Sequence[Observations], judged: Sequence[PairKey]) -> Iterator[HeadToHead]:
    named = field.averages(observed[0].cells) if observed else {}
    headline = dict(list(named.items())[:1])
    for (place, one), (other_place, other) in combinations(enumerate(field.sides), 2):
        found = paired_differences(observed[place], observed[other_place], headline) if observed else {}
        ahead = [_sign(other.values[key] - one.values[key]) for key in field.common]
        agreement, kappa = _agreement(one, other, judged)
        yield HeadToHead(
            one.name,
            other.name,
            next(iter(found.values()), None),
            first_ahead=ahead.count(-1) if field.common else None,
            second_ahead=ahead.count(1) if field.common else None,
            agreement=agreement,
            kappa=kappa,
        )


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)


def _agreement(one: Contestant, other: Contestant, judged: Sequence[PairKey]) -> tuple[Estimate | None, float | None]:
    """How far two judges name the same outcome, of the pairs for which both name one."""
    found = [(one.pairs[key], other.pairs[key]) for key in judged]
    named = [(left, right) for left, right in found if left.outcome and right.outcome]
    clusters: dict[str, list[int]] = {}
    for left, right in named:
        counts = clusters.setdefault(cluster_of(left.pair), [0, 0])
        counts[0] += left.outcome == right.outcome
        counts[1] += 1
    same, sizes = [counts[0] for counts in clusters.values()], [counts[1] for counts in clusters.values()]
    return estimate_share(same, sizes), cohen_kappa((left.outcome, right.outcome) for left, right in named)


def _differ(sides: Sequence[Contestant], key: PairKey, *, worth: bool) -> bool:
    return len({(side.pairs[key].outcome, side.values[key] if worth else None) for side in sides}) > 1


def _notes(field: Field, judged: Sequence[PairKey]) -> Iterator[str]:
    for side in field.sides:
        left_out = len(side.pairs) - len(judged)
        if left_out:
            yield f"{side.name}: {left_out} of its {len(side.pairs)} judged pairs are not judged in all runs, and left out"
        if side.unjudged:
            yield f"{side.name}: {side.unjudged} pairs of its data are not judged; its command, run again, tries them"
    if len(field.common) < len(judged):
        unlabelled = len(judged) - len(field.common)
        yield f"{unlabelled} of the {len(judged)} pairs that all have judged count in no figure, for want of a label or of an item"


def _item(sides: Sequence[Contestant], key: PairKey) -> DifferingItem:
    first = sides[0].pairs[key]
    outcomes = {}
    for side in sides:
        judgment = as_in(first, side.pairs[key])
        outcomes[side.name] = ItemOutcome(
            value=side.values.get(key),
            winner=judgment.winner,
            confidence=judgment.confidence,
            completions=tuple(
                ItemCompletion(vote.order, vote.vote, vote.side, vote.error or vote.text) for vote in judgment.votes
            ),
        )
    pair = first.pair
    return DifferingItem(pair.id, pair.category, pair.label, pair.prompt, pair.response_a, pair.response_b, outcomes)


def _staged(sides: Sequence[Contestant], key: PairKey) -> StagedSample:
    first = sides[0].pairs[key]
    return StagedSample(tuple((side.name, _sample(first, side.pairs[key])) for side in sides))


def _sample(first: JudgedPair, judged: JudgedPair) -> Sample:
    return report_sample(first.pair, as_in(first, judged))


def as_in(first: JudgedPair, judged: JudgedPair) -> Judgment:
    """A judgment in the sides that another run's data have for the same pair."""
    if first.turned == judged.turned:
        return judged.judgment
    return turned(judged.judgment)
