"""Two runs side by side: the difference of every figure, and the items on which they differ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rmr1.benchmarks.benchmark import Benchmark, Policy, Protocol
from rmr1.benchmarks.entries import Entry
from rmr1.benchmarks.released import is_released
from rmr1.benchmarks.results import JudgedBenchmark, read_run
from rmr1.benchmarks.scoring import averages
from rmr1.benchmarks.unpaired import compare_unpaired
from rmr1.errors import ConfigError, RunError
from rmr1.stats import Average, Observations, paired_bootstrap


def compare_runs(
    first: Path, second: Path, protocol: Protocol, votes: tuple[int | None, int | None] = (None, None)
) -> dict[str, Any]:
    """Compare two runs on the comparisons that both have judged.

    Where one is a folder of released files, figures are compared instead, under the one protocol that these have: see
    ``unpaired.compare_unpaired`` for what is returned then, with ``paired`` false.

    Args:
        first: One run.
        second: The other one; the same one with another number of votes will do.
        protocol: By which they are scored.
        votes: Of each run, count the first so many votes of each order; all where None.

    Returns:
        For each benchmark of both: ``metrics`` and ``cells`` with the difference (second less first), its 95 % interval from a
        paired bootstrap over prompts, and p; ``pairs`` compared and ``left_out``; ``differing``: the comparisons whose values
        differ.

    Raises:
        RunError: One of them is no run of ``rmr1 eval``, or they have nothing in common.
        ConfigError: One of them has fewer votes.
        JournalError: A journal is damaged.
        DataError: A released file is not what it should be.
    """
    if is_released(first) or is_released(second):
        if votes != (None, None):
            raise ConfigError("--votes: released figures have no votes that could be counted; leave it out")
        return compare_unpaired(first, second)
    left = {judged.benchmark.name: judged for judged in read_run(first, votes[0])[1]}
    right = {judged.benchmark.name: judged for judged in read_run(second, votes[1])[1]}
    shared = [name for name in left if name in right]
    if not shared:
        raise RunError(f"{first} and {second}: no benchmark is in both; {', '.join(left)} and {', '.join(right)}")
    return {
        "runs": [str(first), str(second)],
        "protocol": protocol,
        "paired": True,
        "benchmarks": {name: _compare(left[name], right[name], protocol) for name in shared},
    }


def _compare(left: JudgedBenchmark, right: JudgedBenchmark, protocol: Protocol) -> dict[str, Any]:
    benchmark = left.benchmark
    policy = benchmark.policies.get(protocol)
    if policy is None:
        return {"problem": f"{benchmark.title} has no protocol {protocol}"}
    one, other = _values(left, policy), _values(right, policy)
    common = _common(benchmark, one, other)
    if not common:
        return {"problem": "no comparison is judged in both"}
    observed = [_observed(benchmark, values, common) for values in (one, other)]
    cells = observed[0].cells
    named = averages(benchmark, protocol, cells) | {f"\0{cell}": Average((cell,)) for cell in cells}
    differences = paired_bootstrap(observed[0], observed[1], named)
    found = {name: asdict(difference) for name, difference in differences.items()}
    return {
        "pairs": len(common),
        "left_out": len(one) + len(other) - 2 * len(common),
        "metrics": {name: value for name, value in found.items() if name[0] != "\0"},
        "cells": {name[1:]: value for name, value in found.items() if name[0] == "\0"},
        "differing": list(_differing(one, other, common)),
    }


def _values(judged: JudgedBenchmark, policy: Policy) -> dict[Entry, float]:
    return dict(judged.completions.values(policy, judged.asked, whole_items=judged.benchmark.whole_items))


def _common(benchmark: Benchmark, one: dict[Entry, float], other: dict[Entry, float]) -> list[Entry]:
    broken = {entry.item for entry in one.keys() ^ other.keys()} if benchmark.whole_items else set()
    return [entry for entry in one if entry in other and entry.item not in broken]


def _observed(benchmark: Benchmark, values: dict[Entry, float], entries: list[Entry]) -> Observations:
    found = list(benchmark.observe((entry, values[entry]) for entry in entries))
    return Observations(
        [value.value for value in found], [value.cell for value in found], [value.cluster for value in found]
    )


def _differing(one: dict[Entry, float], other: dict[Entry, float], common: list[Entry]) -> Iterator[dict[str, Any]]:
    for entry in common:
        if one[entry] != other[entry]:
            yield {"id": entry.id, "subset": entry.subset, "first": one[entry], "second": other[entry]}
