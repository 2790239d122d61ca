"""Judges of which at least one is known by its released figures alone: these are compared by their intervals.

Released files say how many comparisons of a set were right, not which, so nothing can be said about single comparisons.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path

from rmr1.benchmarks.benchmark import Benchmark
from rmr1.benchmarks.eval_runs import score_run
from rmr1.benchmarks.released import PROTOCOL, is_released, score_released
from rmr1.errors import RunError
from rmr1.results import (
    BenchmarkComparison,
    BenchmarkResults,
    ComparedRun,
    CompareResults,
    Difference,
    EvalResults,
    Figure,
    HeadToHead,
    Standing,
)
from rmr1.stats import unpaired_difference

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


def compare_figures(paths: Mapping[str, Path], benchmarks: tuple[Benchmark, ...]) -> CompareResults:
    """Compare released figures with runs or with other released figures.

    Args:
        paths: Directories by the names of the runs.
        benchmarks: Benchmarks that no installed package offers.

    Raises:
        RunError: A directory is no run, or no benchmark is in two of them.
        DataError: A released file is not what it should be.
    """
    scored = {
        name: score_released(path) if is_released(path) else score_run(path, benchmarks=benchmarks)
        for name, path in paths.items()
    }
    having: dict[str, list[str]] = {}
    for name, results in scored.items():
        for benchmark in results.benchmarks:
            having.setdefault(benchmark, []).append(name)
    shared = {benchmark: names for benchmark, names in having.items() if len(names) > 1}
    if not shared:
        each = "; ".join(f"{paths[name]}: {', '.join(results.benchmarks)}" for name, results in scored.items())
        raise RunError(f"no benchmark is in two of the runs ({each})")
    missing = {benchmark: [name for name in scored if name not in names] for benchmark, names in having.items()}
    return CompareResults(
        runs={name: _described(paths[name], results) for name, results in scored.items()},
        protocol=PROTOCOL,
        paired=False,
        benchmarks={
            benchmark: _compare({name: scored[name].benchmarks[benchmark] for name in names})
            for benchmark, names in shared.items()
        },
        notes=(PROTOCOL_NOTE, UNPAIRED_NOTE, INDEPENDENT_NOTE),
        not_compared={benchmark: f"not in {', '.join(names)}" for benchmark, names in missing.items() if names},
    )


def _described(path: Path, results: EvalResults) -> ComparedRun:
    return ComparedRun(str(path), "released" if is_released(path) else "eval", results.judge)


def _compare(found: Mapping[str, BenchmarkResults]) -> BenchmarkComparison:
    title = next(one.data.title or one.data.benchmark for one in found.values())
    for name, one in found.items():
        if PROTOCOL not in one.protocols:
            problem = f"{name}: {one.not_computed.get(PROTOCOL, 'nothing is scored')}"
            return BenchmarkComparison(title, problem=problem)
    scores = {name: one.protocols[PROTOCOL] for name, one in found.items()}
    first = next(iter(scores.values()))
    metrics = {name: _shared([one.metrics for one in scores.values()], one.metrics) for name, one in scores.items()}
    cells = {name: _shared([one.cells for one in scores.values()], one.cells) for name, one in scores.items()}
    standings = {
        name: Standing(
            metrics=metrics[name],
            cells=cells[name],
            judged=one.judged.pairs if one.judged else 0,
            unjudged=one.judged.unjudged_pairs if one.judged else 0,
            from_first={} if scores[name] is first else _differences(next(iter(metrics.values())), metrics[name]),
            cells_from_first={} if scores[name] is first else _differences(next(iter(cells.values())), cells[name]),
        )
        for name, one in found.items()
    }
    return BenchmarkComparison(
        title=title,
        policy=first.policy,
        runs=standings,
        versus=tuple(_versus(metrics)),
        notes=tuple(_notes(found, metrics)),
    )


def _shared(every: list[Mapping[str, Figure]], own: Mapping[str, Figure]) -> dict[str, Figure]:
    """Figures that all have; one that is not of all its subsets is another figure, and is left out."""
    return {
        name: figure
        for name, figure in own.items()
        if all(name in figures and not figures[name].missing for figures in every)
    }


def _versus(metrics: Mapping[str, Mapping[str, Figure]]) -> Iterator[HeadToHead]:
    for one, other in combinations(metrics, 2):
        headline = next(iter(_differences(metrics[one], metrics[other]).values()), None)
        yield HeadToHead(one, other, headline)


def _differences(left: Mapping[str, Figure], right: Mapping[str, Figure]) -> dict[str, Difference]:
    return {name: _difference(figure, right[name]) for name, figure in left.items()}


def _difference(left: Figure, right: Figure) -> Difference:
    if left.estimate is None or right.estimate is None:
        return Difference(right.value - left.value, first=left.value, second=right.value)
    value, low, high = unpaired_difference(left.estimate, right.estimate)
    return Difference(value, low, high, first=left.value, second=right.value)


def _notes(found: Mapping[str, BenchmarkResults], metrics: Mapping[str, Mapping[str, Figure]]) -> Iterator[str]:
    """What keeps the figures of a run from being those of the whole benchmark."""
    for name, one in found.items():
        yield from (f"{name}: not the whole benchmark: {problem}" for problem in one.data.problems)
        items = sum(one.data.items.values())
        if one.judged and one.judged.items < items:
            yield f"{name}: {one.judged.items} of {items} items, and subsets weigh in figures by size as far as they are judged"
    kept = next(iter(metrics.values()))
    if any(figures[name].low is None for figures in metrics.values() for name in figures):
        yield UNCOUNTED
    released = [one for one in found.values() if one.judged is None]
    every = dict.fromkeys(name for one in released for name in one.protocols[PROTOCOL].metrics)
    left_out = [name for name in every if name not in kept]
    if left_out:
        yield f"not compared, since a run lacks subsets of them: {', '.join(left_out)}"
