"""Completions to figures: every protocol that they allow, with intervals, and what qualifies them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from rmr1.benchmarks.audit import bias, by_length, calibration, orders
from rmr1.benchmarks.benchmark import PROTOCOLS, Benchmark, Policy, Protocol
from rmr1.benchmarks.entries import Value
from rmr1.benchmarks.judged import Completions, Judged, ScoringContext
from rmr1.benchmarks.suite.custom import ALL
from rmr1.stats import Average, Observations


def observations(
    benchmark: Benchmark, completions: Completions, policy: Policy, asked: ScoringContext
) -> Observations | None:
    """What a benchmark counts under a policy, or None where the completions do not allow it."""
    values = list(benchmark.observe(completions.values(policy, asked, whole_items=benchmark.whole_items)))
    return _collected(values) if values else None


def _collected(values: list[Value]) -> Observations:
    return Observations(
        [value.value for value in values], [value.cell for value in values], [value.cluster for value in values]
    )


def averages(benchmark: Benchmark, protocol: Protocol, cells: Iterable[str]) -> dict[str, Average]:
    """The figures of a benchmark under a protocol; those of own pairs are about the categories that there are."""
    every = tuple(sorted(cells))
    return {
        name: Average(every, by_size=average.by_size) if ALL in average.parts else average
        for name, average in benchmark.metrics(protocol).items()
    }


def score(benchmark: Benchmark, completions: Completions, asked: ScoringContext) -> dict[str, Any]:
    """Score a benchmark.

    Returns:
        ``protocols``: for each protocol that can be computed, its policy in words, its figures, and every cell; ``not_computed``:
        the others, with the reason; ``judged``: how many there were and how many are invalid; ``orders``: agreement between the
        orders; ``bias``: accuracy by which response is longer, and by which one was shown first; ``length`` and
        ``calibration``: accuracy by how much longer the better response is, and by confidence.
    """
    protocols: dict[str, Any] = {}
    missing: dict[str, str] = {}
    for protocol in PROTOCOLS:
        policy = benchmark.policies.get(protocol)
        if policy is None:
            missing[protocol] = f"{benchmark.title} has no such protocol: the paper does not report it"
            continue
        found = observations(benchmark, completions, policy, asked)
        if found is None:
            missing[protocol] = "needs both orders" if policy.both and completions.judged else "nothing is judged yet"
            continue
        protocols[protocol] = _protocol(benchmark, protocol, policy, found)
    read = completions.read(asked.rule)
    return {
        "judged": _counts(completions, read),
        "protocols": protocols,
        "not_computed": missing,
        "orders": orders(read, asked.seed),
        "bias": bias(read),
        "length": by_length(read),
        "calibration": calibration(read),
        "notes": list(benchmark.notes),
    }


def _protocol(benchmark: Benchmark, protocol: Protocol, policy: Policy, found: Observations) -> dict[str, Any]:
    figures = {}
    for name, average in averages(benchmark, protocol, found.cells).items():
        estimate = found.estimate(average)
        if estimate is not None:
            figures[name] = asdict(estimate) | {"missing": sorted(average.cells() - set(found.cells))}
    cells = {cell: asdict(estimate) for cell in found.cells if (estimate := found.estimate(Average((cell,))))}
    return {"policy": policy.note, "metrics": figures, "cells": cells}


def _counts(completions: Completions, read: list[Judged]) -> dict[str, Any]:
    reasons = Counter(verdict.invalid for judged in read for _, verdict in judged.verdicts if verdict.invalid)
    total = sum(len(judged.verdicts) for judged in read)
    return {
        "items": len({judged.entry.item for judged in read}),
        "pairs": len(read),
        "unjudged_pairs": completions.unjudged,
        "completions": total,
        "invalid": {"share": reasons.total() / total if total else 0.0, "by_reason": dict(sorted(reasons.items()))},
        "tokens": completions.tokens(),
    }
