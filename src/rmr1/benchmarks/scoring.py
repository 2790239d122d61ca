"""Judgements to figures: every protocol that they allow, with intervals, and what qualifies them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from rmr1.benchmarks.benchmark import PROTOCOLS, Benchmark, Policy, Protocol
from rmr1.benchmarks.custom import ALL
from rmr1.benchmarks.entries import Value
from rmr1.benchmarks.judged import Asked, Judged, Judgements
from rmr1.data import random_order
from rmr1.stats import Average, ClusteredShare, Observations, cohen_kappa


def observations(benchmark: Benchmark, judgements: Judgements, policy: Policy, asked: Asked) -> Observations | None:
    """What a benchmark counts under a policy, or None where the judgements do not allow it."""
    values = list(benchmark.observe(judgements.values(policy, asked, whole_items=benchmark.whole_items)))
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


def score(benchmark: Benchmark, judgements: Judgements, asked: Asked) -> dict[str, Any]:
    """Score a benchmark.

    Returns:
        ``protocols``: for each protocol that can be computed, its policy in words, its figures, and every cell; ``not_computed``:
        the others, with the reason; ``judged``: how many there were and how many are invalid; ``orders``: agreement between the
        orders; ``bias``: accuracy by which response is longer, and by which one was shown first.
    """
    protocols: dict[str, Any] = {}
    missing: dict[str, str] = {}
    for protocol in PROTOCOLS:
        policy = benchmark.policies.get(protocol)
        if policy is None:
            missing[protocol] = f"{benchmark.title} has no such protocol: the paper does not report it"
            continue
        found = observations(benchmark, judgements, policy, asked)
        if found is None:
            missing[protocol] = "needs both orders" if policy.both and judgements.judged else "nothing is judged yet"
            continue
        protocols[protocol] = _protocol(benchmark, protocol, policy, found)
    read = judgements.read(asked.rule)
    return {
        "judged": _counts(judgements, read),
        "protocols": protocols,
        "not_computed": missing,
        "orders": _orders(read, asked.seed),
        "bias": _bias(read),
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


def _counts(judgements: Judgements, read: list[Judged]) -> dict[str, Any]:
    reasons = Counter(verdict.invalid for judged in read for _, verdict in judged.verdicts if verdict.invalid)
    total = sum(len(judged.verdicts) for judged in read)
    return {
        "items": len({judged.entry.item for judged in read}),
        "pairs": len(read),
        "unjudged_pairs": judgements.unjudged,
        "judgements": total,
        "invalid": {"share": reasons.total() / total if total else 0.0, "by_reason": dict(sorted(reasons.items()))},
        "tokens": judgements.tokens(),
    }


def _orders(read: list[Judged], seed: int) -> dict[str, Any]:
    """Agreement of the two orders, and how often the response shown first is preferred.

    Where A is always the better response, as in data of chosen and rejected ones, kappa of the sides would measure how skewed
    they are. So the sides are named after a draw that does not know the label.
    """
    agreed: list[tuple[bool, str]] = []
    named = []
    for judged in read:
        balances = [reading.balance for reading in judged.readings.values()]
        if len(balances) < 2 or None in balances:
            continue
        signs = [((balance or 0) > 0) - ((balance or 0) < 0) for balance in balances]
        agreed.append((signs[0] == signs[1], judged.entry.prompt))
        turn = 1 if random_order(judged.entry.id, seed) == "ab" else -1
        named.append((turn * signs[0], turn * signs[1]))
    sides = Counter(verdict.side for judged in read for _, verdict in judged.verdicts if verdict.side)
    return {
        "position_consistency": _share(agreed),
        "kappa": cohen_kappa(named),
        "first_shown": sides["A"] / sides.total() if sides else None,
    }


def _bias(read: list[Judged]) -> dict[str, Any]:
    """Accuracy of single judgements, invalid ones not right, by what should not matter."""
    longer: dict[str, list[tuple[bool, str]]] = {"better_is_longer": [], "better_is_shorter": []}
    shown: dict[str, list[tuple[bool, str]]] = {"better_shown_first": [], "better_shown_second": []}
    for judged in read:
        entry = judged.entry
        difference = (entry.length_a - entry.length_b) * (1 if entry.label == "A" else -1)
        for order, verdict in judged.verdicts:
            first = (entry.label == "A") == (order == "ab")
            right = verdict.side == ("A" if first else "B")
            shown["better_shown_first" if first else "better_shown_second"].append((right, entry.prompt))
            if difference:
                longer["better_is_longer" if difference > 0 else "better_is_shorter"].append((right, entry.prompt))
    return {name: _share(values) for name, values in _items(longer, shown)}


def _items(*groups: Mapping[str, list[tuple[bool, str]]]) -> Iterator[tuple[str, list[tuple[bool, str]]]]:
    for group in groups:
        yield from group.items()


def _share(values: list[tuple[bool, str]]) -> dict[str, Any] | None:
    right: Counter[str] = Counter()
    size: Counter[str] = Counter()
    for success, cluster in values:
        right[cluster] += success
        size[cluster] += 1
    share = ClusteredShare()
    for cluster in sorted(size):
        share.add_cluster(right[cluster], size[cluster])
    estimate = share.estimate()
    return None if estimate is None else asdict(estimate)
