"""A run directory to its results, without an engine and without the data: from the journals alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rmr1.benchmarks.benchmark import Benchmark
from rmr1.benchmarks.entries import Entry
from rmr1.benchmarks.judged import Completions, ScoringContext
from rmr1.benchmarks.scoring import score
from rmr1.benchmarks.suite.registry import BENCHMARKS
from rmr1.errors import ConfigError, RunError
from rmr1.judging import Completion
from rmr1.runs import read_manifest, read_records

RESULTS = "results.json"


@dataclass(frozen=True, slots=True)
class JudgedBenchmark:
    """A benchmark of a run, as its journal has it.

    Args:
        path: The directory of its judging run.
        benchmark: Which.
        completions: Its completions.
        asked: How they came about.
        data: What was recorded about the data.
        votes: Completions of each order that count.
        orders: Orders in which each comparison was shown.
    """

    path: Path
    benchmark: Benchmark
    completions: Completions
    asked: ScoringContext
    data: Mapping[str, Any]
    votes: int
    orders: int

    def first(self, votes: int) -> JudgedBenchmark:
        """The same as it would be, had so many votes of each order been asked."""
        return replace(self, votes=votes, completions=self.completions.first(votes, votes * self.orders))


def read_run(path: Path, votes: int | None = None) -> tuple[Mapping[str, Any], list[JudgedBenchmark]]:
    """Read a run of ``rmr1 eval``, also one that is under way.

    Args:
        path: Its directory.
        votes: Count the first so many votes of each order, as if no more had been asked; all where None.

    Returns:
        What identifies the run, and its benchmarks in the order of the registry.

    Raises:
        RunError: The directory is no such run.
        ConfigError: The run has fewer votes.
        JournalError: A journal is damaged.
    """
    identity = read_identity(path)
    names = [name for name in BENCHMARKS if (path / name / "benchmark.json").is_file()]
    if identity.get("job") != "eval" or not names:
        hint = "name the directory that it printed, such as runs/eval-..."
        if identity.get("job") == "sweep":
            hint = f"it is a sweep, name a run in it: {', '.join(identity['runs'])}"
        raise RunError(f"{path}: not a run of rmr1 eval; {hint}")
    found = [_read(path / name, BENCHMARKS[name], identity) for name in names]
    if votes is None:
        return identity, found
    check_votes(path, votes, int(identity["votes"]))
    return {**identity, "votes": votes}, [judged.first(votes) for judged in found]


def check_votes(path: Path, votes: int, asked: int) -> None:
    """Refuse to count more votes than there are.

    Raises:
        ConfigError: There are fewer; the message names both numbers.
    """
    if not 1 <= votes <= asked:
        raise ConfigError(
            f"--votes {votes}: {path} has {asked} of each order, and the first 1 to {asked} can be counted"
        )


def score_run(path: Path, votes: int | None = None) -> dict[str, Any]:
    """Score a run again from its journals.

    Args:
        path: Its directory.
        votes: Count the first so many votes of each order; all where None.

    Returns:
        ``judge``: model, template, orders, votes; ``benchmarks``: for each, its ``data`` and what ``scoring.score`` gives.

    Raises:
        RunError: The directory is no run of ``rmr1 eval``.
        ConfigError: The run has fewer votes.
        JournalError: A journal is damaged.
    """
    return results_of(*read_run(path, votes))


def results_of(identity: Mapping[str, Any], found: Iterable[JudgedBenchmark]) -> dict[str, Any]:
    """What ``score_run`` returns, of a run that was read."""
    kept = ("engine", "template", "template_sha256", "orders", "votes", "temperature", "max_tokens", "rule", "seed")
    return {
        "judge": {name: identity[name] for name in kept if name in identity},
        "benchmarks": {judged.benchmark.name: score_judged(judged) for judged in found},
    }


def score_judged(judged: JudgedBenchmark) -> dict[str, Any]:
    """The ``data`` of a benchmark of a run, and what ``scoring.score`` gives."""
    return {"data": dict(judged.data), **score(judged.benchmark, judged.completions, judged.asked)}


def read_identity(path: Path) -> Mapping[str, Any]:
    """What identifies a run, from its manifest.

    Raises:
        RunError: The directory is no run, or of another version of rmr1.
    """
    identity: Mapping[str, Any] = read_manifest(path)["identity"]
    return identity


def _read(path: Path, benchmark: Benchmark, identity: Mapping[str, Any]) -> JudgedBenchmark:
    entries = [Entry.from_record(record) for record in read_records(path / "pairs.jsonl")]
    journal = path / "completions.jsonl"
    samples = (Completion.from_record(record) for record in (read_records(journal) if journal.is_file() else ()))
    votes, orders = int(identity["votes"]), 2 if identity["orders"] == "both" else 1
    data = json.loads((path / "benchmark.json").read_text(encoding="utf-8"))
    asked = ScoringContext(int(identity["seed"]), str(identity["rule"]))
    completions = Completions(entries, samples, votes * orders)
    return JudgedBenchmark(path, benchmark, completions, asked, data, votes, orders)
