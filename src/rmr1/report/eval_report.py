"""What the report of an evaluation says, before anyone decides how it looks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rmr1.report.judge_report import Metric, Sample, Table
from rmr1.report.training_report import Curve


@dataclass(frozen=True, slots=True)
class Bars:
    """Figures on one scale, one below the other."""

    title: str
    metrics: tuple[Metric, ...]


@dataclass(frozen=True, slots=True)
class BenchmarkSection:
    """One benchmark of an evaluation.

    Args:
        title: Its name and the protocol that is shown.
        policy: What the protocol counts, in a sentence.
        bars: Its figures, its subsets, what should not matter.
        curves: Accuracy by confidence and by length.
        tables: What is better read than seen.
        remarks: What a reader has to know about these figures.
    """

    title: str
    policy: str
    bars: tuple[Bars, ...]
    curves: tuple[Curve, ...]
    tables: tuple[Table, ...]
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EvalReport:
    """What the report of an evaluation says.

    Args:
        title: Heading of the page.
        facts: Names and values that describe the judge: model, template, orders, votes, seed.
        headline: The score of each benchmark.
        published: Published results beside the run's own.
        benchmarks: A section for each.
        samples: The judged comparisons to list, read once.
        samples_total: How many comparisons are judged; the page says so where it lists fewer.
        no_samples: Said in their place where there are none.
        notes: What a reader has to know to read the figures rightly.
    """

    title: str
    facts: tuple[tuple[str, str], ...]
    headline: tuple[Metric, ...]
    published: Table | None
    benchmarks: tuple[BenchmarkSection, ...]
    samples: Iterable[Sample]
    samples_total: int
    no_samples: str
    notes: tuple[str, ...]
