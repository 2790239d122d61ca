"""What evaluations on benchmarks and sweeps over settings conclude."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from rmr1.records import Usage
from rmr1.results.base import Estimate, InvalidVerdicts, Results, caveat_of
from rmr1.results.judging import FaultKind, PairFigures, Spending


@dataclass(frozen=True, slots=True)
class Figure:
    """A score of a benchmark.

    Args:
        value: The score.
        low: Lower end of its 95 % interval; None where there is none, as for published figures.
        high: Upper end.
        n: Observations; None where they are not known.
        clusters: Clusters that they come from.
        missing: Cells that the score is about and that nothing was observed in.
        fewest: Clusters in the cell of it that has the fewest; None where that is not known.
    """

    value: float
    low: float | None = None
    high: float | None = None
    n: int | None = None
    clusters: int | None = None
    missing: tuple[str, ...] = ()
    fewest: int | None = None

    @classmethod
    def of(cls, estimate: Estimate, missing: Iterable[str] = ()) -> Figure:
        """The figure of an estimate."""
        return cls(
            estimate.value,
            estimate.low,
            estimate.high,
            estimate.n,
            estimate.clusters,
            tuple(missing),
            estimate.fewest,
        )

    @property
    def estimate(self) -> Estimate | None:
        """The figure with its interval, or None where it has none."""
        if self.low is None or self.high is None:
            return None
        return Estimate(self.value, self.low, self.high, self.n or 0, self.clusters or 0, self.fewest)

    @property
    def caveat(self) -> str:
        """What qualifies the interval, or ""."""
        return caveat_of(self.fewest)


@dataclass(frozen=True, slots=True)
class ProtocolScores:
    """The scores of a benchmark under one protocol; the first of ``metrics`` is its headline.

    Args:
        policy: What the protocol counts, in words.
        metrics: Scores by name.
        cells: The same for every subset, or pair of styles.
    """

    policy: str
    metrics: Mapping[str, Figure]
    cells: Mapping[str, Figure] = field(default_factory=dict)

    @property
    def headline(self) -> tuple[str, Figure] | None:
        """Name and value of the score; None where nothing is scored."""
        return next(iter(self.metrics.items()), None)


@dataclass(frozen=True, slots=True)
class OrderAgreement:
    """How the two orders of a pair agree.

    Args:
        position_consistency: Share of the comparisons whose orders agree.
        kappa: Cohen's kappa of the two orders; None where it has no meaning.
        first_shown: Share of the valid verdicts that prefer the response shown first.
    """

    position_consistency: Estimate | None = None
    kappa: float | None = None
    first_shown: float | None = None


@dataclass(frozen=True, slots=True)
class BiasAudit:
    """Accuracy of single completions, invalid ones not right, by what should not matter."""

    better_is_longer: Estimate | None = None
    better_is_shorter: Estimate | None = None
    better_shown_first: Estimate | None = None
    better_shown_second: Estimate | None = None


@dataclass(frozen=True, slots=True)
class LengthBin:
    """Accuracy of single completions in a bin of length.

    Args:
        low: Lower edge, as log2 of the better response's characters over the other's; None where the bin is open.
        high: Upper edge.
        accuracy: Share that is right.
    """

    low: float | None
    high: float | None
    accuracy: Estimate


@dataclass(frozen=True, slots=True)
class ConfidenceBin:
    """Accuracy of comparisons in a bin of confidence: its edges, the mean confidence, the share that is right."""

    low: float
    high: float
    confidence: float
    accuracy: Estimate


@dataclass(frozen=True, slots=True)
class Calibration:
    """Whether the judge is as often right as it is sure.

    Args:
        by: Where confidence comes from: the probability at the verdict's letter, or the share of the votes.
        undecided: Comparisons without a preference.
        expected_error: Mean distance of confidence and accuracy, weighted by size (Guo et al. 2017).
        bins: The bins that hold any.
    """

    by: Literal["probability", "votes"]
    undecided: int
    expected_error: float
    bins: tuple[ConfidenceBin, ...]


@dataclass(frozen=True, slots=True)
class JudgedCounts:
    """How much of a benchmark was judged."""

    items: int
    pairs: int
    unjudged_pairs: int
    completions: int
    invalid: InvalidVerdicts
    tokens: Usage


@dataclass(frozen=True, slots=True)
class BenchmarkData:
    """What is recorded about the data of a benchmark.

    Args:
        benchmark: Its name, as in ``--bench``.
        title: Its name as its authors write it.
        items: Items (prompts) by subset.
        expected: Items that the whole benchmark has, by subset.
        problems: How the data differ from the whole benchmark, in words.
        data_sha256: Over all its files.
    """

    benchmark: str
    title: str = ""
    items: Mapping[str, int] = field(default_factory=dict)
    expected: Mapping[str, int] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    data_sha256: str = ""


@dataclass(frozen=True, slots=True)
class LoggedCounts:
    """Released logs: how many completions they hold, and how many have the logged result under the released rule."""

    completions: int
    result_as_logged: int


@dataclass(frozen=True, slots=True)
class BenchmarkResults:
    """What one benchmark of an evaluation concludes; parts that released figures cannot tell are None.

    ``pairs`` are the figures that ``rmr1 judge`` gives for the same completions, whatever the protocols count. ``faults`` are the
    requests that the engine failed on in the process that judged last, ``engine_notes`` what it said about its server.
    """

    data: BenchmarkData
    protocols: Mapping[str, ProtocolScores]
    not_computed: Mapping[str, str]
    judged: JudgedCounts | None = None
    pairs: PairFigures | None = None
    orders: OrderAgreement | None = None
    bias: BiasAudit | None = None
    length: tuple[LengthBin, ...] = ()
    calibration: Calibration | None = None
    notes: tuple[str, ...] = ()
    logged: LoggedCounts | None = None
    faults: tuple[FaultKind, ...] = ()
    engine_notes: tuple[str, ...] = ()

    def shown(self, protocol: str) -> str | None:
        """The protocol to show: the wanted one, else the first that there is; None where nothing is scored."""
        return protocol if protocol in self.protocols else next(iter(self.protocols), None)


JudgeKind = Literal["scalar", "pointwise", "generative", "reasoning"]
REASONING_TEMPLATES = ("cor", "cor-skeleton", "cor-compact", "cor-brief", "rubric-only", "reasoning-native")
"""The templates that ship and ask a judge to reason."""


@dataclass(frozen=True, slots=True)
class JudgeSettings:
    """Which judge it was and how it was run; None where that is not known."""

    engine: str
    template: str | None = None
    template_sha256: str | None = None
    orders: str | None = None
    votes: int | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    rule: str | None = None
    seed: int | None = None
    stop: str | None = None
    stop_error: float | None = None

    @property
    def kind(self) -> JudgeKind | None:
        """Which kind of judge it is, by what it is asked for; None where that is not known.

        ``scalar`` gives each response a number (the paper's ScalarRM); ``pointwise`` writes a rating of each; ``generative`` names
        the better response without being asked to reason (GenRM), which a template of one's own counts for too; ``reasoning`` is
        asked for rubrics, a solution or a thought first (ReasRM).
        """
        if self.template is None:
            return None
        if self.orders == "each":
            return "scalar" if self.template == "none" else "pointwise"
        return "reasoning" if self.template in REASONING_TEMPLATES else "generative"


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """A model's published scores.

    Args:
        model: As its source names it.
        source: The paper that prints the figures.
        protocol: The protocol that they are of, or None where it is the source's own.
        scores: Scores by name of the benchmark.
        mean: The plain mean over RewardBench, RM-Bench and RMB as printed; it may be known where the three are not.
    """

    model: str
    source: str
    protocol: str | None
    scores: Mapping[str, float]
    mean: float | None = None


@dataclass(frozen=True, slots=True)
class PublishedTable:
    """Published rows beside a run's own, and what a reader has to know to read them rightly."""

    benchmarks: tuple[str, ...]
    own: tuple[PublishedRow, ...]
    rows: tuple[PublishedRow, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EvalResults(Results):
    """What an evaluation concludes: the judge, each benchmark by name, published rows beside them, and what it has cost."""

    kind: ClassVar[str] = "eval"

    judge: JudgeSettings
    benchmarks: Mapping[str, BenchmarkResults]
    published: PublishedTable | None = None
    spending: Spending | None = None

    @property
    def faults(self) -> tuple[FaultKind, ...]:
        """Requests that the engine failed on, in all benchmarks."""
        return _all_faults(self.benchmarks.values())

    @property
    def engine_notes(self) -> tuple[str, ...]:
        """What the engine said about its server, in all benchmarks."""
        return _all_notes(self.benchmarks.values())


@dataclass(frozen=True, slots=True)
class SweepPoint:
    """One point of a sweep.

    Args:
        template: The prompt template.
        max_tokens: Longest completion.
        votes: Completions of each order that count.
        run: Directory of its completions inside the sweep's.
        benchmarks: Results without cells and audits.
        written_per_pair: For each benchmark the mean number of tokens that all completions of a comparison took.
    """

    template: str
    max_tokens: int
    votes: int
    run: str
    benchmarks: Mapping[str, BenchmarkResults]
    written_per_pair: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SweepResults(Results):
    """What a sweep concludes: what all points share, the values of each setting that varies, the points, and what it has cost."""

    kind: ClassVar[str] = "sweep"

    judge: JudgeSettings
    axes: Mapping[str, tuple[int | str, ...]]
    points: tuple[SweepPoint, ...]
    spending: Spending | None = None

    @property
    def faults(self) -> tuple[FaultKind, ...]:
        """Requests that the engine failed on, in all judging runs; points of one run share them."""
        return _all_faults(self._judged())

    @property
    def engine_notes(self) -> tuple[str, ...]:
        """What the engine said about its server, in all judging runs."""
        return _all_notes(self._judged())

    def _judged(self) -> list[BenchmarkResults]:
        runs = {point.run: point for point in self.points}
        return [one for point in runs.values() for one in point.benchmarks.values()]


def _all_faults(judged: Iterable[BenchmarkResults]) -> tuple[FaultKind, ...]:
    counts: Counter[str] = Counter()
    for one in judged:
        counts.update({kind.reason: kind.count for kind in one.faults})
    return tuple(FaultKind(reason, count) for reason, count in counts.most_common())


def _all_notes(judged: Iterable[BenchmarkResults]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(note for one in judged for note in one.engine_notes))


@dataclass(frozen=True, slots=True)
class BenchmarkPlan:
    """What judging a benchmark will take; ``cost`` and ``seconds`` are upper bounds, where their rates are known."""

    benchmark: str
    items: int
    pairs: int
    completions: int
    prompt_characters: int
    prompt_tokens: int
    max_completion_tokens: int
    cost: float | None = None
    seconds: float | None = None
