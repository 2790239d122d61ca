"""From a run directory to its results, without an engine and without the data: the journals suffice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rmr1.benchmarks.benchmark import Benchmark, Entry
from rmr1.benchmarks.judged import Completions, ScoringContext
from rmr1.benchmarks.published import published_beside
from rmr1.benchmarks.scoring import score
from rmr1.benchmarks.suite.registry import BENCHMARKS, find_benchmark
from rmr1.errors import ConfigError, RunError
from rmr1.judging import ComparisonLayout, Completion, concluded_run, recorded_completions
from rmr1.results import BenchmarkData, BenchmarkResults, EvalResults, JudgeSettings, Spending, read_plain
from rmr1.runs import JournalLine, read_document, read_journal, read_manifest

RESULTS = "results.json"
SPENDING = "spending.json"
DATA = "benchmark.json"
PAIRS = "pairs.jsonl"


@dataclass(frozen=True, slots=True)
class JudgedBenchmark:
    """A benchmark of a run, as its journal has it.

    Args:
        path: The directory of its judging run.
        benchmark: Which.
        completions: Its completions.
        context: How they came about.
        data: What was recorded about the data.
        votes: Completions of each order that count.
        orders: Orders in which each comparison was shown.
    """

    path: Path
    benchmark: Benchmark
    completions: Completions
    context: ScoringContext
    data: BenchmarkData
    votes: int
    orders: int

    def first(self, votes: int) -> JudgedBenchmark:
        """The same as it would be, had only this many votes of each order been sampled."""
        return replace(self, votes=votes, completions=self.completions.first(votes, votes * self.orders))

    def score(self) -> BenchmarkResults:
        """What the benchmark concludes."""
        scored = score(self.benchmark, self.data, self.completions, self.context)
        concluded = concluded_run(self.path)
        return scored if concluded is None else replace(scored, faults=concluded.faults, engine_notes=concluded.notes)


@dataclass(frozen=True, slots=True)
class EvalRun:
    """A run of ``rmr1 eval`` as its directory has it.

    Args:
        path: Its directory.
        identity: What identifies it, from its manifest.
        benchmarks: Its benchmarks: ours in their order, then others by name.
    """

    path: Path
    identity: Mapping[str, Any]
    benchmarks: tuple[JudgedBenchmark, ...]

    @property
    def judge(self) -> JudgeSettings:
        """Which judge it was and how it was run."""
        return judge_settings(self.identity)

    def score(self) -> EvalResults:
        """What the run concludes."""
        scored = {judged.benchmark.name: judged.score() for judged in self.benchmarks}
        return EvalResults(self.judge, scored, published_beside(scored), read_spending(self.path))


def read_run(path: Path, votes: int | None = None, benchmarks: Iterable[Benchmark] = ()) -> EvalRun:
    """Read a run of ``rmr1 eval``, also one that is under way.

    Args:
        path: Its directory.
        votes: Count the first K votes of each order, as if no more had been sampled; all where None.
        benchmarks: Benchmarks that no installed package offers.

    Raises:
        RunError: The directory is no such run, or one of its benchmarks is not installed.
        ConfigError: The run has fewer votes.
        JournalError: A journal is damaged.
    """
    identity = read_identity(path)
    names = _names(path)
    if identity.get("job") != "eval" or not names:
        hint = "name the directory that it printed, such as runs/eval-..."
        if identity.get("job") == "sweep":
            hint = f"it is a sweep, name a run in it: {', '.join(identity['runs'])}"
        raise RunError(f"{path}: not a run of rmr1 eval; {hint}")
    found = tuple(_read(path / name, one, identity) for name, one in known_benchmarks(path, benchmarks).items())
    if votes is None:
        return EvalRun(path, identity, found)
    check_votes(path, votes, identity)
    return EvalRun(path, {**identity, "votes": votes}, tuple(judged.first(votes) for judged in found))


def read_spending(path: Path) -> Spending | None:
    """What an evaluation or a sweep has spent, as its directory has it; None if it has neither a budget nor known prices.

    Raises:
        RunError: The file is damaged.
    """
    return (
        read_plain(Spending, read_document(path, SPENDING), str(path / SPENDING))
        if (path / SPENDING).is_file()
        else None
    )


def known_benchmarks(path: Path, given: Iterable[Benchmark] = ()) -> dict[str, Benchmark]:
    """The benchmarks that a run directory has judged or begun to judge, by name.

    Args:
        path: The run's directory.
        given: Benchmarks that need not be installed.

    Raises:
        RunError: One is neither given nor installed.
    """
    own = {benchmark.name: benchmark for benchmark in given}
    return {name: own[name] if name in own else _installed(path, name) for name in _names(path)}


def check_votes(path: Path, votes: int, identity: Mapping[str, Any]) -> None:
    """Refuse to count votes that a run does not have.

    Args:
        path: Its directory.
        votes: How many of each order are to be counted.
        identity: What identifies it; ``votes`` in it is a number, or those of a sweep.

    Raises:
        ConfigError: There are fewer, or they were stopped for another number of votes.
    """
    available = max(identity["votes"]) if isinstance(identity["votes"], list) else int(identity["votes"])
    if identity.get("stop") == "sequential" and votes != available:
        raise ConfigError(
            f"--votes {votes}: {path} stopped its votes by what {available} votes would probably say, so fewer cannot be counted"
        )
    if not 1 <= votes <= available:
        raise ConfigError(
            f"--votes {votes}: {path} has {available} of each order, and the first 1 to {available} can be counted"
        )


def score_run(path: str | Path, votes: int | None = None, benchmarks: Iterable[Benchmark] = ()) -> EvalResults:
    """Score a run again from its journals.

    Args:
        path: Its directory.
        votes: Count the first K votes of each order; all where None.
        benchmarks: Benchmarks that no installed package offers, such as those of a script.

    Raises:
        RunError: The directory is no run of ``rmr1 eval``, or one of its benchmarks is not installed.
        ConfigError: The run has fewer votes.
        JournalError: A journal is damaged.
    """
    return read_run(Path(path), votes, benchmarks).score()


def judge_settings(identity: Mapping[str, Any]) -> JudgeSettings:
    """The settings that a run's identity tells."""
    return JudgeSettings(**{name: identity[name] for name in JudgeSettings.__dataclass_fields__ if name in identity})


def read_identity(path: Path) -> Mapping[str, Any]:
    """What identifies a run, from its manifest.

    Raises:
        RunError: The directory is no run, or of another version of rmr1.
    """
    identity: Mapping[str, Any] = read_manifest(path).identity
    return identity


def _names(path: Path) -> list[str]:
    ours = {name: place for place, name in enumerate(BENCHMARKS.builtin)}
    names = (file.parent.name for file in path.glob(f"*/{DATA}"))
    return sorted(names, key=lambda name: (ours.get(name, len(ours)), name))


def _installed(path: Path, name: str) -> Benchmark:
    try:
        return find_benchmark(name)
    except ConfigError as error:
        if name in BENCHMARKS:
            raise
        raise RunError(
            f'{path}: the benchmark "{name}" of this run is not installed; install the package that offers it, '
            f"or in Python pass the object, as in score_run(path, benchmarks=[...])"
        ) from error


def _entry(line: JournalLine) -> Entry:
    try:
        return Entry.from_record(line.record)
    except (KeyError, TypeError, ValueError) as error:
        raise line.refuse(f"not a comparison of a benchmark ({error})", "run rmr1 eval again") from error


def _samples(path: Path, entries: Sequence[Entry], layout: ComparisonLayout) -> Iterator[Completion]:
    for line, completion in recorded_completions(path, layout):
        if completion.pair < len(entries) and entries[completion.pair].id != completion.pair_id:
            raise line.refuse(f'pair_id: pair {completion.pair} is "{entries[completion.pair].id}"')
        yield completion


def _read(path: Path, benchmark: Benchmark, identity: Mapping[str, Any]) -> JudgedBenchmark:
    layout = ComparisonLayout.of_identity(identity)
    layout = replace(layout, orders="given") if benchmark.choice else layout
    entries = [_entry(line) for line in read_journal(path, PAIRS)]
    samples = _samples(path, entries, layout)
    votes, orders = layout.votes, layout.shown
    rule = None if layout.stop == "never" else layout.rule
    data = read_plain(BenchmarkData, read_document(path, DATA), str(path / DATA))
    context = ScoringContext(int(identity["seed"]), str(identity["rule"]))
    completions = Completions(entries, samples, votes * orders, rule)
    return JudgedBenchmark(path, benchmark, completions, context, data, votes, orders)
