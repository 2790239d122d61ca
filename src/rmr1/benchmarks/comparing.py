"""Two runs side by side: the difference of every figure, and the items on which they differ.

Where at least one side is known by its released figures alone, figures are compared by their intervals: released files say how
many comparisons of a set were right, not which, so nothing can be said about single comparisons.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from rmr1.benchmarks.benchmark import Benchmark, Entry, Policy, Protocol
from rmr1.benchmarks.eval_runs import JudgedBenchmark, read_run, score_run
from rmr1.benchmarks.released import PROTOCOL, is_released, score_released
from rmr1.benchmarks.scoring import averages, collected
from rmr1.errors import ConfigError, RunError
from rmr1.results import BenchmarkDifference, BenchmarkResults, ComparisonResults, Difference, DifferingItem, Figure
from rmr1.stats import Average, Observations, paired_differences, unpaired_difference

UNPAIRED_NOTE = (
    "the intervals are unpaired: released files do not say which comparisons were right, so what makes an item hard for both "
    "judges is not taken out, and a difference that a paired comparison would show may not show here"
)
INDEPENDENT_NOTE = (
    "released counts are taken as independent comparisons, since the files do not say which share a prompt: true intervals of "
    "their figures are wider"
)
PROTOCOL_NOTE = f"protocol {PROTOCOL}, the only one that released figures have, whichever is wanted"
UNCOUNTED = "no interval: its figures are released without counts"


def compare_runs(
    first: Path,
    second: Path,
    protocol: Protocol,
    votes: tuple[int | None, int | None] = (None, None),
    benchmarks: Iterable[Benchmark] = (),
) -> ComparisonResults:
    """Compare two runs on the comparisons that both have judged; differences are second less first.

    Differences are paired over prompts. Where one side is a folder of released files, figures are compared
    instead, under the one protocol that these have.

    Args:
        first: One run.
        second: The other one; the same one with another number of votes will do.
        protocol: By which they are scored.
        votes: Of each run, count the first K votes of each order; all where None.
        benchmarks: Benchmarks that no installed package offers.

    Raises:
        RunError: One of them is no run of ``rmr1 eval``, or they have nothing in common.
        ConfigError: One of them has fewer votes.
        JournalError: A journal is damaged.
        DataError: A released file is not what it should be.
    """
    if is_released(first) or is_released(second):
        if votes != (None, None):
            raise ConfigError("--votes: released figures have no votes that could be counted; leave it out")
        return _compare_released(first, second, tuple(benchmarks))
    own = tuple(benchmarks)
    left = {judged.benchmark.name: judged for judged in read_run(first, votes[0], own).benchmarks}
    right = {judged.benchmark.name: judged for judged in read_run(second, votes[1], own).benchmarks}
    shared = [name for name in left if name in right]
    if not shared:
        raise RunError(f"{first} and {second}: no benchmark is in both; {', '.join(left)} and {', '.join(right)}")
    compared = {name: _compare(left[name], right[name], protocol) for name in shared}
    return ComparisonResults((str(first), str(second)), protocol, paired=True, benchmarks=compared)


def _compare(left: JudgedBenchmark, right: JudgedBenchmark, protocol: Protocol) -> BenchmarkDifference:
    benchmark = left.benchmark
    policy = benchmark.policies.get(protocol)
    if policy is None:
        return BenchmarkDifference(problem=f"{benchmark.title} has no protocol {protocol}")
    one, other = _values(left, policy), _values(right, policy)
    common = _common(benchmark, one, other)
    if not common:
        return BenchmarkDifference(problem="no comparison is judged in both")
    observed = [_observed(benchmark, values, common) for values in (one, other)]
    cells = observed[0].cells
    named = averages(benchmark, protocol, cells) | {f"\0{cell}": Average((cell,)) for cell in cells}
    found = paired_differences(observed[0], observed[1], named)
    return BenchmarkDifference(
        metrics={name: value for name, value in found.items() if name[0] != "\0"},
        cells={name[1:]: value for name, value in found.items() if name[0] == "\0"},
        pairs=len(common),
        left_out=len(one) + len(other) - 2 * len(common),
        differing=tuple(
            DifferingItem(entry.id, entry.subset, one[entry], other[entry])
            for entry in common
            if one[entry] != other[entry]
        ),
    )


def _values(judged: JudgedBenchmark, policy: Policy) -> dict[Entry, float]:
    return dict(judged.completions.values(policy, judged.context, whole_items=judged.benchmark.whole_items))


def _common(benchmark: Benchmark, one: dict[Entry, float], other: dict[Entry, float]) -> list[Entry]:
    broken = {entry.item for entry in one.keys() ^ other.keys()} if benchmark.whole_items else set()
    return [entry for entry in one if entry in other and entry.item not in broken]


def _observed(benchmark: Benchmark, values: dict[Entry, float], entries: list[Entry]) -> Observations:
    return collected(benchmark.observe((entry, values[entry]) for entry in entries))


def _compare_released(first: Path, second: Path, benchmarks: tuple[Benchmark, ...]) -> ComparisonResults:
    """Compare released figures with a run or with other released figures."""
    paths = (first, second)
    one, other = (
        (score_released(path) if is_released(path) else score_run(path, benchmarks=benchmarks)).benchmarks
        for path in paths
    )
    shared = [name for name in one if name in other]
    if not shared:
        raise RunError(f"{first} and {second}: no benchmark is in both; {', '.join(one)} and {', '.join(other)}")
    return ComparisonResults(
        runs=(str(first), str(second)),
        protocol=PROTOCOL,
        paired=False,
        benchmarks={name: _compare_figures(one[name], other[name], paths) for name in shared},
        notes=(PROTOCOL_NOTE, UNPAIRED_NOTE, INDEPENDENT_NOTE),
        not_compared={
            name: f"only in {first if name in one else second}" for name in {**one, **other} if name not in shared
        },
    )


def _compare_figures(one: BenchmarkResults, other: BenchmarkResults, paths: tuple[Path, Path]) -> BenchmarkDifference:
    sides = ((one, paths[0]), (other, paths[1]))
    for found, path in sides:
        if PROTOCOL not in found.protocols:
            return BenchmarkDifference(problem=f"{path}: {found.not_computed.get(PROTOCOL, 'nothing is scored')}")
    left, right = one.protocols[PROTOCOL], other.protocols[PROTOCOL]
    notes = [note for found, path in sides for note in _lacking(found, path)]
    metrics, cells = _differences(left.metrics, right.metrics), _differences(left.cells, right.cells)
    if any(difference.low is None for difference in metrics.values()):
        notes.append(UNCOUNTED)
    released = [found.protocols[PROTOCOL].metrics for found, _ in sides if found.judged is None]
    left_out = [name for name in {**released[0], **released[-1]} if name not in metrics]
    if left_out:
        notes.append(f"not compared, since a run lacks subsets of them: {', '.join(left_out)}")
    return BenchmarkDifference(metrics, cells, notes=tuple(notes))


def _differences(left: Mapping[str, Figure], right: Mapping[str, Figure]) -> dict[str, Difference]:
    """Differences of the figures of both; a figure that is not of all its subsets is another figure, and is left out."""
    return {
        name: _difference(figure, right[name])
        for name, figure in left.items()
        if name in right and not (figure.missing or right[name].missing)
    }


def _difference(left: Figure, right: Figure) -> Difference:
    if left.estimate is None or right.estimate is None:
        return Difference(right.value - left.value, first=left.value, second=right.value)
    value, low, high = unpaired_difference(left.estimate, right.estimate)
    return Difference(value, low, high, first=left.value, second=right.value)


def _lacking(found: BenchmarkResults, path: Path) -> Iterator[str]:
    """What keeps a run's figures from being those of the whole benchmark."""
    yield from (f"{path}: not the whole benchmark: {problem}" for problem in found.data.problems)
    judged, items = found.judged, sum(found.data.items.values())
    if judged and judged.items < items:
        yield f"{path}: {judged.items} of {items} items, and subsets weigh in figures by size as far as they are judged"
