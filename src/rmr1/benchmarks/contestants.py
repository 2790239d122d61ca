"""What runs of ``rmr1 judge`` and ``rmr1 eval`` bring to a comparison: their judged pairs, known by content and not by name."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from rmr1.benchmarks.benchmark import Benchmark, Entry, Protocol, Value
from rmr1.benchmarks.eval_runs import (
    EvalRun,
    JudgedBenchmark,
    check_votes,
    judge_settings,
    read_identity,
    read_run,
)
from rmr1.data import cluster_of
from rmr1.errors import RunError
from rmr1.judging import (
    TEXTS,
    ComparisonLayout,
    Completion,
    combine,
    fingerprint,
    needed,
    read_texts,
    recorded_completions,
)
from rmr1.records import Judgment, PreferencePair, Winner
from rmr1.results import JudgeSettings
from rmr1.sides import pair_side

PairKey = tuple[str, int]
"""The fingerprint of a pair, and the how-many-eth of its data it is with that fingerprint."""
NO_CATEGORY = "no category"
COMBINED_POLICY = (
    "right if all orders together say the label, which may be a tie; a pair whose orders differ, or of which one has no valid "
    "verdict, is not right"
)


@dataclass(frozen=True, slots=True)
class JudgedPair:
    """A pair that a run has judged.

    Args:
        pair: With its texts.
        turned: Whether its sides are the other way round than those of its fingerprint.
        judgment: All votes combined, in sides of ``pair``.
        entry: The comparison of the benchmark that it is of; None in a run of ``rmr1 judge``.
    """

    pair: PreferencePair
    turned: bool
    judgment: Judgment
    entry: Entry | None = None

    @property
    def outcome(self) -> Winner | None:
        """The winner, in sides of the fingerprint; orders that differ are a tie here."""
        winner = self.judgment.winner
        return pair_side(winner, "ba") if self.turned else winner


@dataclass(frozen=True, slots=True)
class Contestant:
    """A run on one benchmark, or on all its pairs.

    Args:
        name: Of the run, unique in the comparison.
        pairs: What it has judged.
        values: What each is worth; pairs without a label are worth nothing that could be compared.
        unjudged: Pairs of its data that it has not judged.
    """

    name: str
    pairs: Mapping[PairKey, JudgedPair]
    values: Mapping[PairKey, float]
    unjudged: int


@dataclass(frozen=True, slots=True)
class JudgeRunPairs:
    """A run of ``rmr1 judge`` as its directory has it."""

    path: Path
    judge: JudgeSettings
    judged: tuple[JudgedPair, ...]
    unjudged: int


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run that is compared: its name, and what it is."""

    name: str
    run: EvalRun | JudgeRunPairs

    @property
    def judge(self) -> JudgeSettings:
        """Which judge it was and how it was run."""
        return self.run.judge

    def on(self, benchmark: str, protocol: Protocol) -> Contestant:
        """The run on one of its benchmarks, under a protocol that this has."""
        assert isinstance(self.run, EvalRun)
        judged = next(one for one in self.run.benchmarks if one.benchmark.name == benchmark)
        policy = judged.benchmark.policies[protocol]
        values = dict(judged.completions.values(policy, judged.context, whole_items=judged.benchmark.whole_items))
        pairs = keyed(_judged(judged))
        worth = {key: values[one.entry] for key, one in pairs.items() if one.entry is not None and one.entry in values}
        return Contestant(self.name, pairs, worth, judged.completions.unjudged)

    def on_all(self) -> Contestant:
        """The run on all its pairs, each worth 1 if the combined outcome is the label."""
        if isinstance(self.run, EvalRun):
            found = [pair for one in self.run.benchmarks for pair in _judged(one)]
            unjudged = sum(one.completions.unjudged for one in self.run.benchmarks)
        else:
            found, unjudged = list(self.run.judged), self.run.unjudged
        pairs = keyed(found)
        worth = {key: float(one.judgment.correct) for key, one in pairs.items() if one.judgment.correct is not None}
        return Contestant(self.name, pairs, worth, unjudged)


def open_run(name: str, path: Path, votes: int | None, benchmarks: Iterable[Benchmark]) -> OpenRun:
    """Read a run, also one that is under way.

    Args:
        name: What the comparison calls it.
        path: Its directory.
        votes: Count the first K votes of each order; all where None.
        benchmarks: Benchmarks that no installed package offers.

    Raises:
        RunError: It is no run of ``rmr1 judge`` or ``rmr1 eval``, or has no texts.
        ConfigError: The run has fewer votes.
        JournalError: A journal is damaged.
    """
    job = read_identity(path).get("job")
    if job == "judge":
        return OpenRun(name, _read_judge_run(path, votes))
    if job in ("eval", "sweep"):
        return OpenRun(name, read_run(path, votes, benchmarks))
    raise RunError(f"{path}: a run of rmr1 {job}; only runs of rmr1 judge and rmr1 eval can be compared")


def keyed(pairs: Iterable[JudgedPair]) -> dict[PairKey, JudgedPair]:
    """Pairs by content; the same pair twice in the data is two pairs."""
    seen: Counter[str] = Counter()
    found: dict[PairKey, JudgedPair] = {}
    for one in pairs:
        content, turned = fingerprint(one.pair)
        found[content, seen[content]] = replace(one, turned=turned)
        seen[content] += 1
    return found


def observe_judged(pairs: Iterable[tuple[JudgedPair, float]]) -> Iterator[Value]:
    """Values of pairs, each in the cell of its category and the cluster of its prompt."""
    for one, value in pairs:
        yield Value(value, one.pair.category or NO_CATEGORY, cluster_of(one.pair))


def _judged(judged: JudgedBenchmark) -> Iterator[JudgedPair]:
    texts = {pair.id: pair for pair in read_texts(judged.path)}
    for entry in judged.completions.judged:
        if entry.id not in texts:
            raise RunError(f"{judged.path}: has no {TEXTS}, or it lacks {entry.id}; run the same command as before")
        samples = judged.completions.samples(entry)
        yield JudgedPair(texts[entry.id], False, combine(samples, judged.context.rule), entry)


def _read_judge_run(path: Path, votes: int | None) -> JudgeRunPairs:
    identity = read_identity(path)
    rule, layout = str(identity["rule"]), ComparisonLayout.of_identity(identity)
    if votes is not None:
        check_votes(path, votes, identity)
    of_each = votes or layout.votes
    counted = replace(layout, votes=of_each)
    samples: dict[int, list[Completion]] = defaultdict(list)
    for _, completion in recorded_completions(path, layout):
        if completion.vote < of_each:
            samples[completion.pair].append(completion)
    if not (path / TEXTS).is_file():
        raise RunError(f"{path}: has no {TEXTS}, which a run writes at its end; run the same command as before")
    judged, unjudged = [], 0
    for number, pair in enumerate(read_texts(path)):
        completions = samples.get(number, [])
        if any(completion.pair_id != pair.id for completion in completions):
            raise RunError(
                f'{path / TEXTS}: pair {number} is "{pair.id}", and "{completions[0].pair_id}" in the journal'
            )
        asked = needed(completions, counted.rule, counted.shown)
        if asked is not None:
            judged.append(JudgedPair(pair, False, combine(asked, rule)))
        else:
            unjudged += 1
    settings = replace(judge_settings(identity), votes=of_each)
    return JudgeRunPairs(path, settings, tuple(judged), unjudged)
