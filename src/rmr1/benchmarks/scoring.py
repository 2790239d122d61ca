"""From completions to figures: every protocol that they allow, with intervals, and what qualifies them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import chain

from rmr1.benchmarks.audit import accuracy_by_length, bias_audit, calibration, order_agreement
from rmr1.benchmarks.benchmark import (
    ALL,
    ALL_WITH_TIES,
    PAIRS,
    PROTOCOLS,
    Benchmark,
    Policy,
    Protocol,
    Value,
    agreement_cell,
    is_tie_cell,
    scored_items,
)
from rmr1.benchmarks.judged import Completions, Judged, ScoringContext
from rmr1.judging import JudgmentTally, combine
from rmr1.results import (
    BenchmarkData,
    BenchmarkResults,
    Figure,
    InvalidVerdicts,
    JudgedCounts,
    PairFigures,
    ProtocolScores,
)
from rmr1.stats import Average, Observations

STOPPED = (
    "votes that were not needed are left out: figures of single completions and of confidence are about those that were asked for, "
    "and a protocol that reads verdicts by another rule than the run may decide otherwise than with all votes"
)


def observations(
    benchmark: Benchmark, completions: Completions, policy: Policy, context: ScoringContext
) -> Observations | None:
    """What a benchmark counts under a policy, or None where the completions do not allow it."""
    if benchmark.observe_scores is not None:
        scores = completions.scores(context, whole_items=benchmark.whole_items)
        found = collected(benchmark.observe_scores(scored_items(scores)))
        return found if found.cells else None
    values = benchmark.observe(completions.values(policy, context, whole_items=benchmark.whole_items))
    agreed = (
        Value(value, agreement_cell(entry.subset), entry.prompt)
        for entry, value in completions.agreements(policy, context)
    )
    found = collected(chain(values, agreed))
    return found if found.cells else None


def collected(values: Iterable[Value]) -> Observations:
    """The values of a benchmark as observations."""
    found = list(values)
    return Observations(
        [value.value for value in found], [value.cell for value in found], [value.cluster for value in found]
    )


def averages(benchmark: Benchmark, protocol: Protocol, cells: Iterable[str]) -> dict[str, Average]:
    """The figures of a benchmark under a protocol; those of own pairs are about the categories that there are."""
    every = tuple(sorted(cells))
    sided = tuple(cell for cell in every if not is_tie_cell(cell))
    found = {
        name: Average(sided if ALL in average.parts else every, by_size=average.by_size)
        if {ALL, ALL_WITH_TIES} & set(average.parts)
        else average
        for name, average in benchmark.metrics(protocol).items()
    }
    if sided == every:  # what counts ties is the same as what does not
        wanted = benchmark.metrics(protocol)
        return {name: average for name, average in found.items() if ALL_WITH_TIES not in wanted[name].parts}
    return found


def score(
    benchmark: Benchmark, data: BenchmarkData, completions: Completions, context: ScoringContext
) -> BenchmarkResults:
    """Score a benchmark under every protocol that its completions allow, with what qualifies the figures.

    Args:
        benchmark: Which.
        data: What was recorded about its data.
        completions: What was judged.
        context: How the completions came about.
    """
    protocols: dict[str, ProtocolScores] = {}
    missing: dict[str, str] = {}
    notes: list[str] = []
    for protocol in PROTOCOLS:
        policy = benchmark.policies.get(protocol)
        if policy is None:
            if protocol == PAIRS:
                continue
            missing[protocol] = benchmark.not_computed.get(protocol, f"{benchmark.title} defines no policy for it")
            continue
        found = observations(benchmark, completions, policy, context)
        if found is None:
            missing[protocol] = "needs both orders" if policy.both and completions.judged else "nothing is judged yet"
            continue
        figures = averages(benchmark, protocol, found.cells)
        scores = protocol_scores(policy.note, figures, found)
        unobserved = [name for name in figures if name not in scores.metrics]
        if not scores.metrics:
            missing[protocol] = f"none of its figures is about a cell that was judged ({', '.join(found.cells)})"
            continue
        notes += [f"{protocol}: nothing of {name} is judged" for name in unobserved]
        protocols[protocol] = scores
    read = completions.read(context.rule)
    compared = [] if benchmark.choice else read
    return BenchmarkResults(
        data=data,
        protocols=protocols,
        not_computed=missing,
        judged=_counts(completions, read),
        pairs=None if benchmark.choice else pair_figures(completions, context),
        orders=order_agreement(compared, context.seed),
        bias=bias_audit(compared),
        length=accuracy_by_length(compared),
        calibration=calibration(compared),
        notes=(*benchmark.notes, *notes, *((STOPPED,) * completions.stopped)),
    )


def pair_figures(completions: Completions, context: ScoringContext) -> PairFigures:
    """The figures that ``rmr1 judge`` prints for the same completions.

    Args:
        completions: What was judged.
        context: Its rule reads the verdicts.
    """
    tally = JudgmentTally()
    for number, entry in enumerate(completions.judged):
        tally.add(number, combine(completions.samples(entry), context.rule, completions.per_pair))
    tally.add_unjudged(completions.unjudged)
    places: dict[str, int] = {}
    return tally.figures([places.setdefault(entry.prompt, len(places)) for entry in completions.judged])


def protocol_scores(policy: str, figures: Mapping[str, Average], found: Observations) -> ProtocolScores:
    """The figures of a protocol with their intervals, and each of their cells.

    Args:
        policy: What the protocol counts, in words.
        figures: The averages to compute; those without an observation are left out.
        found: What was observed.
    """
    metrics = {
        name: Figure.of(estimate, sorted(average.cells() - set(found.cells)))
        for name, average in figures.items()
        if (estimate := found.estimate(average))
    }
    cells = {cell: Figure.of(estimate) for cell in found.cells if (estimate := found.estimate(Average((cell,))))}
    return ProtocolScores(policy, metrics, cells)


def _counts(completions: Completions, read: list[Judged]) -> JudgedCounts:
    reasons = Counter(verdict.invalid for judged in read for _, verdict in judged.verdicts if verdict.invalid)
    total = sum(len(judged.verdicts) for judged in read)
    return JudgedCounts(
        items=len({judged.entry.item for judged in read}),
        pairs=len(read),
        unjudged_pairs=completions.unjudged,
        completions=total,
        invalid=InvalidVerdicts(reasons.total() / total if total else 0.0, dict(sorted(reasons.items())), total),
        tokens=completions.tokens,
    )
