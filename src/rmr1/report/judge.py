"""The HTML report of a judge run: what it says, and the page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rmr1.records import Judgment, PreferencePair
from rmr1.report.console import interval
from rmr1.report.figures import Metric, noted
from rmr1.report.page import render_page, write_page
from rmr1.report.samples import Sample, SampleVote, Status, categories, outcome_choices
from rmr1.report.tables import Table, fact_rows
from rmr1.results import Estimate, JudgeResults

SCRIPT = "samples.js"


@dataclass(frozen=True, slots=True)
class JudgeReport:
    """What a judge report says.

    Args:
        title: Heading of the page.
        headline: The figures that matter most.
        tables: Breakdowns of them.
        samples: The judged pairs to list; a few hundred at most make a page that opens quickly.
        samples_total: How many pairs the run has judged; the page says so if it lists fewer.
        notes: What a reader has to know to read the figures rightly.
        facts: Names and values that describe the run: model, template and its hash, data, seed, orders, votes, command.
    """

    title: str
    headline: tuple[Metric, ...]
    tables: tuple[Table, ...]
    samples: tuple[Sample, ...]
    samples_total: int
    notes: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]


def judge_report(
    title: str,
    results: JudgeResults,
    judged: Iterable[tuple[PreferencePair, Judgment]],
    *,
    summary: Iterable[tuple[str, str]],
    facts: Mapping[str, object],
) -> JudgeReport:
    """Build the report of a judge run.

    Args:
        title: Heading.
        results: What the run concludes.
        judged: The pairs to list, with their judgments.
        summary: Lines of the summary, see ``console.summary_rows``.
        facts: What describes the run: model, data and everything else that decides the results.
    """
    tables = [Table("Summary", ("Figure", "Value"), tuple(summary))]
    if results.by_category:
        by_category = tuple((name or "none", interval(estimate)) for name, estimate in results.by_category.items())
        tables.append(Table("Accuracy by category", ("Category", "Accuracy"), by_category))
    return JudgeReport(
        title=title,
        headline=headline(results),
        tables=tuple(tables),
        samples=tuple(report_sample(pair, judgment) for pair, judgment in judged),
        samples_total=results.pairs,
        notes=(
            "A and B are the sides of the data; for chosen and rejected responses, A is the chosen one.",
            "Intervals are 95 % Wilson intervals; pairs that share a prompt count as one cluster.",
        ),
        facts=fact_rows(facts),
    )


def headline(results: JudgeResults) -> tuple[Metric, ...]:
    """The figures that matter most."""
    return (
        _metric("Accuracy", results.accuracy, "both orders combined; ties and pairs without a winner count as wrong"),
        _metric("Position consistency", results.position_consistency, "pairs whose two orders agree, both being valid"),
        Metric(
            "Single completions",
            results.vote_accuracy,
            None,
            None,
            "invalid counts as wrong; chance is 50 %",
            "share",
        ),
        Metric(
            "Invalid verdicts",
            results.invalid.share,
            None,
            None,
            "completions in which no verdict could be read",
            "share",
        ),
    )


def _metric(name: str, estimate: Estimate | None, note: str) -> Metric:
    if estimate is None:
        return Metric(name, None, None, None, note, "share")
    return Metric(name, estimate.value, estimate.low, estimate.high, noted(note, estimate), "share")


def report_sample(pair: PreferencePair, judgment: Judgment) -> Sample:
    """One judged pair as reports list it."""
    return Sample(
        id=pair.id,
        category=pair.category,
        status=_status(judgment),
        winner=judgment.winner or "",
        label=pair.label or "",
        confidence=judgment.confidence,
        position_consistent=judgment.position_consistent,
        prompt=pair.prompt,
        response_a=pair.response_a,
        response_b=pair.response_b,
        votes=tuple(
            SampleVote(
                order=vote.order,
                vote=vote.vote,
                side=vote.side or vote.verdict.invalid or "",
                text=vote.error or vote.text,
                sections=vote.verdict.sections,
                problems=vote.verdict.problems,
                tokens=vote.usage.completion_tokens,
            )
            for vote in judgment.votes
        ),
    )


def _status(judgment: Judgment) -> Status:
    if judgment.winner is None:
        return "invalid"
    if judgment.label is None:
        return "unlabelled"
    if judgment.winner == "tie":
        return "tie"
    return "right" if judgment.correct else "wrong"


def render_judge_report(report: JudgeReport) -> str:
    """Return the report as one HTML document; equal reports give equal text."""
    return render_page(
        "judge_report.html.j2",
        ("page.css",),
        SCRIPT if report.samples else None,
        report=report,
        filters=outcome_choices(report.samples),
        categories=categories(report.samples),
    )


def write_judge_report(report: JudgeReport, path: Path) -> None:
    """Write the report to ``path``, whole or not at all: readers see the old file until the new one is complete."""
    write_page(render_judge_report(report), path)
