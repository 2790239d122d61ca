"""Any number of judges side by side: figures with ranks, every two against each other, and the pairs on which they differ.

Runs are compared on the pairs that all of them have judged. Pairs are known by their content, so data may have other names, other
ids, another order and other sides. Where a run is a folder of released figures, there are only figures to compare: see
``unpaired``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TypeAlias, get_args

from rmr1.arguments import expect_count, expect_several, expect_word, path_of
from rmr1.benchmarks.benchmark import Benchmark, Entry, Protocol, Value, scored_items
from rmr1.benchmarks.contestants import (
    COMBINED_POLICY,
    Contestant,
    JudgedPair,
    OpenRun,
    PairKey,
    observe_judged,
    open_run,
)
from rmr1.benchmarks.eval_runs import EvalRun
from rmr1.benchmarks.released import is_released
from rmr1.benchmarks.scoring import averages
from rmr1.benchmarks.standings import Field, as_in, compare_field
from rmr1.benchmarks.unpaired import compare_figures
from rmr1.errors import ConfigError, RunError
from rmr1.judging import score_list
from rmr1.report.samples import StagedSample
from rmr1.results import BenchmarkComparison, ComparedRun, CompareResults, JudgeSettings
from rmr1.stats import Average

ITEMS = 200
"""This many differing pairs are kept with their texts."""
ALL_PAIRS = "pairs"
"""What runs are compared on where one of them is of ``rmr1 judge``."""
_POLICIES = ("orders", "votes", "rule", "temperature", "max_tokens", "stop")
Compared: TypeAlias = tuple[BenchmarkComparison, tuple[StagedSample, ...]]


@dataclass(frozen=True, slots=True)
class RunComparison:
    """What comparing runs leaves behind.

    Args:
        results: What the comparison concludes.
        samples: The differing pairs of each benchmark, as a page lists them.
    """

    results: CompareResults
    samples: Mapping[str, tuple[StagedSample, ...]]


def compare_runs(
    runs: Sequence[str | Path],
    *,
    protocol: Protocol = "official",
    votes: Sequence[int | None] = (),
    items: int = ITEMS,
    benchmarks: Iterable[Benchmark] = (),
) -> RunComparison:
    """Compare runs of ``rmr1 judge`` and ``rmr1 eval`` on the pairs that all of them have judged.

    Runs of ``rmr1 eval`` are compared on each benchmark that at least two of them have, by its figures under a protocol. If one
    of the runs is of ``rmr1 judge``, all are compared on all their pairs, which are right where the combined outcome is the label.
    If one is a folder of released files, figures alone are compared, under the one protocol that these have.

    Args:
        runs: Their directories, at least two. The same one may occur again with another number of votes.
        protocol: By which benchmarks are scored.
        votes: Of each run, count the first K votes of each order; all where None.
        items: Keep this many differing pairs with their texts.
        benchmarks: Benchmarks that no installed package offers.

    Raises:
        ConfigError: There are fewer than two runs, or one has fewer votes.
        RunError: One of them is no such run, or they have nothing in common.
        JournalError: A journal is damaged.
        DataError: A released file is not what it should be.
    """
    expect_several("runs", runs, "a list of run directories")
    paths = [path_of(f"runs[{number}]", run, "a run directory") for number, run in enumerate(runs)]
    expect_several("votes", votes, "a list of numbers")
    for number, count in enumerate(votes):
        expect_count(f"votes[{number}]", count)
    expect_word("protocol", protocol, get_args(Protocol))
    expect_several("benchmarks", benchmarks, "Benchmark objects")
    expect_count("items", items)
    if len(paths) < 2:
        raise ConfigError(f"{len(paths)} run{'s' * (len(paths) != 1)}: name at least two to compare")
    if votes and len(votes) != len(paths):
        raise ConfigError(f"votes: {len(votes)} numbers for {len(paths)} runs; give one for each, or none at all")
    counted = tuple(votes) or (None,) * len(paths)
    names = run_names(paths, counted)
    own = tuple(benchmarks)
    if any(map(is_released, paths)):
        if any(counted):
            raise ConfigError("--votes: released figures have no votes that could be counted; leave it out")
        return RunComparison(compare_figures(dict(zip(names, paths, strict=True)), own), {})
    opened = [open_run(name, path, count, own) for name, path, count in zip(names, paths, counted, strict=True)]
    found, missing = _compared(opened, protocol, items)
    samples = {name: kept for name, (_, kept) in found.items()}
    results = CompareResults(
        runs={one.name: _described(one, path) for one, path in zip(opened, paths, strict=True)},
        protocol=protocol if all(isinstance(one.run, EvalRun) for one in opened) else "",
        paired=True,
        benchmarks={name: comparison for name, (comparison, _) in found.items()},
        notes=tuple(_policies({one.name: one.judge for one in opened})),
        not_compared=missing,
    )
    if all(one.problem is not None for one in results.benchmarks.values()):
        problems = "; ".join(f"{one.title}: {one.problem}" for one in results.benchmarks.values())
        raise RunError(f"{', '.join(map(str, paths))}: nothing to compare; {problems}")
    return RunComparison(results, samples)


def run_names(paths: Sequence[Path], votes: Sequence[int | None]) -> list[str]:
    """A short and unique name for each run: its folder, as much of its path as tells it apart, its votes, its place.

    Args:
        paths: Directories of the runs.
        votes: What is counted of each.
    """
    depth = 1
    while depth < max(len(path.parts) for path in paths) and len({_tail(path, depth) for path in paths}) < len(
        set(paths)
    ):
        depth += 1
    names = [
        _tail(path, depth) + (f", {count} vote{'s' * (count > 1)}" if count else "")
        for path, count in zip(paths, votes, strict=True)
    ]
    return [
        name if names.count(name) == 1 else f"{name} ({names[: place + 1].count(name)})"
        for place, name in enumerate(names)
    ]


def _tail(path: Path, depth: int) -> str:
    return "/".join(path.resolve().parts[-depth:])


def _described(one: OpenRun, path: Path) -> ComparedRun:
    return ComparedRun(str(path), "eval" if isinstance(one.run, EvalRun) else "judge", one.judge, one.judge.kind)


def _policies(judges: Mapping[str, JudgeSettings]) -> Iterator[str]:
    """What differs in how the judges were run and read: it may differ in the figures, too."""
    for setting in _POLICIES:
        values = {name: getattr(judge, setting) for name, judge in judges.items()}
        if len(set(values.values())) > 1:
            said = ", ".join(f"{value} in {name}" for name, value in values.items())
            yield f"the runs differ in {setting.replace('_', ' ')}: {said}"


def _compared(opened: Sequence[OpenRun], protocol: Protocol, items: int) -> tuple[dict[str, Compared], dict[str, str]]:
    evals = [one for one in opened if isinstance(one.run, EvalRun)]
    if len(evals) < len(opened):
        return {ALL_PAIRS: _on_all([one.on_all() for one in opened], items)}, {}
    having: dict[str, list[OpenRun]] = {}
    known: dict[str, Benchmark] = {}
    for one in evals:
        assert isinstance(one.run, EvalRun)
        for judged in one.run.benchmarks:
            having.setdefault(judged.benchmark.name, []).append(one)
            known[judged.benchmark.name] = judged.benchmark
    shared = {name: runs for name, runs in having.items() if len(runs) > 1}
    if not shared:
        each = "; ".join(f"{one.name}: {', '.join(n for n, runs in having.items() if one in runs)}" for one in opened)
        raise RunError(f"no benchmark is in two of the runs ({each})")
    missing = {name: f"only in {runs[0].name}" for name, runs in having.items() if len(runs) == 1}
    found = {name: _on_benchmark(known[name], runs, protocol, items) for name, runs in shared.items()}
    for name, runs in shared.items():
        without = [one.name for one in opened if one not in runs]
        if without:
            missing[name] = f"not in {', '.join(without)}"
    return found, missing


def _on_benchmark(benchmark: Benchmark, runs: Sequence[OpenRun], protocol: Protocol, items: int) -> Compared:
    policy = benchmark.policies.get(protocol)
    if policy is None:
        return BenchmarkComparison(benchmark.title, problem=f"it has no protocol {protocol}"), ()
    sides = [one.on(benchmark.name, protocol) for one in runs]
    first = sides[0].pairs
    common = _common(sides)
    if benchmark.whole_items:
        entries = {key: first[key].entry for key in first}
        broken = {entry.item for key, entry in entries.items() if entry is not None and key not in common}
        common = {key: None for key in common if (entry := entries[key]) is None or entry.item not in broken}

    def observe(side: Contestant, keys: Sequence[PairKey]) -> Iterable[Value]:
        if benchmark.observe_scores is not None:
            return benchmark.observe_scores(scored_items(_scores(first, side, keys)))
        found = ((first[key].entry, side.values[key]) for key in keys)
        return benchmark.observe((entry, value) for entry, value in found if entry is not None)

    def named(cells: Iterable[str]) -> Mapping[str, Average]:
        return averages(benchmark, protocol, cells)

    return compare_field(Field(benchmark.title, policy.note, sides, tuple(common), observe, named), items)


def _scores(
    first: Mapping[PairKey, JudgedPair], side: Contestant, keys: Sequence[PairKey]
) -> Iterator[tuple[Entry, tuple[float | None, float | None]]]:
    """The scores of pairs by a judge, in the sides that the first run's data have."""
    for key in keys:
        entry, votes = first[key].entry, as_in(first[key], side.pairs[key]).votes
        if entry is not None:
            of_a, of_b = score_list(votes, "ab"), score_list(votes, "ba")
            yield entry, (fmean(of_a) if of_a else None, fmean(of_b) if of_b else None)


def _on_all(sides: Sequence[Contestant], items: int) -> Compared:
    first = sides[0].pairs

    def observe(side: Contestant, keys: Sequence[PairKey]) -> Iterable[Value]:
        return observe_judged((first[key], side.values[key]) for key in keys)

    def named(cells: Iterable[str]) -> Mapping[str, Average]:
        every = tuple(sorted(cells))
        accuracy = {"accuracy": Average(every, by_size=True)}
        return accuracy if len(every) < 2 else accuracy | {"mean of categories": Average(every)}

    return compare_field(Field("All pairs", COMBINED_POLICY, sides, tuple(_common(sides)), observe, named), items)


def _common(sides: Sequence[Contestant]) -> dict[PairKey, None]:
    """Labelled pairs that all have judged, in the order of the first."""
    return {key: None for key in sides[0].values if all(key in side.values for side in sides[1:])}
